"""The influence of groups of customers on the metrics of one evaluation, compiled."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.built_in import STANDARD_ERRORS
from scale_eval.metrics.compiled.columns import BUYERS, INFLUENCES, ROWS, SUMS
from scale_eval.metrics.compiled.simd import LANES
from scale_eval.metrics.compiled.values import AUC, DEFINED, LOG_RATIO_SE, SLOPE
from scale_eval.metrics.uncertainty import N_GROUPS

N_BY_CUSTOMER = len(STANDARD_ERRORS)
"""Number of influences that have a value for each customer; they come first."""


@compiled(internal=True)
def influence_into(
    keys: np.ndarray,
    n: int,
    n_blocks: int,
    blocks: np.ndarray,
    stride: int,
    by_group: np.ndarray,
    reasons: np.ndarray,
    influence: np.ndarray,
) -> None:
    """Sum `influence_values` over the groups of customers, into the first rows of `influence`.

    The columns of influence are those of one customer of each block.
    """
    sums, pair = SUMS * N_GROUPS, 2 * stride
    if n_blocks == 1:
        for group in range(N_GROUPS):
            buyers = by_group[BUYERS * N_GROUPS + group]
            others = by_group[ROWS * N_GROUPS + group] - buyers
            for i in range(N_BY_CUSTOMER):
                of_one = INFLUENCES * stride + pair * i
                by_group[sums + LANES * group + i] = (
                    others * blocks[of_one] + buyers * blocks[of_one + stride]
                )
    else:
        for i in range(LANES * N_GROUPS):
            by_group[sums + i] = 0.0
        for j in range(n):
            key = keys[j]
            group = sums + LANES * ((key >> 1) & (N_GROUPS - 1))
            place = (INFLUENCES + (key & 1)) * stride + (key >> 5)
            by_group[group] += blocks[place]
            by_group[group + 1] += blocks[place + pair]
            by_group[group + 2] += blocks[place + 2 * pair]
            by_group[group + 3] += blocks[place + 3 * pair]
            by_group[group + 4] += blocks[place + 4 * pair]
    has_auc, has_slope = reasons[AUC] == DEFINED, reasons[SLOPE] == DEFINED
    has_ratio = reasons[LOG_RATIO_SE] == DEFINED
    for group in range(N_GROUPS):
        place = sums + LANES * group
        influence[0, group] = by_group[place] / n
        influence[1, group] = by_group[place + 1] / n
        influence[2, group] = by_group[place + 2] if has_auc else np.nan
        influence[3, group] = by_group[place + 3] if has_ratio else np.nan
        influence[4, group] = by_group[place + 4] if has_slope else np.nan
