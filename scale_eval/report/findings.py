"""Give the verdict, the plots and the page access to the results of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.pair import Pair
from scale_eval.report.population import with_population_figures
from scale_eval.results.directory import RunDirectory
from scale_eval.results.tables import TABLES

PRIMARY = "log_loss"
"""The metric that decides: it rewards both ranking and calibrated probabilities."""

FEW = 30
"""Number of companies, or effective companies, below which the report warns."""


@dataclass(frozen=True)
class Findings:
    """The result tables of a run; `companies`, the largest, is read one metric at a time."""

    pooled: pd.DataFrame
    comparisons: pd.DataFrame
    reliability: pd.DataFrame
    decompositions: pd.DataFrame
    spread: pd.DataFrame
    periods: pd.DataFrame
    statuses: pd.DataFrame
    document: dict[str, Any]
    directory: RunDirectory | None = None
    _companies: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: RunDirectory) -> Findings:
        """Read the findings of a run; raise `FileNotFoundError` before it was reduced."""
        names = [each.name for each in fields(cls) if each.name in TABLES]
        tables = {name: directory.table(name) for name in names}
        if "sample" in directory.document:
            tables["pooled"], tables["comparisons"] = with_population_figures(
                tables["pooled"], tables["comparisons"], directory.table("sampled")
            )
        return cls(
            **tables,
            statuses=directory.statuses(),
            document=directory.document,
            directory=directory,
        )

    @property
    def sample(self) -> tuple[int, int] | None:
        """Return the sizes of the sample and of the population; None where all were evaluated."""
        if "sample" not in self.document:
            return None
        return int(self.document["sample"]), int(self.document["population"])

    def companies(self, metric: str) -> pd.DataFrame:
        """Return the companies' figures of one metric."""
        if metric not in self._companies and self.directory is not None:
            self._companies.clear()  # one at a time: a large run has 100,000 of each
            self._companies[metric] = self.directory.companies_of(metric)
        return self._companies[metric]

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
        rows = self.figures(estimand, coverage)
        rows = rows[(rows["metric"] == metric) & (rows["model"] == model)]
        return rows.iloc[0] if len(rows) else pd.Series(dtype=object).reindex(rows.columns)

    @cached_property
    def models(self) -> list[str]:
        """Return the models that are compared, best first by `PRIMARY`."""
        board = self.leaderboard()
        if PRIMARY not in board:
            return []
        return list(board.index[board[PRIMARY].notna()])

    @cached_property
    def best_ranking_model(self) -> str:
        """Return the best model other than `base_rate`, which cannot rank customers."""
        return next((m for m in self.models if m != "base_rate"), self.models[0])

    @cached_property
    def without_predictions(self) -> list[str]:
        """Return the models that made no predictions at all."""
        with_some = self.statuses.loc[self.statuses["status"] == "ok", "model"]
        return sorted(set(self.statuses["model"]) - set(with_some))

    @cached_property
    def n_companies(self) -> int:
        """Return the number of companies that every model predicted at one or more cutoffs."""
        return int(self.figure(PRIMARY, self.models[0])["n_companies"]) if self.models else 0

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
        rows = self.comparisons
        rows = rows[
            (rows["metric"] == metric)
            & (rows["model_a"] == first)
            & (rows["model_b"] == second)
            & (rows["estimand"] == estimand)
            & (rows["stratum"] == stratum)
        ]
        if rows.empty or np.isnan(rows.iloc[0]["mean_difference"]):
            return None
        return Pair(rows.iloc[0], a, b, metric, higher=self.better(metric) == "higher")

    def better(self, metric: str) -> str:
        """Return the direction in which a metric is better: ``higher``, ``lower``, ``target``."""
        if metric in METRICS:
            return METRICS[metric].better
        own = self.document.get("settings", {}).get("metrics", {})
        return str(own.get(metric, {}).get("better", "higher"))

    @cached_property
    def metrics(self) -> list[str]:
        """Return all metrics, the user's last."""
        return list(self.figures()["metric"].drop_duplicates())

    @cached_property
    def strata(self) -> list[str]:
        """Return the classes of company size, smallest first."""
        strata = self.comparisons["stratum"].drop_duplicates()
        return [stratum for stratum in strata if stratum != "all"]

    def _order(self, rows: pd.DataFrame) -> Sequence[str]:
        losses = rows[rows["metric"] == PRIMARY].set_index("model")["value"]
        others = sorted(set(rows["model"]) - set(losses.index))
        return [*losses.sort_values(kind="stable").index, *others]
