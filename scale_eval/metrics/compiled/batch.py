"""Metrics of all windows and models of companies, in one compiled call."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.histogram import add_to_histogram, take_out
from scale_eval.metrics.compiled.scoring import score_into
from scale_eval.metrics.compiled.values import COUNTS
from scale_eval.metrics.histogram import N_BINS

N_DISTINCT = COUNTS.index("n_distinct")

APART = -1
"""Stands for the number of a histogram where the evaluation has one of its own."""


@compiled
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
    groups, bought, future_spend : ndarray of uint8, bool, float64, shape (n,)
    references : ndarray of float64, shape (n_windows,)
        As in `score_into`, like the last four parameters.
    cells : ndarray of int64, shape (n_windows, n_models)
        The index in `histograms`, shape (n_cells, N_BINS, 4), of the histogram that an evaluation
        is added to; `APART` for an evaluation whose own histogram is returned instead.
    values, reasons, counts, influence : ndarray, shape (n_windows * n_models, ...)
        Output: by window, then model.

    Returns
    -------
    ends : ndarray of int64, shape (n_apart + 1,)
        The first is 0; then the end, in `bins`, of each evaluation that is `APART`, in order.
    bins, counts : ndarray of int64, shape (n,) and (n, 4)
        The bins that hold customers, ascending, and their counts, evaluation by evaluation.
    """
    n_windows, n_models = predicted.shape
    n_apart = most = 0
    for w in range(n_windows):
        for m in range(n_models):
            if predicted[w, m] and cells[w, m] == APART:
                n_apart += 1
                most += min(n_customers[w], N_BINS)
    ends, apart = np.zeros(n_apart + 1, np.int64), 0
    bins, bin_counts = np.empty(most, np.int64), np.empty((most, 4), np.int64)
    scratch = np.zeros((N_BINS, 4), np.int64)
    for w in range(n_windows):
        first, last = start[w], start[w] + n_customers[w]
        for m in range(n_models):
            if predicted[w, m]:
                row = w * n_models + m
                p = probabilities[m, first:last]
                score_into(
                    bought[first:last],
                    p,
                    future_spend[first:last],
                    references[w],
                    groups[first:last],
                    values[row],
                    reasons[row],
                    counts[row],
                    influence[row],
                )
                is_apart = cells[w, m] == APART
                histogram = scratch if is_apart else histograms[cells[w, m]]
                add_to_histogram(
                    bought[first:last],
                    p,
                    future_spend[first:last],
                    counts[row, N_DISTINCT],
                    histogram,
                )
                if is_apart:
                    begin = ends[apart]
                    ends[apart + 1] = begin + take_out(scratch, bins[begin:], bin_counts[begin:])
                    apart += 1
    return ends, bins[: ends[apart]], bin_counts[: ends[apart]]


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
