"""All scores of companies: each window by each model that answered, in one compiled call."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled import score_into
from scale_eval.metrics.compiled_histogram import add_to_histogram


@numba.njit(nogil=True, cache=True, error_model="numpy")
def score_folds_into(
    answered: np.ndarray, probabilities: np.ndarray, start: np.ndarray, n_customers: np.ndarray,
    groups: np.ndarray, bought: np.ndarray, future_spend: np.ndarray, references: np.ndarray,
    cells: np.ndarray, histograms: np.ndarray,
    values: np.ndarray, reasons: np.ndarray, counts: np.ndarray, influence: np.ndarray,
) -> None:  # fmt: skip
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
        Which of the `histograms`, shape (n_cells, N_BINS, 3), an evaluation is counted in.
    values, reasons, counts, influence : ndarray, shape (n_folds * n_models, ...)
        Out: by fold, then model.
    """
    n_folds, n_models = answered.shape
    for f in range(n_folds):
        first, last = start[f], start[f] + n_customers[f]
        for m in range(n_models):
            if answered[f, m]:
                row = f * n_models + m
                p = probabilities[m, first:last]
                score_into(
                    bought[first:last], p, future_spend[first:last], references[f],
                    groups[first:last], values[row], reasons[row], counts[row], influence[row],
                )  # fmt: skip
                add_to_histogram(
                    bought[first:last], p, future_spend[first:last], histograms[cells[f, m]]
                )


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
def spend_of_folds(
    future_spend: np.ndarray, start: np.ndarray, n_customers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Their sum and the largest of each fold; float64 of shape (n_folds,)."""
    total, largest = np.zeros(len(start)), np.zeros(len(start))
    for f in range(len(start)):
        for i in range(start[f], start[f] + n_customers[f]):
            total[f] += future_spend[i]
            largest[f] = max(largest[f], future_spend[i])
    return total, largest
