"""Give the verdict, the plots and the page access to the results of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import METRICS
from scale_eval.planning.run_options import PRIMARY
from scale_eval.planning.user_metrics import recorded_metrics
from scale_eval.report.company_evidence import CompanyEvidence
from scale_eval.report.company_values import CompanyValues
from scale_eval.report.names import MODEL_COLUMNS, short_names
from scale_eval.report.pair import Pair
from scale_eval.report.population import with_population_figures
from scale_eval.report.wording import condition_of
from scale_eval.results.directory import RunDirectory
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.tables import TABLES

LOSS = "log_loss"
"""The loss of a prediction: it rewards both ranking and probabilities to be taken at their word."""

FEW = 30
"""Number of companies, or effective companies, below which the report warns."""


def _empty(table: str) -> pd.DataFrame:
    return TABLES[table].schema.empty_table().to_pandas()


@dataclass(frozen=True)
class Findings:
    """The result tables of a run; `companies`, the largest, is read one metric at a time."""

    pooled: pd.DataFrame
    comparisons: pd.DataFrame
    reliability: pd.DataFrame
    decompositions: pd.DataFrame
    spread: pd.DataFrame
    periods: pd.DataFrame
    choice_regret: pd.DataFrame
    statuses: pd.DataFrame
    document: dict[str, Any]
    gains: pd.DataFrame = field(default_factory=partial(_empty, "gains"))
    company_gains: pd.DataFrame = field(default_factory=partial(_empty, "company_gains"))
    score_spread: pd.DataFrame = field(default_factory=partial(_empty, "score_spread"))
    directory: RunDirectory | None = None
    names: dict[str, str] = field(default_factory=dict)
    """The whole name of each model by its short one; empty where names are whole."""
    evaluated_between: dict[str, tuple[pd.Timestamp, pd.Timestamp]] = field(default_factory=dict)
    """When the first and the last evaluation of each model was made, by its whole name."""
    _companies: CompanyValues | None = None
    _evaluations: pa.Table | None = None

    @classmethod
    def read(cls, directory: RunDirectory) -> Findings:
        """Read the findings of a run; raise `FileNotFoundError` before it was reduced."""
        names = [each.name for each in fields(cls) if each.name in TABLES]
        tables = {name: directory.table(name) for name in names}
        if "sample" in directory.document:
            tables["pooled"], tables["comparisons"] = with_population_figures(
                tables["pooled"], tables["comparisons"], directory.table("sampled")
            )
        endings = directory.endings()

        def companies(metric: str, columns: Sequence[str]) -> pa.Table:
            where: dict[tuple[str, ...], str] = {("metric",): metric, ("coverage",): "common"}
            return directory.rows("companies", where, columns)

        return cls(
            **tables,
            statuses=endings.statuses,
            document=directory.document,
            directory=directory,
            evaluated_between=endings.between,
            _companies=CompanyValues(companies),
        )

    @cached_property
    def short(self) -> Findings:
        """Return the same findings with models under short names, for what people read.

        `names` then gives their whole names.
        """
        if self.names:
            return self
        shorter = short_names(sorted(set(self.statuses["model"]) | set(self.pooled["model"])))
        tables = {
            each.name: _renamed(table, shorter)
            for each in fields(self)
            if isinstance(table := getattr(self, each.name), pd.DataFrame)
        }
        return replace(
            self,
            **tables,
            names={name: whole for whole, name in shorter.items()},
        )

    def whole_name(self, model: str) -> str:
        """Return the name of a model in the tables of the run."""
        return self.names.get(model, model)

    def short_name(self, model: str) -> str:
        """Return the name of a model here, given its name in the tables of the run."""
        return {whole: name for name, whole in self.names.items()}.get(model, model)

    @property
    def sample(self) -> tuple[int, int] | None:
        """Return the sizes of the sample and of the population; None where all were evaluated."""
        if "sample" not in self.document:
            return None
        return int(self.document["sample"]), int(self.document["population"])

    def companies(self, metric: str, column: str = "mean") -> pd.DataFrame:
        """Return a column of `companies`, of the windows that every model predicted.

        It has a row for each company, sorted by name, and a column for each model.
        """
        values = pd.DataFrame()
        if self._companies is not None:
            values = self._companies.of(metric, column)
        if self.names:
            values = values.rename(columns=self.short_name)
        missing = [model for model in self.models if model not in values]
        return values.assign(**dict.fromkeys(missing, np.nan)) if missing else values

    def company_differences(self, a: str, b: str) -> pd.DataFrame:
        """Return how much better `a` is than `b` at each company, by the metric that decides."""
        return self.evidence.differences(self.whole_name(a), self.whole_name(b))

    @cached_property
    def evidence(self) -> CompanyEvidence:
        """Return what the evaluations say of single companies, beyond the result tables."""
        own = recorded_metrics(self.document.get("settings", {}).get("metrics", {}))
        metrics = {**METRICS, **{metric.name: metric for metric in own}}
        parts = None if self._evaluations is None else parts_of(self._evaluations)
        if self.directory is not None:
            parts = self.directory.evaluation_parts
        return CompanyEvidence(parts, metrics[self.primary])

    def leaderboard(self, estimand: str = "equal_company", value: str = "value") -> pd.DataFrame:
        """Return one row per model, best first, and one column per metric; common coverage."""
        rows = self.figures(estimand)
        table = rows.pivot(index="model", columns="metric", values=value)
        return table.reindex(self._order(rows))

    def figures(self, estimand: str = "equal_company", coverage: str = "common") -> pd.DataFrame:
        """Return the rows of `pooled` over all cutoffs."""
        pooled = self.pooled
        return pooled[
            pooled["cutoff"].isna()
            & (pooled["coverage"] == coverage)
            & (pooled["estimand"] == estimand)
        ]

    def figure(
        self, metric: str, model: str, estimand: str = "equal_company", coverage: str = "common"
    ) -> pd.Series:
        """Return one row of `figures`; a row of nulls where there is none."""
        at = self._figure_rows.get((metric, model, estimand, coverage))
        if at is None:
            return pd.Series(dtype=object).reindex(self.pooled.columns)
        return self.pooled.loc[at]

    @cached_property
    def _figure_rows(self) -> dict[tuple[str, ...], Any]:
        """Return where the rows of `pooled` over all cutoffs are, by their keys."""
        rows = self.pooled[self.pooled["cutoff"].isna()]
        keys = (rows[c] for c in ("metric", "model", "estimand", "coverage"))
        return dict(zip(zip(*keys, strict=True), rows.index, strict=True))

    def by_cutoff(self, metric: str, model: str) -> pd.DataFrame:
        """Return a model's figures at each cutoff: of the average company, common coverage."""
        pooled = self.pooled
        return pooled[
            pooled["cutoff"].notna()
            & (pooled["metric"] == metric)
            & (pooled["model"] == model)
            & (pooled["coverage"] == "common")
            & (pooled["estimand"] == "equal_company")
        ]

    def condition(self, metric: str, model: str, estimand: str = "row") -> str:
        """Return the condition on which the interval of a figure holds; "" without one."""
        return condition_of(self.figure(metric, model, estimand))

    @cached_property
    def models(self) -> list[str]:
        """Return the models that are compared, best first by the metric that decides."""
        board = self.leaderboard()
        if self.primary not in board:
            return []
        return list(board.index[board[self.primary].notna()])

    @property
    def primary(self) -> str:
        """Return the metric that decides: it orders the models, and they are compared by it."""
        return str(self.document.get("primary", PRIMARY))

    def by(self, metric: str) -> Findings:
        """Return the same findings with another metric that decides."""
        return replace(self, document={**self.document, "primary": metric})

    @cached_property
    def ranking_models(self) -> list[str]:
        """Return the models that are compared but `base_rate`, which cannot rank customers."""
        return [model for model in self.models if model != "base_rate"]

    @cached_property
    def best_ranking_model(self) -> str:
        """Return the best model that can rank customers, or `base_rate` if there is no other."""
        return next(iter(self.ranking_models), self.models[0])

    @cached_property
    def without_predictions(self) -> list[str]:
        """Return the models that made no predictions at all."""
        with_some = self.statuses.loc[self.statuses["status"] == "ok", "model"]
        return sorted(set(self.statuses["model"]) - set(with_some))

    @cached_property
    def n_companies(self) -> int:
        """Return the number of companies that every model predicted at one or more cutoffs."""
        if not self.models:
            return 0
        return int(self.figure(self.primary, self.models[0])["n_companies"])

    @cached_property
    def n_cutoffs(self) -> int:
        """Return the number of cutoffs at which companies are compared."""
        rows = self.periods[self.periods["cutoff"].notna() & (self.periods["n_companies"] > 0)]
        return int(rows["cutoff"].nunique())

    @cached_property
    def window(self) -> str:
        """Return the word for a label window: ``half-year`` if it is one, else ``window``."""
        horizon = self.document.get("settings", {}).get("horizon", "6 months")
        return "half-year" if horizon == "6 months" else "window"

    def pair(
        self, metric: str, a: str, b: str, estimand: str = "equal_company", stratum: str = "all"
    ) -> Pair | None:
        """Return the comparison of two models from the side of `a`; None where there is none."""
        first, second = sorted([a, b])
        at = self._pair_rows.get((metric, first, second, estimand, stratum))
        if at is None or np.isnan(self.comparisons.at[at, "mean_difference"]):
            return None
        return Pair(self.comparisons.loc[at], a, b, metric, higher=self.better(metric) == "higher")

    @cached_property
    def _pair_rows(self) -> dict[tuple[str, ...], Any]:
        """Return where the rows of `comparisons` are, by metric, models, estimand and stratum."""
        rows = self.comparisons
        models = map(sorted, zip(rows["model_a"], rows["model_b"], strict=True))
        keys = zip(rows["metric"], models, rows["estimand"], rows["stratum"], strict=True)
        return {
            (metric, *pair, estimand, stratum): at
            for at, (metric, pair, estimand, stratum) in zip(rows.index, keys, strict=True)
        }

    def better(self, metric: str) -> str:
        """Return the direction in which a metric is better: ``higher``, ``lower``, ``target``."""
        if metric in METRICS:
            return METRICS[metric].better
        own = self.document.get("settings", {}).get("metrics", {})
        return str(own.get(metric, {}).get("better", "higher"))

    def target(self, metric: str) -> float | None:
        """Return the value at which a metric is best; None where more, or less, is better."""
        if metric in METRICS:
            return METRICS[metric].target
        own = self.document.get("settings", {}).get("metrics", {})
        target = own.get(metric, {}).get("target")
        return None if target is None else float(target)

    def direction(self, metric: str) -> str:
        """Return what a better value is: ``lower``, ``higher`` or ``nearer to 1``."""
        target = self.target(metric)
        return self.better(metric) if target is None else f"nearer to {target:g}"

    def distance(self, metric: str, values: pd.Series) -> pd.Series:
        """Return how bad values of a metric are: the lower, the better."""
        target = self.target(metric)
        if target is None:
            return -values if self.better(metric) == "higher" else values
        if metric in METRICS:
            return pd.Series(METRICS[metric].distance(values.to_numpy(dtype=float)), values.index)
        return (values - target).abs()

    @cached_property
    def metrics(self) -> list[str]:
        """Return all metrics, the user's last."""
        return list(self.figures()["metric"].drop_duplicates())

    @property
    def own_metrics(self) -> list[str]:
        """Return the user's metrics."""
        return [metric for metric in self.metrics if metric not in METRICS]

    @cached_property
    def strata(self) -> list[str]:
        """Return the classes of company size, smallest first."""
        strata = self.comparisons["stratum"].drop_duplicates()
        return [stratum for stratum in strata if stratum != "all"]

    def _order(self, rows: pd.DataFrame) -> Sequence[str]:
        """Return the models, best first by the metric that decides; others last."""
        values = rows[rows["metric"] == self.primary].set_index("model")["value"]
        others = sorted(set(rows["model"]) - set(values.index))
        return [*self.distance(self.primary, values).sort_values(kind="stable").index, *others]


def _renamed(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return a table in which models have these names; one without a name here keeps its own."""
    if all(name == shown for name, shown in names.items()):
        return table  # at once: a large run has a million rows
    columns = [c for c in table if c in MODEL_COLUMNS]
    return table.assign(**{c: table[c].map(lambda m: names.get(m, m)) for c in columns})
