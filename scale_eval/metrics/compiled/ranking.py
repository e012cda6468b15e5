"""AUC with its standard error, and average precision, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.block_sums import (
    BUYERS_SPREAD,
    OTHERS_SPREAD,
    PAIRS_TWICE,
    PRECISION,
)
from scale_eval.metrics.compiled.values import (
    AUC,
    AUC_SE,
    AVERAGE_PRECISION,
    FEWER_THAN_2_NEGATIVES,
    FEWER_THAN_2_POSITIVES,
    NO_NEGATIVES,
    NO_POSITIVES,
)


@compiled(internal=True)
def ranking_into(
    sums: np.ndarray, m: float, k: float, values: np.ndarray, reasons: np.ndarray
) -> None:
    """Compute the figures of m buyers and k others from `block_sums`.

    Pairs are counted exactly up to 2^53 of them.
    """
    if m == 0:
        reasons[AVERAGE_PRECISION] = NO_POSITIVES
    else:
        values[AVERAGE_PRECISION] = sums[PRECISION] / m
    if m == 0 or k == 0:
        reasons[AUC] = NO_POSITIVES if m == 0 else NO_NEGATIVES
    else:
        values[AUC] = sums[PAIRS_TWICE] / (2 * m * k)
    if m < 2 or k < 2:
        reasons[AUC_SE] = FEWER_THAN_2_POSITIVES if m < 2 else FEWER_THAN_2_NEGATIVES
    else:
        of_buyers = sums[BUYERS_SPREAD] / (4.0 * k * k * (m - 1))
        of_others = sums[OTHERS_SPREAD] / (4.0 * m * m * (k - 1))
        values[AUC_SE] = math.sqrt(of_buyers / m + of_others / k)
