"""Calibration intercept and slope of one evaluation, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.block_sums import CLIPPED_EXPECTED, OTHERS_EXPECTED
from scale_eval.metrics.compiled.columns import CLIPPED, LOGIT, NEGATIVES, POSITIVES
from scale_eval.metrics.compiled.logistic import (
    LOG_LIKELIHOOD,
    STD_ERROR,
    intercept_of,
    slope_into,
)
from scale_eval.metrics.compiled.logistic import SLOPE as FITTED_SLOPE
from scale_eval.metrics.compiled.values import (
    CONSTANT,
    DEFINED,
    INTERCEPT,
    LOG_LOSS,
    NO_NEGATIVES,
    NO_POSITIVES,
    NOT_CONVERGED,
    RECALIBRATED_LOG_LOSS,
    SEPARABLE,
    SLOPE,
    SLOPE_SE,
)
from scale_eval.statistics.logistic import ROUNDING

NARROW_OVERLAP = 1e-3
"""Overlap in logits of buyers and others below which the logits are recomputed as SciPy does."""


@compiled(internal=True)
def calibration_into(
    blocks: np.ndarray,
    stride: int,
    size: int,
    n_blocks: int,
    n: float,
    n_positive: float,
    sums: np.ndarray,
    scratch: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Compute intercept and slope, and the log loss that the best line leaves.

    `sums` are those of `block_sums`; `scratch`, shape (N_PLACES,), is overwritten.
    """
    n_negative = n - n_positive
    if n_positive == 0 or n_negative == 0:
        reason = NO_POSITIVES if n_positive == 0 else NO_NEGATIVES
        reasons[INTERCEPT] = reasons[SLOPE] = reasons[SLOPE_SE] = reason
        values[RECALIBRATED_LOG_LOSS] = 0.0
        return
    level = math.log(n_positive / n_negative)
    # Were all logits the highest, or all the lowest, the root would lie 1 inside these ends.
    low = level - blocks[LOGIT * stride] - 1
    high = level - blocks[LOGIT * stride + size - 1] + 1
    start = level - math.log(sums[CLIPPED_EXPECTED] / sums[OTHERS_EXPECTED])
    intercept = intercept_of(blocks, stride, size, low, high, start)
    values[INTERCEPT] = intercept
    without = n_positive * math.log(n_positive / n) + n_negative * math.log(n_negative / n)
    log_likelihood, reason = without, CONSTANT
    if n_blocks > 1:
        reason = _no_slope_reason(blocks, stride, n_blocks, scratch)
    if reason == DEFINED:
        with_intercept = -n * values[LOG_LOSS]
        # The line of slope 1 starts the search unless that of slope 0 is likelier.
        slope = 1.0 if with_intercept > without else 0.0
        line_intercept = intercept if slope else level
        if slope_into(blocks, stride, size, line_intercept, slope, scratch):
            log_likelihood = scratch[LOG_LIKELIHOOD]
            values[SLOPE], values[SLOPE_SE] = scratch[FITTED_SLOPE], scratch[STD_ERROR]
        else:
            reason = NOT_CONVERGED
            log_likelihood = with_intercept if with_intercept > without else without
    elif reason == SEPARABLE:
        log_likelihood = scratch[0]
    reasons[SLOPE] = reasons[SLOPE_SE] = reason
    values[RECALIBRATED_LOG_LOSS] = -log_likelihood / n


@compiled(internal=True)
def _no_slope_reason(blocks: np.ndarray, stride: int, n_blocks: int, scratch: np.ndarray) -> int:
    """Return the code of the reason why there is no slope, `DEFINED` where there is one.

    Of separable classes, the first number of `scratch` is the best log likelihood. Where classes
    hardly overlap, the result depends on the last bits of the logits: they are then replaced by the
    plain version's.
    """
    p, logit = CLIPPED * stride, LOGIT * stride
    positives, negatives = POSITIVES * stride, NEGATIVES * stride
    first_bought, first_other, last_bought, last_other = 0, 0, n_blocks - 1, n_blocks - 1
    while blocks[positives + first_bought] == 0:
        first_bought += 1
    while blocks[negatives + first_other] == 0:
        first_other += 1
    while blocks[positives + last_bought] == 0:
        last_bought -= 1
    while blocks[negatives + last_other] == 0:
        last_other -= 1
    falling = blocks[logit + first_bought] - blocks[logit + last_other]
    rising = blocks[logit + first_other] - blocks[logit + last_bought]
    if falling > 2 * NARROW_OVERLAP and rising > 2 * NARROW_OVERLAP:
        return DEFINED
    if _logit(blocks[p]) - _logit(blocks[p + n_blocks - 1]) <= ROUNDING:
        return CONSTANT
    falling = _logit(blocks[p + first_bought]) - _logit(blocks[p + last_other])
    rising = _logit(blocks[p + first_other]) - _logit(blocks[p + last_bought])
    if falling <= 0 or rising <= 0:
        meeting = _logit(blocks[p + (first_bought if falling <= 0 else last_bought)])
        scratch[0] = _likelihood_where_classes_meet(blocks, stride, n_blocks, meeting)
        return SEPARABLE
    if falling < NARROW_OVERLAP or rising < NARROW_OVERLAP:
        for i in range(n_blocks):
            blocks[logit + i] = _logit(blocks[p + i])
    return DEFINED


@compiled(internal=True)
def _likelihood_where_classes_meet(
    blocks: np.ndarray, stride: int, n_blocks: int, meeting: float
) -> float:
    """Return the log likelihood that the best line approaches on separable classes.

    Only at one logit can there be customers of both, and there they have their observed rate.
    """
    n_positive = n_negative = 0.0
    for i in range(n_blocks):
        if _logit(blocks[CLIPPED * stride + i]) == meeting:
            n_positive += blocks[POSITIVES * stride + i]
            n_negative += blocks[NEGATIVES * stride + i]
    if n_positive == 0 or n_negative == 0:
        return 0.0
    here = n_positive + n_negative
    return n_positive * math.log(n_positive / here) + n_negative * math.log(n_negative / here)


@compiled
def _logit(p: float) -> float:
    """Return what SciPy's `logit` returns, to the last bit."""
    if p < 0.3 or p > 0.65:
        return math.log(p / (1 - p))
    twice = 2 * (p - 0.5)
    return math.log1p(twice) - math.log1p(-twice)
