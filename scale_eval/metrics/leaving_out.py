"""How all customers rank without each group of them in turn.

Arrays are of shape (n_groups, n_blocks): customers who bought or did not, by group, in blocks of
equal probability from the lowest to the highest. One compiled pass for each group; what it ranks
is that of `ranking` for the customers of all others.
"""

from __future__ import annotations

import numba
import numpy as np


def auc_without_each(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """`roc_auc` without each group; NaN where one class is left; shape (n_groups,).

    Exact as that of blocks is: pairs are counted in integers, and divided as integers.
    """
    counted = _pairs(positives, negatives, positives.sum(axis=0), negatives.sum(axis=0)).tolist()
    return np.array([won / (2 * p * n) if p and n else np.nan for won, p, n in counted])


def average_precision_without_each(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """`average_precision` without each group; NaN where no buyer is left; shape (n_groups,)."""
    return np.asarray(
        _precisions(positives, negatives, positives.sum(axis=0), negatives.sum(axis=0))
    )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _pairs(
    positives: np.ndarray,
    negatives: np.ndarray,
    all_positives: np.ndarray,
    all_negatives: np.ndarray,
) -> np.ndarray:
    """Twice the pairs ranked right, ties once; buyers; others; shape (n_groups, 3)."""
    counted = np.empty((len(positives), 3), dtype=np.int64)
    for g in range(len(positives)):
        won_twice, bought, below = 0, 0, 0
        for i in range(len(all_positives)):
            p, n = all_positives[i] - positives[g, i], all_negatives[i] - negatives[g, i]
            won_twice += p * (2 * below + n)
            bought += p
            below += n
        counted[g] = won_twice, bought, below
    return counted


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _precisions(
    positives: np.ndarray,
    negatives: np.ndarray,
    all_positives: np.ndarray,
    all_negatives: np.ndarray,
) -> np.ndarray:
    without = np.empty(len(positives))
    for g in range(len(positives)):
        of_buyers, bought, rows = 0.0, 0, 0
        for i in range(len(all_positives) - 1, -1, -1):
            p = all_positives[i] - positives[g, i]
            bought += p
            rows += p + all_negatives[i] - negatives[g, i]
            of_buyers += p * (bought / max(rows, 1))
        without[g] = of_buyers / bought  # NaN where there is none
    return without
