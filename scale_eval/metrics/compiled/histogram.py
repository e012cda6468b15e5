"""The histogram of scores, compiled: each customer of one evaluation is added to its bin."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import NEGATIVES, POSITIVES, PROBABILITY
from scale_eval.metrics.compiled.simd import bits_of, fetch
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

POSITIVE, NEGATIVE, SPEND_MINOR, SCORE = range(4)
"""Columns of a histogram: buyers, others, spend in minor units, and the code of the one score."""

NO_SCORE, SEVERAL_SCORES = 0, -1
"""Codes of a bin without customers, and of one with several scores or unknown ones. The code of the
one score of a bin is its bits + 1, a positive integer."""

MANY_TIED = 4
"""Customers for each distinct score, on average, from which the scores of a window are kept."""


@compiled(internal=True)
def bin_of(p: float) -> int:
    """Return the bin of a probability, as in `metrics.histogram`."""
    mirrored = p >= 0.5
    cell = (bits_of(1 - p if mirrored else p) >> CELL_SHIFT) - FIRST_CELL
    b = np.int64(_LEAST_BINS[np.int64(mirrored), cell if cell > 0 else 0])
    return b + (_EDGES_AND_END[b] <= p)


@compiled(internal=True)
def bins_into(
    blocks: np.ndarray, stride: int, n_blocks: int, bins: np.ndarray, counts: np.ndarray
) -> None:
    """Write the bin of each block, and have its counts fetched, long before they are changed."""
    for i in range(n_blocks):
        bins[i] = bin_of(blocks[PROBABILITY * stride + i])
        fetch(counts, bins[i])


@compiled(internal=True)
def add_to_histogram(
    blocks: np.ndarray,
    stride: int,
    n_blocks: int,
    n: int,
    probabilities: np.ndarray,
    spenders: np.ndarray,
    spent: np.ndarray,
    n_spenders: int,
    bins: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add n customers of a window to a histogram, counted as in `metrics.histogram`.

    The scores are kept where the window has one, or `MANY_TIED` customers for each: of a window
    with hardly any ties they would take half of the space of the histogram, and tell nothing. That
    depends on nothing but the window, so that windows can be merged in any order.

    Parameters
    ----------
    blocks : ndarray of float64
        The columns of `n_blocks` blocks; see `columns`.
    probabilities : ndarray of float64, shape (n,)
    spenders, spent : ndarray of int64 and of float64
        As in `window_into`; the first `n_spenders` count.
    bins : ndarray of int64, shape (n_blocks,)
        From `bins_into`.
    counts : ndarray of int64, shape (N_BINS, 4)
        Buyers, others, spend in minor units, each customer's rounded to even, and the code of the
        one score; changed in place.
    """
    kept = n_blocks == 1 or MANY_TIED * n_blocks <= n
    for i in range(n_blocks):
        p, b = blocks[PROBABILITY * stride + i], bins[i]
        counts[b, POSITIVE] += np.int64(blocks[POSITIVES * stride + i])
        counts[b, NEGATIVE] += np.int64(blocks[NEGATIVES * stride + i])
        code = bits_of(p) + 1 if kept else np.int64(SEVERAL_SCORES)
        known = counts[b, SCORE]
        is_one = (known == NO_SCORE) | (known == code)
        counts[b, SCORE] = code if is_one else np.int64(SEVERAL_SCORES)
    for j in range(n_spenders):
        if spent[j] > 0:
            b = bin_of(probabilities[spenders[j] >> 4])
            counts[b, SPEND_MINOR] += np.int64(np.rint(100 * spent[j]))


@compiled(internal=True)
def take_out(
    histogram: np.ndarray,
    bins_of_blocks: np.ndarray,
    n_blocks: int,
    bins: np.ndarray,
    counts: np.ndarray,
    start: int,
) -> int:
    """Empty a histogram, shape (N_BINS, 4), into the bins that hold customers and their counts.

    `bins_of_blocks` are those of all blocks in it, descending. `bins`, shape (n,), and `counts`,
    shape (n, 4), are filled from `start` on, ascending; returns the end.
    """
    for i in range(n_blocks - 1, -1, -1):
        b = bins_of_blocks[i]
        if histogram[b, POSITIVE] + histogram[b, NEGATIVE]:
            bins[start] = b
            for column in range(4):
                counts[start, column] = histogram[b, column]
                histogram[b, column] = 0
            start += 1
    return start
