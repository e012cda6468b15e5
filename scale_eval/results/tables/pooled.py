"""The table `pooled`: figures over companies, with how sure they are and how companies differ.

The estimands answer different questions, see `scale_eval.results.estimates`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.metrics import Metric, RowForm
from scale_eval.metrics.base import EQUAL_COMPANY, ROW
from scale_eval.results.customer_influence import (
    InfluenceSums,
    Variances,
    small_sample_factor,
    variances,
)
from scale_eval.results.estimates import Estimate, equal_company
from scale_eval.results.heterogeneity import Scaled, heterogeneity, mean_of_effects, scaled
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_figures import pooled_figure
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.results.ratio_terms import Sums, Terms, terms
from scale_eval.statistics.dispersion import dispersion

COVERAGES = ("own", "common")


def pooled_table(pieces: Iterable[list[dict[str, Any]]]) -> pa.Table:
    """One row a (model, metric, cutoff or all, estimand, coverage).

    Notes
    -----
    `std_error`, `ci_low` and `ci_high` speak of companies like these; `sampling_std_error` of these
    companies in these half-years: what other customers of theirs would have changed. Dispersion
    (`mean` to `max`) and heterogeneity stand on ``equal_company`` rows. `std` is of the companies'
    measured figures, and holds true differences, noise and time together; `tau` is the standard
    deviation of the truth between companies, on `tau_scale`, and `prediction_low` to
    `prediction_high` holds the true figure of the next company with a probability of 95 %.

    Parameters
    ----------
    pieces : iterable of list
        From `pooled_of`, a metric each, in the order of the table.
    """
    frame = pd.DataFrame(list(itertools.chain.from_iterable(pieces)), columns=POOLED_SCHEMA.names)
    frame = frame.sort_values("model", kind="stable")
    return pa.Table.from_pandas(frame, schema=POOLED_SCHEMA, preserve_index=False)


def pooled_of(
    panel: Panel,
    metric: Metric,
    scores: RowScores,
    influence: np.ndarray | None,
    models: Sequence[int] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of one metric, of all models or of these positions in the panel."""
    cutoffs = list(panel.cutoffs)
    for model in range(len(panel.models)) if models is None else models:
        of_model = _OfModel.of(panel, metric, model, scores, influence)
        done: dict[tuple[int | None, str], tuple[int, list[dict[str, Any]]]] = {}
        for cutoff in (None, *range(len(panel.cutoffs))):
            at = -1 if cutoff is None else cutoff
            n_ended = {status: int(n[at, model]) for status, n in panel.n_ended.items()}
            for coverage in COVERAGES:
                windows = panel.covered(coverage, model, panel.at(cutoff))
                wider = (done.get(key) for key in ((None, coverage), (cutoff, "own")))
                # As many windows as in a selection that holds them all are the same windows.
                same = [rows for n, rows in filter(None, wider) if n == len(windows)]
                rows = same[0] if same else list(of_model.figures(windows, cutoff, coverage))
                done[cutoff, coverage] = len(windows), rows
                counts = {
                    "model": panel.models[model],
                    "metric": metric.name,
                    "cutoff": None if cutoff is None else cutoffs[cutoff],
                    "coverage": coverage,
                    "n_skipped": n_ended["skipped"],
                    "n_failed": n_ended["failed"],
                    "n_not_common": n_ended["ok"] - len(windows),
                }
                yield from (row | counts for row in rows)


@dataclass(frozen=True)
class _OfModel:
    """What the figures of one metric and model are made of, of every window of the panel.

    Attributes
    ----------
    own, weighted : Terms
    undefined : ndarray of bool, shape (n_windows,)
    influence : Influence or None
    few : ndarray, shape (n_windows,), or None
        With the influence: `small_sample_factor`.
    scaled : Scaled or None
        Of a metric with random effects.
    """

    panel: Panel
    metric: Metric
    model: int
    scores: RowScores
    own: Terms
    weighted: Terms
    undefined: np.ndarray
    influence: InfluenceSums | None
    few: np.ndarray | None
    scaled: Scaled | None

    @classmethod
    def of(
        cls,
        panel: Panel,
        metric: Metric,
        model: int,
        scores: RowScores,
        influence: np.ndarray | None,
    ) -> _OfModel:
        own, weighted = (terms(panel, metric, model, weighted=w) for w in (False, True))
        undefined = np.isnan(panel.columns[metric.name][:, model])
        few = None if influence is None else small_sample_factor(panel, metric, model)
        effects = None if metric.effects is None else scaled(panel, metric, model)
        of_model = None if influence is None else InfluenceSums.of(influence[:, model])
        return cls(panel, metric, model, scores, own, weighted, undefined, of_model, few, effects)

    def figures(
        self, windows: np.ndarray, cutoff: int | None, coverage: str
    ) -> Iterator[dict[str, Any]]:
        """The rows of one selection of windows, an estimand each."""
        metric, model, panel = self.metric, self.model, self.panel.of_cutoff(cutoff)
        own, weighted = (of.over(panel, windows) for of in (self.own, self.weighted))
        undefined = windows[self.undefined.take(windows)]
        counts = {
            "n_companies": panel.n_with(windows),
            "n_companies_defined": int(np.count_nonzero(~np.isnan(own.figures))),
            "n_defined": len(windows) - len(undefined),
            "n_undefined": len(undefined),
            "undefined_reasons": panel.undefined_reasons(metric.name, model, undefined),
        }
        chance = self._chance(panel, windows)
        for estimand in metric.estimands:
            row: dict[str, Any] = {"estimand": estimand, **counts}
            if estimand == EQUAL_COMPANY and len(windows):
                told, extra = self._of_companies(panel, windows, own, undefined)
                row |= extra
            else:
                told = pooled_figure(
                    panel, metric, model, windows, estimand, self.scores, cutoff, coverage, weighted
                )
            row |= _told(told, metric)
            of_merged_scores = metric.row_form is not None and estimand == ROW
            if of_merged_scores and self._floor is not None and not told.reason:
                row["constant_floor"] = self._floor.of(windows)
            # A figure of merged scores compares customers across windows: no sum over them.
            if chance is not None and not told.reason and not of_merged_scores:
                variance = chance.equal_company if estimand == EQUAL_COMPANY else chance.pooled
                scale = told.value if told.log else 1.0
                row["sampling_std_error"] = scale * float(np.sqrt(variance))
            yield row

    @cached_property
    def _floor(self) -> _Floor | None:
        form = self.metric.row_form
        return None if form is None or form.floor is None else _Floor(self.panel, form, self.model)

    def _chance(self, panel: Panel, windows: np.ndarray) -> Variances | None:
        """What customers' chance makes uncertain; None where it is not told."""
        if self.influence is None or self.metric.is_mean_of_effects:
            return None
        assert self.few is not None
        weights = self.weighted.weight, self.own.weight
        return variances(panel, windows, self.influence, *weights, self.few)

    def _of_companies(
        self, panel: Panel, windows: np.ndarray, own: Sums, undefined: np.ndarray
    ) -> tuple[Estimate, dict[str, Any]]:
        """The mean over companies, their dispersion and heterogeneity."""
        metric, model = self.metric, self.model
        told, defined = equal_company(panel, metric, model, windows, own)
        row: dict[str, Any] = dispersion(defined[~np.isnan(defined)])
        n_zero = int(np.count_nonzero(own.figures == 0)) if metric.pooling.log else 0
        if n_zero:  # a company's ratio of 0 has no logarithm to average
            reasons = panel.undefined_reasons(metric.name, model, undefined)
            named = f"{reasons};no_positives (companies):{n_zero}".removeprefix(";")
            row["undefined_reasons"] = named
            row["n_companies_defined"] = int(np.count_nonzero(~np.isnan(defined)))
        if self.influence is None or self.scaled is None or metric.effects is None:
            kept = metric.influence is not None
            reason = "losses_go_with_the_rate" if kept else "no_influence_kept"
            return told, row | {"heterogeneity_reason": reason}
        effects = self.scaled.effects(panel, windows, self.influence)
        row |= heterogeneity(effects, metric.effects)
        if metric.is_mean_of_effects:
            told = mean_of_effects(effects)
        return told, row


def _told(told: Estimate, metric: Metric) -> dict[str, Any]:
    interval = told.interval(metric.low, metric.high)
    return {
        "value": told.value,
        "reason": told.reason,
        "error_bound": np.nan if told.reason else told.error_bound,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "n_effective": told.n_effective,
    }


class _Floor:
    """The figure of all rows where each window's customers have its rate that came as score."""

    def __init__(self, panel: Panel, form: RowForm, model: int) -> None:
        assert form.floor is not None
        self._figure = form.floor
        customers = panel.columns["n_customers"][:, model]
        self._positive = panel.columns["n_positive"][:, model]
        self._negative = customers - self._positive
        rates, self._rank = np.unique(-self._positive / customers, return_inverse=True)
        self._n_rates = len(rates)

    def of(self, windows: np.ndarray) -> float:
        """At these windows, one at least; raises `Undefined`."""
        rank = self._rank.take(windows)  # one order does for all selections
        return self._figure(
            *(
                np.bincount(rank, count.take(windows), self._n_rates).astype(np.int64)
                for count in (self._positive, self._negative)
            )
        )


_DISTRIBUTION = ["mean", "std", "mad", "iqr", "min", "p05", "p25", "p50", "p75", "p95", "max"]


POOLED_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("metric", pa.string()),
        ("cutoff", TIMESTAMP),  # null: all cutoffs
        ("estimand", pa.string()),
        ("coverage", pa.string()),
        ("value", pa.float64()),
        ("reason", pa.string()),  # why `value` is null
        ("std_error", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("ci_reason", pa.string()),  # why they are null
        ("sampling_std_error", pa.float64()),  # customers' chance alone: these companies, then
        ("n_companies", pa.int64()),  # with at least one evaluation in the coverage
        ("n_companies_defined", pa.int64()),  # of these, where the metric is defined
        ("n_defined", pa.int64()),  # evaluations
        ("n_undefined", pa.int64()),
        ("undefined_reasons", pa.string()),  # "reason:count;..." sorted
        ("n_skipped", pa.int64()),
        ("n_failed", pa.int64()),
        ("n_not_common", pa.int64()),  # ok, but not for every model: out of the common coverage
        ("n_effective", pa.float64()),
        ("error_bound", pa.float64()),
        ("constant_floor", pa.float64()),  # roc_auc, row: what a constant per company reaches
        *[(name, pa.float64()) for name in _DISTRIBUTION],
        ("n_heterogeneity", pa.int64()),  # companies that the columns from here on stand on
        ("tau", pa.float64()),
        ("tau_low", pa.float64()),
        ("tau_high", pa.float64()),
        ("tau_scale", pa.string()),
        ("i_squared", pa.float64()),
        ("expected", pa.float64()),  # mean of the random effects, on the metric's scale
        ("expected_low", pa.float64()),
        ("expected_high", pa.float64()),
        ("prediction_low", pa.float64()),
        ("prediction_high", pa.float64()),
        ("heterogeneity_reason", pa.string()),  # why they, or the last two, are null
    ]
)
