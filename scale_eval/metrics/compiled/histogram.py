"""The histogram of scores, compiled: each customer of one evaluation is added to its bin."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled.simd import bits_of
from scale_eval.metrics.histogram import EDGES

CELL_SHIFT = 52 - 8
"""Bits dropped to find the cell of a probability. A cell shares the first 8 bits of the mantissa:
256 cells to a doubling, narrower than the narrowest bin (1/683 at 1/4), so none holds two edges."""

FIRST_CELL = int(EDGES[:1].view(np.int64)[0] >> CELL_SHIFT)
N_CELLS = int(np.array([0.5]).view(np.int64)[0] >> CELL_SHIFT) - FIRST_CELL + 1

_EDGES_AND_END = np.append(EDGES, np.inf)


def _least_bins() -> np.ndarray:
    """Return the lowest bin of each cell, int16 of shape (2, N_CELLS): of p < 1/2, and of 1 - p."""
    lowest = ((np.arange(N_CELLS) + FIRST_CELL) << CELL_SHIFT).view(np.float64)
    beyond = np.append(lowest[1:], 0.5 + 2.0**-20)
    lowest[0] = 0.0  # probabilities below the first edge share its cell
    least: np.ndarray = np.searchsorted(EDGES, [lowest, 1 - beyond], side="right")
    return least.astype(np.int16)


_LEAST_BINS = _least_bins()

POSITIVE, NEGATIVE, SPEND_MINOR = range(3)
"""Columns of a histogram: buyers, others, and spend in minor units."""


@numba.njit(nogil=True, cache=True, error_model="numpy")
def add_to_histogram(
    outcomes: np.ndarray, probabilities: np.ndarray, future_spend: np.ndarray, counts: np.ndarray
) -> None:
    """Add n customers to a histogram, counted as in `metrics.histogram`.

    Parameters
    ----------
    outcomes, probabilities, future_spend : ndarray of bool, float64, float64, shape (n,)
    counts : ndarray of int64, shape (N_BINS, 3)
        Buyers, others, and spend in minor units, each customer's rounded to even; changed in
        place.
    """
    for i in range(len(outcomes)):
        p = probabilities[i]
        mirrored = p >= 0.5
        cell = (bits_of(1 - p if mirrored else p) >> CELL_SHIFT) - FIRST_CELL
        b = np.int64(_LEAST_BINS[np.int64(mirrored), max(cell, 0)])
        b += _EDGES_AND_END[b] <= p
        counts[b, NEGATIVE - np.int64(outcomes[i])] += 1
        if future_spend[i] > 0:
            counts[b, SPEND_MINOR] += np.int64(np.rint(100 * future_spend[i]))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def take_out(histogram: np.ndarray, bins: np.ndarray, counts: np.ndarray) -> int:
    """Empty a histogram, shape (N_BINS, 3), into the bins that hold customers and their counts.

    `bins`, shape (n,), and `counts`, shape (n, 3), are filled from their start; returns the number
    of bins written.
    """
    n = 0
    for b in range(len(histogram)):
        if histogram[b, POSITIVE] + histogram[b, NEGATIVE]:
            bins[n] = b
            counts[n] = histogram[b]
            histogram[b] = 0
            n += 1
    return n
