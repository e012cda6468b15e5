"""All scores of companies: each window by each model that answered, in one compiled call."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled.histogram import add_to_histogram, take_out
from scale_eval.metrics.compiled.scoring import score_into
from scale_eval.metrics.histogram import N_BINS

APART = -1
"""Instead of a histogram's number: the evaluation has one of its own."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def score_windows_into(
    answered: np.ndarray,
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
    """Fill the figures of evaluations, and add to the histograms of scores.

    Parameters
    ----------
    answered : ndarray of bool, shape (n_folds, n_models)
        The others are left as they are.
    probabilities : ndarray of float64, shape (n_models, n)
        Of each fold `n_customers` from `start` on, as in the arrays by customer.
    start, n_customers : ndarray of int64, shape (n_folds,)
    groups, bought, future_spend : ndarray of uint8, bool, float64, shape (n,)
    references : ndarray of float64, shape (n_folds,)
        As `score_into` takes them, and as the last four below.
    cells : ndarray of int64, shape (n_folds, n_models)
        Which of the `histograms`, shape (n_cells, N_BINS, 3), an evaluation is counted in; or
        `APART`, where it is alone in it: then what is not zero of it is returned.
    values, reasons, counts, influence : ndarray, shape (n_folds * n_models, ...)
        Out: by fold, then model.

    Returns
    -------
    ends : ndarray of int64, shape (n_apart + 1,)
        From 0: where what follows ends of each evaluation that stands apart, by fold, then model.
    bins, counts : ndarray of int64, shape (n,) and (n, 3)
        Of each of them the bins that hold somebody, ascending, and what they hold.
    """
    n_folds, n_models = answered.shape
    n_apart = most = 0
    for f in range(n_folds):
        for m in range(n_models):
            if answered[f, m] and cells[f, m] == APART:
                n_apart += 1
                most += min(n_customers[f], N_BINS)
    ends, apart = np.zeros(n_apart + 1, np.int64), 0
    bins, of_bins = np.empty(most, np.int64), np.empty((most, 3), np.int64)
    alone = np.zeros((N_BINS, 3), np.int64)
    for f in range(n_folds):
        first, last = start[f], start[f] + n_customers[f]
        for m in range(n_models):
            if answered[f, m]:
                row = f * n_models + m
                p = probabilities[m, first:last]
                score_into(
                    bought[first:last],
                    p,
                    future_spend[first:last],
                    references[f],
                    groups[first:last],
                    values[row],
                    reasons[row],
                    counts[row],
                    influence[row],
                )
                is_apart = cells[f, m] == APART
                histogram = alone if is_apart else histograms[cells[f, m]]
                add_to_histogram(bought[first:last], p, future_spend[first:last], histogram)
                if is_apart:
                    begin = ends[apart]
                    ends[apart + 1] = begin + take_out(alone, bins[begin:], of_bins[begin:])
                    apart += 1
    return ends, bins[: ends[apart]], of_bins[: ends[apart]]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def are_probabilities(values: np.ndarray, start: np.ndarray, n_customers: np.ndarray) -> np.ndarray:
    """Whether what stands for each fold, in `values` of shape (n,), is from 0 to 1."""
    are = np.ones(len(start), np.bool_)
    for f in range(len(start)):
        for i in range(start[f], start[f] + n_customers[f]):
            if not 0 <= values[i] <= 1:  # NaN is not
                are[f] = False
                break
    return are


@numba.njit(nogil=True, cache=True, error_model="numpy")
def spend_of_windows(
    future_spend: np.ndarray, start: np.ndarray, n_customers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Their sum and the largest of each fold; float64 of shape (n_folds,)."""
    total, largest = np.zeros(len(start)), np.zeros(len(start))
    for f in range(len(start)):
        for i in range(start[f], start[f] + n_customers[f]):
            total[f] += future_spend[i]
            largest[f] = max(largest[f], future_spend[i])
    return total, largest
