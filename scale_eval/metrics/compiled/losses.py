"""Losses, skills and observed over expected, with their standard errors, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.calibration import NOTHING_EXPECTED
from scale_eval.metrics.compiled.block_sums import (
    BRIER_SPREAD,
    EXPECTED,
    LOSS_SPREAD,
    RATIO_SPREAD,
    SQUARES,
    SURPRISE,
)
from scale_eval.metrics.compiled.values import (
    BRIER,
    BRIER_SE,
    BRIER_SKILL,
    FEWER_THAN_2_CUSTOMERS,
    KNOWN_RATE,
    LOG_LOSS,
    LOG_LOSS_SE,
    LOG_LOSS_SKILL,
    LOG_RATIO_SE,
    MEAN_PREDICTION,
    NO_EXPECTED,
    NO_POSITIVES,
    NO_REFERENCE,
    RATIO,
    REFERENCE_BRIER,
    REFERENCE_IS_ZERO,
    REFERENCE_LOG_LOSS,
)
from scale_eval.metrics.scores import CLIP


@compiled(internal=True)
def losses_into(
    sums: np.ndarray,
    n: float,
    buyers: float,
    reference: float,
    values: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Compute losses, skills, O / E and their standard errors from `block_sums`."""
    log_loss, brier, expected = -sums[SURPRISE] / n, sums[SQUARES] / n, sums[EXPECTED]
    values[LOG_LOSS] = log_loss
    values[BRIER] = brier
    values[MEAN_PREDICTION] = expected / n
    if n > 1:
        values[LOG_LOSS_SE] = math.sqrt(sums[LOSS_SPREAD] / (n - 1) / n)
        values[BRIER_SE] = math.sqrt(sums[BRIER_SPREAD] / (n - 1) / n)
    else:
        reasons[LOG_LOSS_SE] = reasons[BRIER_SE] = FEWER_THAN_2_CUSTOMERS
    if expected < NOTHING_EXPECTED:
        reasons[RATIO] = reasons[LOG_RATIO_SE] = NO_EXPECTED
    else:
        values[RATIO] = buyers / expected
        if buyers == 0:
            reasons[LOG_RATIO_SE] = NO_POSITIVES
        else:
            values[LOG_RATIO_SE] = math.sqrt(sums[RATIO_SPREAD]) / buyers
    if math.isnan(reference):
        reasons[LOG_LOSS_SKILL] = reasons[BRIER_SKILL] = NO_REFERENCE
        reasons[REFERENCE_LOG_LOSS] = reasons[REFERENCE_BRIER] = NO_REFERENCE
        reasons[KNOWN_RATE] = NO_REFERENCE
        return
    others = n - buyers
    values[KNOWN_RATE] = reference
    clipped = CLIP if reference < CLIP else 1 - CLIP if reference > 1 - CLIP else reference
    reference_loss = -(buyers * math.log(clipped) + others * math.log(1 - clipped)) / n
    values[REFERENCE_LOG_LOSS] = reference_loss
    if reference_loss <= 2 * CLIP:
        reasons[LOG_LOSS_SKILL] = REFERENCE_IS_ZERO
    else:
        values[LOG_LOSS_SKILL] = 1 - log_loss / reference_loss
    missed = 1 - reference
    reference_loss = (buyers * (missed * missed) + others * (reference * reference)) / n
    values[REFERENCE_BRIER] = reference_loss
    if reference_loss <= 0:
        reasons[BRIER_SKILL] = REFERENCE_IS_ZERO
    else:
        values[BRIER_SKILL] = 1 - brier / reference_loss
