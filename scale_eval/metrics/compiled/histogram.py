"""The histogram of scores, compiled: each customer of one evaluation is added where it belongs."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled.simd import bits_of
from scale_eval.metrics.histogram import EDGES

CELL_SHIFT = 52 - 8
"""Cells of probability share their first 8 bits after the point: 256 to a doubling, narrower than
the narrowest bin (1/683 beside 1/4), so that none holds two edges."""

FIRST_CELL = int(EDGES[:1].view(np.int64)[0] >> CELL_SHIFT)
N_CELLS = int(np.array([0.5]).view(np.int64)[0] >> CELL_SHIFT) - FIRST_CELL + 1

_EDGES_AND_END = np.append(EDGES, np.inf)


def _least_bins() -> np.ndarray:
    """The lowest bin of each cell, int16 of shape (2, N_CELLS): by p < 1/2, and by 1 - p."""
    lowest = ((np.arange(N_CELLS) + FIRST_CELL) << CELL_SHIFT).view(np.float64)
    beyond = np.append(lowest[1:], 0.5 + 2.0**-20)
    lowest[0] = 0.0  # what lies below the first edge shares its cell
    found: np.ndarray = np.searchsorted(EDGES, [lowest, 1 - beyond], side="right")
    return found.astype(np.int16)


_LEAST_BINS = _least_bins()


POSITIVE, NEGATIVE, SPEND_MINOR = range(3)
"""What is counted of each bin, side by side."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def add_to_histogram(
    outcomes: np.ndarray, probabilities: np.ndarray, future_spend: np.ndarray, counts: np.ndarray
) -> None:
    """Add n customers to a histogram, as `metrics.histogram` counts them.

    Parameters
    ----------
    outcomes, probabilities, future_spend : ndarray of bool, float64, float64, shape (n,)
    counts : ndarray of int64, shape (N_BINS, 3)
        Buyers, others, and spend in minor units, each customer's rounded to even; added to in
        place.
    """
    for i in range(len(outcomes)):
        p = probabilities[i]
        mirrored = p >= 0.5
        cell = (bits_of(1 - p if mirrored else p) >> CELL_SHIFT) - FIRST_CELL
        found = np.int64(_LEAST_BINS[np.int64(mirrored), max(cell, 0)])
        found += _EDGES_AND_END[found] <= p
        counts[found, NEGATIVE - np.int64(outcomes[i])] += 1
        if future_spend[i] > 0:
            counts[found, SPEND_MINOR] += np.int64(np.rint(100 * future_spend[i]))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def take_out(histogram: np.ndarray, bins: np.ndarray, counts: np.ndarray) -> int:
    """Empty a histogram, shape (N_BINS, 3), into the bins that hold somebody and their counts.

    `bins`, shape (n,), and `counts`, shape (n, 3), are filled from their beginning; returns how
    far.
    """
    n = 0
    for found in range(len(histogram)):
        if histogram[found, POSITIVE] + histogram[found, NEGATIVE]:
            bins[n] = found
            counts[n] = histogram[found]
            histogram[found] = 0
            n += 1
    return n
