"""What a run found, as the verdict, the plots and the page read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.results.directory import RunDirectory

PRIMARY = "log_loss"
"""The metric that decides: it rewards ranking and honest probabilities alike."""

FEW = 30
"""Fewer companies, or effective companies, are warned of."""


@dataclass(frozen=True)
class Findings:
    """The reduced tables of a run, and where to ask for the large one."""

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
    def of(cls, directory: RunDirectory) -> Findings:
        """Those of a run; raises `FileNotFoundError` before it was reduced."""
        names = (
            "pooled",
            "comparisons",
            "reliability",
            "decompositions",
            "spread",
            "periods",
        )
        tables = {name: directory.table(name) for name in names}
        if "sample" in directory.document:
            sampled = directory.table("sampled")
            tables["pooled"] = _of_all(tables["pooled"], sampled, _POOLED, "value")
            tables["comparisons"] = _of_all(
                tables["comparisons"], sampled, _COMPARED, "mean_difference"
            )
        return cls(
            **tables,
            statuses=directory.statuses(),
            document=directory.document,
            directory=directory,
        )

    @property
    def sample(self) -> tuple[int, int] | None:
        """How many companies were drawn, and of how many; None where all were evaluated."""
        if "sample" not in self.document:
            return None
        return int(self.document["sample"]), int(self.document["population"])

    def companies(self, metric: str) -> pd.DataFrame:
        """The companies' figures of one metric."""
        if metric not in self._companies and self.directory is not None:
            self._companies.clear()  # one at a time: a large run has 100,000 of each
            self._companies[metric] = self.directory.companies_of(metric)
        return self._companies[metric]

    def leaderboard(self, estimand: str = "equal_company", value: str = "value") -> pd.DataFrame:
        """One row a model, one column a metric; all cutoffs, common coverage, best first."""
        rows = self.figures(estimand)
        table = rows.pivot(index="model", columns="metric", values=value)
        return table.reindex(self._order(rows))

    def figures(self, estimand: str = "equal_company", coverage: str = "common") -> pd.DataFrame:
        """Rows of `pooled` over all cutoffs."""
        pooled = self.pooled
        return pooled[
            pooled["cutoff"].isna()
            & (pooled["coverage"] == coverage)
            & (pooled["estimand"] == estimand)
        ]

    def figure(
        self, metric: str, model: str, estimand: str = "equal_company", coverage: str = "common"
    ) -> pd.Series:
        """One of them; nulls where there is none."""
        rows = self.figures(estimand, coverage)
        rows = rows[(rows["metric"] == metric) & (rows["model"] == model)]
        return rows.iloc[0] if len(rows) else pd.Series(dtype=object).reindex(rows.columns)

    @cached_property
    def models(self) -> list[str]:
        """Models that answered wherever models are compared, best first by `PRIMARY`."""
        board = self.leaderboard()
        if PRIMARY not in board:
            return []
        return list(board.index[board[PRIMARY].notna()])

    @cached_property
    def telling(self) -> str:
        """The best model that tells customers apart: whose companies are looked at."""
        return next((m for m in self.models if m != "base_rate"), self.models[0])

    @cached_property
    def silent(self) -> list[str]:
        """Models without a single answer."""
        answered = self.statuses.loc[self.statuses["status"] == "ok", "model"]
        return sorted(set(self.statuses["model"]) - set(answered))

    @cached_property
    def n_companies(self) -> int:
        """Companies that every model answered for, at one cutoff at least."""
        return int(self.figure(PRIMARY, self.models[0])["n_companies"]) if self.models else 0

    @cached_property
    def n_cutoffs(self) -> int:
        """Cutoffs at which companies are compared."""
        rows = self.periods[self.periods["cutoff"].notna() & (self.periods["n_companies"] > 0)]
        return int(rows["cutoff"].nunique())

    @cached_property
    def window(self) -> str:
        """What a label window is called: a half-year, unless another horizon was asked for."""
        horizon = self.document.get("asked", {}).get("horizon", "6 months")
        return "half-year" if horizon == "6 months" else "window"

    def pair(
        self, metric: str, a: str, b: str, estimand: str = "equal_company", stratum: str = "all"
    ) -> Pair | None:
        """Two models compared, read from the side of `a`; None where they are not."""
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
        """Which way a metric is better: ``higher``, ``lower`` or ``target``."""
        if metric in METRICS:
            return METRICS[metric].better
        own = self.document.get("asked", {}).get("metrics", {})
        return str(own.get(metric, {}).get("better", "higher"))

    @cached_property
    def metrics(self) -> list[str]:
        """All metrics, the user's last."""
        return list(self.figures()["metric"].drop_duplicates())

    @cached_property
    def strata(self) -> list[str]:
        """Classes of company size, smallest first."""
        found = self.comparisons["stratum"].drop_duplicates()
        return [stratum for stratum in found if stratum != "all"]

    def _order(self, rows: pd.DataFrame) -> Sequence[str]:
        losses = rows[rows["metric"] == PRIMARY].set_index("model")["value"]
        others = sorted(set(rows["model"]) - set(losses.index))
        return [*losses.sort_values(kind="stable").index, *others]


_POOLED = {"metric": "metric", "model": "model", "estimand": "estimand", "coverage": "coverage"}
_COMPARED = {"metric": "metric", "model_a": "model", "model_b": "model_b", "estimand": "estimand"}
"""By column of a table, what names the same in the table `sampled`."""


def _of_all(
    table: pd.DataFrame, sampled: pd.DataFrame, keys: dict[str, str], value: str
) -> pd.DataFrame:
    """A table of a run of a sample with the figures of all companies in place of the sample's.

    Over all cutoffs and all sizes; the other rows, and what is said of the next company, stay those
    of the companies drawn.
    """
    figures = sampled[sampled["figure"] == "value"]
    if "model_b" in keys:
        figures = figures[figures["model_b"].notna()]
        replaced = table["stratum"] == "all"
    else:
        figures = figures[figures["model_b"].isna()]
        replaced = table["cutoff"].isna()
    new = figures[[*keys.values(), "value", "std_error", "ci_low", "ci_high", "ci_reason"]]
    new.columns = pd.Index([*keys, value, "std_error", "ci_low", "ci_high", "ci_reason"])
    columns = [value, "std_error", "ci_low", "ci_high", "ci_reason"]
    found = table[list(keys)].merge(new, how="left", on=list(keys))
    told = (replaced & found[value].notna().to_numpy()).to_numpy()
    table = table.copy()
    for column in columns:
        table.loc[told, column] = found.loc[told, column].to_numpy()
    return table


class Pair:
    """A comparison of two models, positive where `a` is better.

    Attributes
    ----------
    better_by, low, high : float
        The difference and its interval.
    margin, std_error, sampling_std_error, p_adjusted : float
    wins, ties, losses, n : int
        Companies.
    equivalent : bool
    next_low, next_high : float
        The true difference at the next company.
    p_better, p_better_by_margin, p_worse_by_margin : float
        Of the true difference at the next company.
    """

    def __init__(self, row: pd.Series, a: str, b: str, metric: str, *, higher: bool) -> None:
        a_is_first = row["model_a"] == a
        sign = 1.0 if a_is_first == higher else -1.0  # a target's distance is better lower
        self.a, self.b, self.metric = a, b, metric
        self.better_by = sign * float(row["mean_difference"])
        self.low, self.high = _turned(sign, row["ci_low"], row["ci_high"])
        self.next_low, self.next_high = _turned(sign, row["prediction_low"], row["prediction_high"])
        self.std_error, self.n = float(row["std_error"]), int(row["n_companies"])
        self.sampling_std_error = float(row["sampling_std_error"])
        self.margin, self.n_effective = float(row["margin"]), float(row["n_effective"])
        self.p_adjusted = float(row["p_adjusted"])
        self.equivalent = False if pd.isna(row["equivalent"]) else bool(row["equivalent"])
        self.heterogeneity_reason = str(row["heterogeneity_reason"] or "")
        wins, losses = ("wins", "losses") if a_is_first else ("losses", "wins")
        self.wins, self.losses, self.ties = (_count(row[c]) for c in (wins, losses, "ties"))
        better = float(row["probability_a_better"])
        self.p_better = better if a_is_first else 1 - better
        by_margin = [float(row[f"probability_{m}_better_by_margin"]) for m in ("a", "b")]
        self.p_better_by_margin, self.p_worse_by_margin = (
            by_margin if a_is_first else by_margin[::-1]
        )

    @property
    def known(self) -> bool:
        """The interval leaves out 0."""
        return bool(self.low > 0 or self.high < 0)

    @property
    def surely_better(self) -> bool:
        """Better by the interval, and by more than the margin in the middle."""
        return bool(self.low > 0 and self.better_by > self.margin)

    @property
    def surely_worse(self) -> bool:
        """The same of b."""
        return bool(self.high < 0 and -self.better_by > self.margin)

    def by_chance(self) -> tuple[float, float]:
        """What customers' chance leaves possible at these companies in these windows, 95 %."""
        half = 1.959964 * self.sampling_std_error
        return self.better_by - half, self.better_by + half


def _turned(sign: float, low: float, high: float) -> tuple[float, float]:
    ends = sorted([sign * float(low), sign * float(high)])
    return ends[0], ends[1]


def _count(value: Any) -> int:
    return 0 if pd.isna(value) else int(value)
