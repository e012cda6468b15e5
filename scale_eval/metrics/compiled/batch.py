"""Metrics of all windows and models of companies, in one compiled call."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import stride_of
from scale_eval.metrics.compiled.evaluation import score_into
from scale_eval.metrics.compiled.histogram import take_out
from scale_eval.metrics.compiled.scratch import Scratch, scratch_of
from scale_eval.metrics.compiled.windows import window_into
from scale_eval.metrics.histogram import N_BINS

APART = -1
"""Stands for the number of a histogram where the evaluation has one of its own."""


def score_windows_into(
    predicted: np.ndarray,
    probabilities: np.ndarray,
    start: np.ndarray,
    n_customers: np.ndarray,
    groups: np.ndarray,
    bought: np.ndarray,
    future_spend: np.ndarray,
    references: np.ndarray,
    cells: np.ndarray,
    histograms: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the figures of many evaluations, and add to the histograms of scores.

    Parameters
    ----------
    predicted : ndarray of bool, shape (n_windows, n_models)
        Evaluations to score; the others are left as they are.
    probabilities : ndarray of float64, shape (n_models, n)
        Those of a window are `n_customers` from `start` on, as in the arrays by customer.
    start, n_customers : ndarray of int64, shape (n_windows,)
        There are customers in each window with a prediction.
    groups, bought, future_spend : ndarray of uint8, bool, float64, shape (n,)
        `groups` are from `customer_groups`.
    references : ndarray of float64, shape (n_windows,)
        Prediction of the base rate known at the cutoff; NaN where there is none.
    cells : ndarray of int64, shape (n_windows, n_models)
        The index in `histograms`, shape (n_cells, N_BINS, 4), of the histogram that an evaluation
        is added to; `APART` for an evaluation whose own histogram is returned instead.
    values : ndarray of float64, shape (n_windows * n_models, len(VALUES))
        Output, like all that follow, by window, then model; NaN where undefined.
    reasons : ndarray of uint8, shape (n_windows * n_models, len(VALUES))
        Indices into `REASONS`.
    counts : ndarray of int64, shape (n_windows * n_models, len(COUNTS))
    influence : ndarray of float32, shape (n_windows * n_models, len(INFLUENCED), N_GROUPS)
        As `influence_sums`; NaN where a metric has none.

    Returns
    -------
    ends : ndarray of int64, shape (n_apart + 1,)
        The first is 0; then the end, in `bins`, of each evaluation that is `APART`, in order.
    bins, counts : ndarray of int64, shape (n,) and (n, 4)
        The bins that hold customers, ascending, and their counts, evaluation by evaluation.
    """
    most = int(n_customers.max(initial=1))
    apart = predicted & (cells == APART)
    n_bins = int((np.minimum(n_customers, N_BINS)[:, np.newaxis] * apart).sum())
    ends = np.zeros(np.count_nonzero(apart) + 1, np.int64)
    bins, bin_counts = np.empty(n_bins, np.int64), np.empty((n_bins, 4), np.int64)
    _score_windows(
        predicted,
        probabilities,
        start,
        n_customers,
        groups,
        bought,
        future_spend,
        references,
        cells,
        histograms,
        values,
        reasons,
        counts,
        influence,
        ends,
        bins,
        bin_counts,
        scratch_of(most),
    )
    return ends, bins[: ends[-1]], bin_counts[: ends[-1]]


@compiled
def _score_windows(
    predicted: np.ndarray,
    probabilities: np.ndarray,
    start: np.ndarray,
    n_customers: np.ndarray,
    groups: np.ndarray,
    bought: np.ndarray,
    future_spend: np.ndarray,
    references: np.ndarray,
    cells: np.ndarray,
    histograms: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
    ends: np.ndarray,
    bins: np.ndarray,
    bin_counts: np.ndarray,
    scratch: Scratch,
) -> None:
    """Do as `score_windows_into`, with empty arrays for what that returns."""
    n_models, apart = predicted.shape[1], 0
    for w in range(len(predicted)):
        first, n, n_spenders = start[w], n_customers[w], -1
        for m in range(n_models):
            if not predicted[w, m]:
                continue
            if n_spenders < 0:  # this model is the window's first
                n_spenders = window_into(
                    bought[first : first + n],
                    future_spend[first : first + n],
                    groups[first : first + n],
                    scratch.tags,
                    scratch.spenders,
                    scratch.spent,
                    scratch.by_group,
                )
            row, stride, p = w * n_models + m, stride_of(n), probabilities[m, first : first + n]
            cell = cells[w, m]
            histogram = scratch.histogram if cell == APART else histograms[cell]
            n_blocks = score_into(
                p,
                references[w],
                stride,
                n_spenders,
                histogram,
                scratch,
                values[row],
                reasons[row],
                counts[row],
                influence[row],
            )
            if cell == APART:
                ends[apart + 1] = take_out(
                    histogram, scratch.bins, n_blocks, bins, bin_counts, ends[apart]
                )
                apart += 1


@compiled
def are_probabilities(values: np.ndarray, start: np.ndarray, n_customers: np.ndarray) -> np.ndarray:
    """Return, for each window, whether all its `values`, of shape (n,), are from 0 to 1."""
    are = np.ones(len(start), np.bool_)
    for w in range(len(start)):
        for i in range(start[w], start[w] + n_customers[w]):
            if not 0 <= values[i] <= 1:  # NaN is not
                are[w] = False
                break
    return are


@compiled
def spend_of_windows(
    future_spend: np.ndarray, start: np.ndarray, n_customers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the largest spend of each window; float64 of shape (n_windows,)."""
    total, largest = np.zeros(len(start)), np.zeros(len(start))
    for w in range(len(start)):
        for i in range(start[w], start[w] + n_customers[w]):
            total[w] += future_spend[i]
            largest[w] = max(largest[w], future_spend[i])
    return total, largest
