"""Losses, skills and observed over expected, with their standard errors, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.calibration import NOTHING_EXPECTED
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, total
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


@compiled
def losses_into(
    block_probability: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    n: int,
    n_positive: int,
    reference: float,
    values: np.ndarray,
    reasons: np.ndarray,
) -> float:
    """Compute losses, skills, O / E and their standard errors; return E."""
    surprise = squares = expectation = lanes_of(0.0)
    for i in range(0, len(block_probability), LANES):
        p, y, others = load(block_probability, i), load(positives, i), load(negatives, i)
        surprise += y * load(log_p, i) + others * load(log_q, i)
        squares += y * ((1.0 - p) * (1.0 - p)) + others * (p * p)
        expectation += (y + others) * p
    n_negative = n - n_positive
    log_loss, brier, expected = -total(surprise) / n, total(squares) / n, total(expectation)
    ratio = n_positive / expected if expected >= NOTHING_EXPECTED else 0.0
    log_loss_lanes = brier_lanes = ratio_lanes = lanes_of(0.0)
    for i in range(0, len(block_probability), LANES):
        p, y, others = load(block_probability, i), load(positives, i), load(negatives, i)
        if_bought, if_not = load(log_p, i) + log_loss, load(log_q, i) + log_loss
        log_loss_lanes += y * (if_bought * if_bought) + others * (if_not * if_not)
        if_bought, if_not = (1.0 - p) * (1.0 - p) - brier, p * p - brier
        brier_lanes += y * (if_bought * if_bought) + others * (if_not * if_not)
        in_expected = ratio * p
        short = 1.0 - in_expected
        ratio_lanes += y * short * short + others * in_expected * in_expected
    log_loss_squares, brier_squares, ratio_squares = (
        total(log_loss_lanes),
        total(brier_lanes),
        total(ratio_lanes),
    )
    values[LOG_LOSS] = log_loss
    values[BRIER] = brier
    values[RATIO] = ratio
    values[MEAN_PREDICTION] = expected / n
    if n > 1:
        values[LOG_LOSS_SE] = math.sqrt(log_loss_squares / (n - 1) / n)
        values[BRIER_SE] = math.sqrt(brier_squares / (n - 1) / n)
    else:
        reasons[LOG_LOSS_SE] = reasons[BRIER_SE] = FEWER_THAN_2_CUSTOMERS
    if expected < NOTHING_EXPECTED:
        reasons[RATIO] = reasons[LOG_RATIO_SE] = NO_EXPECTED
    elif n_positive == 0:
        reasons[LOG_RATIO_SE] = NO_POSITIVES
    else:
        values[LOG_RATIO_SE] = math.sqrt(ratio_squares) / n_positive
    if math.isnan(reference):
        reasons[LOG_LOSS_SKILL] = reasons[BRIER_SKILL] = NO_REFERENCE
        reasons[REFERENCE_LOG_LOSS] = reasons[REFERENCE_BRIER] = NO_REFERENCE
        reasons[KNOWN_RATE] = NO_REFERENCE
        return expected
    values[KNOWN_RATE] = reference
    clipped = min(max(reference, CLIP), 1 - CLIP)
    reference_loss = -(n_positive * math.log(clipped) + n_negative * math.log(1 - clipped)) / n
    values[REFERENCE_LOG_LOSS] = reference_loss
    if reference_loss <= 2 * CLIP:
        reasons[LOG_LOSS_SKILL] = REFERENCE_IS_ZERO
    else:
        values[LOG_LOSS_SKILL] = 1 - log_loss / reference_loss
    missed = 1 - reference
    reference_loss = (n_positive * (missed * missed) + n_negative * (reference * reference)) / n
    values[REFERENCE_BRIER] = reference_loss
    if reference_loss <= 0:
        reasons[BRIER_SKILL] = REFERENCE_IS_ZERO
    else:
        values[BRIER_SKILL] = 1 - brier / reference_loss
    return expected
