"""A figure over all windows: the estimands ``row`` and ``within_company``.

It is a quotient of sums of the windows' terms, unless the metric computes it from merged histograms
(`RowForm`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scale_eval.metrics import Metric, RowForm, Undefined, mid_logit
from scale_eval.metrics.base import ROW, WITHIN_COMPANY
from scale_eval.metrics.histogram import TiedCustomers
from scale_eval.metrics.pooling import CUSTOMERS, POSITIVES, Amount
from scale_eval.metrics.row_form import TIE_COLUMNS, FitWithinWindows
from scale_eval.results.estimates import Estimate, summed
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.ratio_terms import Sums, Terms


def pooled_figure(
    panel: Panel,
    metric: Metric,
    model: int,
    windows: np.ndarray,
    estimand: str,
    scores: PooledHistograms | None,
    cutoff: int | None,
    coverage: str,
    sums: Sums,
) -> Estimate:
    """Return one figure of these windows, which are those of `cutoff` in `coverage`.

    `sums` are those of the weighted `terms` over the windows. `scores` are needed where the metric
    has a `row_form`. Reasons: ``no_evaluations``;
    ``scores_not_kept_by_company``, where there are more companies than groups of histograms; and
    those of the metric.
    """
    if not len(windows):
        return Estimate(np.nan, "no_evaluations")
    form = metric.row_form
    try:
        if form is None or scores is None:
            return summed(panel, metric, model, windows, sums)
        if estimand == ROW:
            return _from_merged_histograms(panel, form, model, windows, scores, cutoff, coverage)
        if form.within_windows and estimand == WITHIN_COMPANY:
            return _within_windows(panel, form.within_windows, model, scores, cutoff, coverage)
    except Undefined as undefined:
        return Estimate(np.nan, undefined.reason)
    return summed(panel, metric, model, windows, sums)


def _from_merged_histograms(
    panel: Panel,
    form: RowForm,
    model: int,
    windows: np.ndarray,
    scores: PooledHistograms,
    cutoff: int | None,
    coverage: str,
) -> Estimate:
    """Return a figure of merged histograms, its error from leaving out groups of companies."""
    grouped = scores.of(model, cutoff, coverage)
    if grouped is None:
        raise Undefined("scores_not_kept_by_company")
    merged = grouped.total
    if form.knows_ties:
        merged = replace(merged, tied_pairs=_tied_pairs(panel, model, windows, grouped.tied))
    value, bound = form.value(merged)
    return Estimate(
        value,
        error_bound=np.nan if bound is None else bound,
        weight=company_weight(panel, form.weight, model, windows),
        replicates=form.without_each(grouped),
        smooth=form.smooth,
    )


def _tied_pairs(panel: Panel, model: int, windows: np.ndarray, tied: TiedCustomers | None) -> int:
    """Return the pairs of a buyer and another customer who are known to have the same score.

    Known are those of windows where all customers have one, as from `base_rate`, and those of bins
    that have one score in the histogram of a group of companies. Means of a score differ in their
    last digits: scores that agree in the first 40 bits are one. Customers may be known in both
    ways: of each score the way that knows more pairs is counted.
    """
    n_distinct, score = (panel.values(name, model, windows) for name in TIE_COLUMNS)
    one, score = windows[n_distinct == 1], score[n_distinct == 1]
    scores, of_window = np.unique(_rounded(score), return_inverse=True)
    positives = np.bincount(of_window, panel.values("n_positive", model, one), len(scores))
    customers = np.bincount(of_window, panel.values("n_customers", model, one), len(scores))
    pairs = positives * (customers - positives)
    if tied is None:
        return int(pairs.sum())
    both, at = np.unique(np.append(scores, _rounded(tied.score)), return_inverse=True)
    by_window = np.bincount(at[: len(scores)], pairs, len(both))
    by_bin = np.bincount(at[len(scores) :], tied.n_positive * tied.n_negative, len(both))
    return int(np.maximum(by_window, by_bin).sum())


def _rounded(score: np.ndarray) -> np.ndarray:
    """Return the first 40 bits of each score's 52, rounded, as integers."""
    return (np.ascontiguousarray(score).view(np.int64) + (1 << 11)) >> 12


def company_weight(
    panel: Panel, amount: Amount | None, model: int, windows: np.ndarray
) -> np.ndarray:
    """Return the weight of each company: its share in what counts; shape (n_companies,).

    Without an `amount` it weighs half by its positives, half by its negatives.
    """

    def column(name: str) -> np.ndarray:
        return panel.columns[name][:, model]

    counted = (amount or POSITIVES).of(column)
    sums = Terms(counted, CUSTOMERS.of(column)).over(panel, windows)
    if amount is not None:
        return sums.numerator
    positive, negative = sums.numerator, sums.denominator - sums.numerator
    return np.asarray(positive / max(positive.sum(), 1) + negative / max(negative.sum(), 1))


def _within_windows(
    panel: Panel,
    fit_within: FitWithinWindows,
    model: int,
    scores: PooledHistograms,
    cutoff: int | None,
    coverage: str,
) -> Estimate:
    """Return the figure of one regression with an intercept for each window, logits to 1/128."""
    rows = scores.by_window(model, cutoff, coverage)
    window = rows["group"] * len(panel.cutoffs) + rows["cutoff"]
    fit = fit_within(mid_logit(rows["bin"]), rows["n_positive"], rows["n_negative"], window)
    company = scores.company_of_group[fit.strata // len(panel.cutoffs)]
    n = len(scores.company_of_group)
    return Estimate(
        fit.slope,
        error_bound=np.nan,
        influence=np.bincount(company, weights=fit.influence, minlength=n),
        weight=np.bincount(company, weights=fit.information, minlength=n),
    )
