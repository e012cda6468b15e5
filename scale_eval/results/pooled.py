"""The table `pooled`: figures over companies, by three estimands that answer different questions.

``row``
    All customers in one: what a customer drawn at random meets. A rank metric then also rewards
    knowing which company has many buyers.
``within_company``
    Rank metrics where only customers of one company at one cutoff are compared: pairs of a positive
    and a negative (`roc_auc`), positives (`average_precision`), each company's own top tenth (gain,
    lift, value), summed over windows.
``equal_company``
    Each company counts once: its own figure over its cutoffs, then the mean over companies; O:E as
    a geometric mean; a skill as 1 - mean loss / mean reference loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import ROW_POOLED, Metric, ScoreHistogram, Undefined
from scale_eval.results.panel import Panel, terms
from scale_eval.results.schemas import POOLED_SCHEMA
from scale_eval.statistics.dispersion import dispersion

COVERAGES = ("own", "common")
RANKED = ("rank", "gain")

Figure = tuple[float, float, str]
"""A value, the bound of its error, and the reason where the value is NaN."""


def pooled_table(
    panel: Panel, metrics: list[Metric], scores: pa.Table, groups: dict[str, int]
) -> pa.Table:
    """One row a (model, metric, cutoff or all, estimand, coverage).

    Parameters
    ----------
    scores : Table
        Merged histograms, by group of companies.
    groups : dict
        The group of each company.

    Notes
    -----
    Dispersion (`mean` to `max`) stands on ``equal_company`` rows and is of the companies' own
    figures. The columns of inference are null.
    """
    pool = _Pool(panel, scores, groups)
    cutoffs = [None, *sorted(panel.windows["cutoff"].dropna().unique())]
    rows = [
        {"model": panel.models[j], "metric": metric.name, "cutoff": cutoff, "coverage": coverage}
        | row
        for j in range(len(panel.models))
        for metric in metrics
        for cutoff in cutoffs
        for coverage in COVERAGES
        for row in pool.rows(metric, j, cutoff, coverage)
    ]
    return pa.Table.from_pylist(
        [{k: _null_if_nan(v) for k, v in row.items()} for row in rows], schema=POOLED_SCHEMA
    )


class _Pool:
    """The estimands of one metric, model, cutoff and coverage at a time."""

    def __init__(self, panel: Panel, scores: pa.Table, groups: dict[str, int]) -> None:
        self.panel = panel
        self.group = np.array([groups[company] for company in panel.windows["company_id"]])
        self.cutoff = panel.windows["cutoff"].to_numpy()
        frame = scores.to_pandas()
        self.scores = dict(list(frame.groupby("model", sort=False)))
        self._histograms: dict[tuple[int, Any, str], ScoreHistogram | None] = {}

    def rows(
        self, metric: Metric, model: int, cutoff: pd.Timestamp | None, coverage: str
    ) -> Iterator[dict[str, Any]]:
        panel = self.panel
        at = np.ones(len(panel.windows), dtype=bool)
        if cutoff is not None:
            at = (panel.windows["cutoff"] == cutoff).to_numpy()
        windows = at & panel.covered(coverage)[:, model]
        defined = windows & ~np.isnan(panel.columns[metric.name][:, model])
        figures = terms(panel, metric, model, weighted=False).by_company(panel, windows)
        counts = {
            "n_companies": len(np.unique(panel.company[windows])),
            "n_companies_defined": int(np.count_nonzero(~np.isnan(figures))),
            "n_defined": int(defined.sum()),
            "n_undefined": int(windows.sum() - defined.sum()),
            "undefined_reasons": panel.undefined_reasons(metric.name, model, windows & ~defined),
            "n_skipped": int((at & panel.skipped[:, model]).sum()),
            "n_failed": int((at & panel.failed[:, model]).sum()),
            "n_not_common": int((at & panel.ok[:, model]).sum() - windows.sum()),
        }
        for estimand, (value, bound, reason) in self._estimands(
            metric, model, windows, figures, cutoff, coverage
        ):
            row: dict[str, Any] = {"estimand": estimand, "reason": reason, **counts}
            row |= {"value": value, "error_bound": bound}
            if estimand == "equal_company":
                if metric.pooling == "ratio":  # a company's ratio of 0 has no logarithm to average
                    n_zero = int(np.count_nonzero(figures == 0))
                    figures = np.where(figures == 0, np.nan, figures)
                    row["n_companies_defined"] -= n_zero
                    if n_zero:
                        told = f"{row['undefined_reasons']};no_positives (companies):{n_zero}"
                        row["undefined_reasons"] = told.removeprefix(";")
                row |= dispersion(figures[~np.isnan(figures)])
            yield row

    def _estimands(
        self, metric: Metric, model: int, windows: np.ndarray, figures: np.ndarray,
        cutoff: pd.Timestamp | None, coverage: str,
    ) -> Iterator[tuple[str, Figure]]:  # fmt: skip
        if not windows.any():
            nothing = (np.nan, np.nan, "no_evaluations")
            yield from ((estimand, nothing) for estimand in estimands(metric))
            return
        weighted = terms(self.panel, metric, model, weighted=True)
        for estimand in estimands(metric):
            if estimand == "equal_company":
                yield estimand, self._equal(metric, model, windows, figures)
            elif estimand == "row" and metric.name in ROW_POOLED:
                yield estimand, self._from_scores(metric, model, windows, cutoff, coverage)
            elif metric.pooling == "calibration":
                yield estimand, (np.nan, np.nan, "needs_company_intercepts")
            else:
                value = weighted.over(windows)
                reason = self._reason(metric, model, windows) if np.isnan(value) else ""
                yield estimand, (value, 0.0, reason)

    def _equal(
        self, metric: Metric, model: int, windows: np.ndarray, figures: np.ndarray
    ) -> Figure:
        defined = ~np.isnan(figures)
        if metric.name == "calibration_slope":
            return np.nan, np.nan, "needs_random_effects"
        if metric.pooling == "ratio":
            defined &= figures > 0  # the mean is of logs
            if not defined.any():
                return np.nan, np.nan, "no_positives"
            return float(np.exp(np.log(figures[defined]).mean())), 0.0, ""
        if not defined.any():
            return np.nan, np.nan, self._reason(metric, model, windows)
        if metric.pooling == "skill":
            parts = terms(self.panel, metric, model, weighted=False)
            loss, reference = parts.sums_by_company(self.panel, windows)
            n = np.bincount(
                self.panel.company[windows & parts.defined], minlength=len(loss)
            )[defined]  # fmt: skip
            mean_reference = (reference[defined] / n).mean()
            return float(1.0 - (loss[defined] / n).mean() / mean_reference), 0.0, ""
        return float(figures[defined].mean()), 0.0, ""

    def _from_scores(
        self, metric: Metric, model: int, windows: np.ndarray,
        cutoff: pd.Timestamp | None, coverage: str,
    ) -> Figure:  # fmt: skip
        key = (model, cutoff, coverage)
        if key not in self._histograms:
            self._histograms[key] = self._merged(model, windows, cutoff, coverage)
        merged = self._histograms[key]
        if merged is None:
            return np.nan, np.nan, "scores_not_kept_by_company"
        try:
            value, bound = ROW_POOLED[metric.name](merged)
        except Undefined as undefined:
            return np.nan, np.nan, undefined.reason
        return value, np.nan if bound is None else bound, ""

    def _merged(
        self, model: int, windows: np.ndarray, cutoff: pd.Timestamp | None, coverage: str
    ) -> ScoreHistogram | None:
        """The scores of these windows; None where they were only kept together with others."""
        frame = self.scores[self.panel.models[model]]
        if cutoff is not None:
            frame = frame[frame["cutoff"] == cutoff]
        left_out = self.panel.ok[:, model] & ~windows
        if coverage == "common" and left_out.any():
            cells = pd.MultiIndex.from_arrays([self.cutoff[windows], self.group[windows]])
            others = pd.MultiIndex.from_arrays([self.cutoff[left_out], self.group[left_out]])
            if cells.isin(others).any():
                return None
            kept = pd.MultiIndex.from_frame(frame[["cutoff", "company_group"]]).isin(cells)
            frame = frame[kept]
        columns = ("bin", "n_positive", "n_negative", "spend_minor")
        return ScoreHistogram.of_rows(*(frame[column].to_numpy() for column in columns))

    def _reason(self, metric: Metric, model: int, windows: np.ndarray) -> str:
        counted = self.panel.undefined_reasons(metric.name, model, windows)
        reasons = sorted({entry.partition(":")[0] for entry in counted.split(";")})
        return "+".join(filter(None, reasons)) or "no_expected"


def estimands(metric: Metric) -> tuple[str, ...]:
    """The estimands that a metric has."""
    if metric.pooling == "own":
        return ("equal_company",)
    if metric.pooling in RANKED or metric.name == "calibration_slope":
        return ("row", "within_company", "equal_company")
    return ("row", "equal_company")


def _null_if_nan(value: Any) -> Any:
    if isinstance(value, float) and np.isnan(value):
        return None
    return value
