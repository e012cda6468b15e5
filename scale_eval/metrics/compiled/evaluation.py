"""All metrics of one evaluation, compiled: `score` and `influence_sums` in microseconds.

The plain version, one expression for each metric, defines these figures; this one computes them
together, in a few passes over one sort. What is exact in the plain version (the pairs of the AUC)
is exact here, and every null has the same reason.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.block_sums import first_sums_into, second_sums_into
from scale_eval.metrics.compiled.calibration import calibration_into
from scale_eval.metrics.compiled.columns import CUMULATIVE, ENDS, PROBABILITY, padded
from scale_eval.metrics.compiled.histogram import add_to_histogram, bins_into
from scale_eval.metrics.compiled.influence import influence_into
from scale_eval.metrics.compiled.losses import losses_into
from scale_eval.metrics.compiled.ranking import ranking_into
from scale_eval.metrics.compiled.scratch import Scratch
from scale_eval.metrics.compiled.tied_blocks import blocks_into
from scale_eval.metrics.compiled.top_tenth import top_tenth_into
from scale_eval.metrics.compiled.values import DEFINED
from scale_eval.metrics.scores import CLIP


@compiled(internal=True)
def score_into(
    probabilities: np.ndarray,
    reference: float,
    stride: int,
    n_spenders: int,
    histogram: np.ndarray,
    scratch: Scratch,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
) -> int:
    """Score one evaluation of n > 0 customers, and return the number of blocks.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n,)
    reference : float
        Prediction of the base rate known at the cutoff; NaN where there is none.
    stride : int
        `stride_of` n.
    n_spenders : int
        From `window_into`, which has filled `scratch`.
    histogram : ndarray of int64, shape (N_BINS, 4)
        The scores are added to it.
    values, reasons, counts, influence : ndarray
        Output: a row of those of `score_windows_into`.
    """
    n, keys, blocks, by_group = len(probabilities), scratch.keys, scratch.blocks, scratch.by_group
    sums, fit, bins = scratch.sums, scratch.fit, scratch.bins
    n_blocks = blocks_into(probabilities, scratch.tags, keys, bins, scratch.starts, blocks, stride)
    bins_into(blocks, stride, n_blocks, bins, histogram)
    size, buyers = padded(n_blocks), blocks[CUMULATIVE * stride + n_blocks - 1]
    for i in range(len(reasons)):
        reasons[i] = DEFINED
    first_sums_into(blocks, stride, size, n, buyers, sums)
    second_sums_into(blocks, stride, size, n, buyers, sums)
    counts[0] = int(buyers)
    counts[1] = _n_clipped(blocks, stride, n_blocks)
    counts[2] = n_blocks
    losses_into(sums, n, buyers, reference, values, reasons)
    ranking_into(sums, buyers, n - buyers, values, reasons)
    calibration_into(blocks, stride, size, n_blocks, n, buyers, sums, fit, values, reasons)
    influence_into(keys, n, n_blocks, blocks, stride, by_group, reasons, influence)
    spenders, spent = scratch.spenders, scratch.spent
    top_tenth_into(
        keys,
        blocks,
        stride,
        n_blocks,
        n,
        probabilities,
        spenders,
        spent,
        n_spenders,
        by_group,
        fit,
        values,
        reasons,
        influence,
    )
    for i in range(len(reasons)):
        if reasons[i] != DEFINED:
            values[i] = np.nan
    add_to_histogram(
        blocks, stride, n_blocks, n, probabilities, spenders, spent, n_spenders, bins, histogram
    )
    return n_blocks


@compiled(internal=True)
def _n_clipped(blocks: np.ndarray, stride: int, n_blocks: int) -> int:
    """Count clipped customers, who are in the first and last blocks, since probabilities fall."""
    p, ends = PROBABILITY * stride, ENDS * stride
    first, last = 0, n_blocks
    while first < last and blocks[p + first] > 1 - CLIP:
        first += 1
    while first < last and blocks[p + last - 1] < CLIP:
        last -= 1
    return int(blocks[ends + first - 1] + blocks[ends + n_blocks - 1] - blocks[ends + last - 1])
