"""Calibration intercept and slope of one evaluation, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.logistic import intercept_of, slope_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, total
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


@compiled
def calibration_into(
    p: np.ndarray,
    q: np.ndarray,
    logit: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    likely: np.ndarray,
    unlikely: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
) -> tuple[float, float]:
    """Compute intercept and slope, and the log loss that the best line leaves.

    Returns the slope's weighted mean logit and its information.

    `likely` and `unlikely` are filled with the recalibrated probabilities, and 1 minus these.
    """
    all_positives = all_negatives = all_expected = all_others = lanes_of(0.0)
    for i in range(0, len(p), LANES):
        y, others = load(positives, i), load(negatives, i)
        all_positives += y
        all_negatives += others
        all_expected += (y + others) * load(p, i)
        all_others += (y + others) * load(q, i)
    n_positive, n_negative = total(all_positives), total(all_negatives)
    expected, others_expected = total(all_expected), total(all_others)
    if n_positive == 0 or n_negative == 0:
        reason = NO_POSITIVES if n_positive == 0 else NO_NEGATIVES
        reasons[INTERCEPT] = reasons[SLOPE] = reasons[SLOPE_SE] = reason
        values[RECALIBRATED_LOG_LOSS] = 0.0
        return math.nan, math.nan
    level = math.log(n_positive / n_negative)
    # Were all logits the highest, or all the lowest, the root would lie 1 inside these ends.
    low, high = level - logit[0] - 1, level - logit[-1] + 1
    start = level - math.log(expected / others_expected)
    intercept = intercept_of(p, q, positives, negatives, low, high, start)
    values[INTERCEPT] = intercept
    n = n_positive + n_negative
    without = n_positive * math.log(n_positive / n) + n_negative * math.log(n_negative / n)
    reason, meeting = _no_slope_reason(p, positives, negatives, logit)
    if reason != DEFINED:
        reasons[SLOPE] = reasons[SLOPE_SE] = reason
        if reason == SEPARABLE:
            values[RECALIBRATED_LOG_LOSS] = _loss_where_classes_meet(
                p, positives, negatives, meeting, n
            )
        else:
            values[RECALIBRATED_LOG_LOSS] = -without / n
        return math.nan, math.nan
    if -n * values[LOG_LOSS] > without:
        line_intercept, line_slope = intercept, 1.0
        odds = math.exp(intercept)
        for i in range(len(p)):
            raised = odds * p[i]
            likely[i] = raised / (raised + q[i])
            unlikely[i] = q[i] / (raised + q[i])
    else:
        line_intercept, line_slope = level, 0.0
        likely[:] = n_positive / n
        unlikely[:] = n_negative / n
    slope, std_error, centre, information, log_likelihood, converged = slope_of(
        logit, positives, negatives, line_intercept, line_slope, likely, unlikely
    )
    if not converged:
        reasons[SLOPE] = reasons[SLOPE_SE] = NOT_CONVERGED
        log_likelihood = max(without, -n * values[LOG_LOSS])
    values[RECALIBRATED_LOG_LOSS] = -log_likelihood / n
    values[SLOPE] = slope
    values[SLOPE_SE] = std_error
    return centre, information


@compiled
def _no_slope_reason(
    p: np.ndarray, positives: np.ndarray, negatives: np.ndarray, logit: np.ndarray
) -> tuple[int, int]:
    """Return the code of the reason why there is no slope, `DEFINED` where there is one.

    Of separable classes, the second number is a block at whose logit they meet or end.

    Where the classes hardly overlap, the result depends on the last bits of the logits: they are
    then replaced by the plain version's.
    """
    if _logit(p[0]) - _logit(p[-1]) <= ROUNDING:
        return CONSTANT, 0
    first_bought, first_other, last_bought, last_other = 0, 0, len(p) - 1, len(p) - 1
    while positives[first_bought] == 0:
        first_bought += 1
    while negatives[first_other] == 0:
        first_other += 1
    while positives[last_bought] == 0:
        last_bought -= 1
    while negatives[last_other] == 0:
        last_other -= 1
    falling = _logit(p[first_bought]) - _logit(p[last_other])
    rising = _logit(p[first_other]) - _logit(p[last_bought])
    overlap = min(falling, rising)
    if overlap <= 0:
        return SEPARABLE, first_bought if falling <= 0 else last_bought
    if overlap < NARROW_OVERLAP:
        for i in range(len(p)):
            logit[i] = _logit(p[i])
    return DEFINED, 0


@compiled
def _loss_where_classes_meet(
    p: np.ndarray, positives: np.ndarray, negatives: np.ndarray, meeting: int, n: float
) -> float:
    """Return the log loss that the best line leaves on separable classes.

    Only at one logit can there be customers of both, and there they have their observed rate.
    """
    n_positive = n_negative = 0.0
    for i in range(len(p)):
        if _logit(p[i]) == _logit(p[meeting]):
            n_positive += positives[i]
            n_negative += negatives[i]
    if n_positive == 0 or n_negative == 0:
        return 0.0
    here = n_positive + n_negative
    loss = n_positive * math.log(n_positive / here) + n_negative * math.log(n_negative / here)
    return -loss / n


@compiled
def _logit(p: float) -> float:
    """Return what SciPy's `logit` returns, to the last bit."""
    if p < 0.3 or p > 0.65:
        return math.log(p / (1 - p))
    twice = 2 * (p - 0.5)
    return math.log1p(twice) - math.log1p(-twice)
