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
from scale_eval.metrics.compiled.influence import influence_into
from scale_eval.metrics.compiled.losses import losses_into
from scale_eval.metrics.compiled.ranking import ranking_into
from scale_eval.metrics.compiled.top_tenth import top_tenth_into
from scale_eval.metrics.compiled.values import DEFINED
from scale_eval.metrics.scores import CLIP


@compiled(internal=True)
def score_into(
    n: int,
    n_blocks: int,
    reference: float,
    probabilities: np.ndarray,
    keys: np.ndarray,
    blocks: np.ndarray,
    stride: int,
    spenders: np.ndarray,
    spent: np.ndarray,
    n_spenders: int,
    by_group: np.ndarray,
    sums: np.ndarray,
    scratch: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
) -> None:
    """Score one evaluation of n customers.

    Parameters
    ----------
    reference : float
        Prediction of the base rate known at the cutoff; NaN where there is none.
    keys, blocks, stride
        From `blocks_into`.
    spenders, spent, n_spenders, by_group
        From `window_into`.
    sums, scratch : ndarray of float64, shape (N_SUMS,) and (N_PLACES,)
        Overwritten.
    values, reasons, counts, influence : ndarray
        Output: a row of those of `score_windows_into`.
    """
    size, buyers = padded(n_blocks), blocks[CUMULATIVE * stride + n_blocks - 1]
    for i in range(len(reasons)):
        reasons[i] = DEFINED
    first_sums_into(blocks, stride, size, n, buyers, sums)
    second_sums_into(blocks, stride, size, n, buyers, sums)
    counts[0] = np.int64(buyers)
    counts[1] = _n_clipped(blocks, stride, n_blocks)
    counts[2] = n_blocks
    losses_into(sums, n, buyers, reference, values, reasons)
    ranking_into(sums, buyers, n - buyers, values, reasons)
    calibration_into(blocks, stride, size, n_blocks, n, buyers, sums, scratch, values, reasons)
    influence_into(keys, n, n_blocks, blocks, stride, by_group, reasons, influence)
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
        scratch,
        values,
        reasons,
        influence,
    )
    for i in range(len(reasons)):
        if reasons[i] != DEFINED:
            values[i] = np.nan


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
