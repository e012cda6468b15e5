"""Whether the probabilities can be taken at their word: in all, in level, and in spread.

Source: Cox 1958; TRIPOD. In words: `observed_expected_ratio` 1.2 is a fifth more buyers than
expected; an intercept above 0 is underprediction at the given spread; a slope below 1 is scores
that are too extreme.
"""

from __future__ import annotations

from scale_eval.metrics.scores import Scores
from scale_eval.statistics import logistic
from scale_eval.statistics.undefined import Undefined

NOTHING_EXPECTED = 1e-300
"""An expected number of buyers below it is 0: O / E would leave float64."""


def observed_expected_ratio(scores: Scores) -> float:
    """O / E: buyers over the sum of probabilities; 0 where nobody bought.

    Undefined: ``no_customers``; ``no_expected`` where E = 0.
    """
    if not scores.n_customers:
        raise Undefined("no_customers")
    expected = float(scores.probabilities.sum())
    if expected < NOTHING_EXPECTED:
        raise Undefined("no_expected")
    return scores.n_positive / expected


def calibration_intercept(scores: Scores) -> float:
    """Intercept of the logistic regression of outcomes with the logit of p as offset.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    return logistic.intercept(scores.block_logit, scores.block_positives, scores.block_negatives)


def calibration_slope(scores: Scores) -> float:
    """Slope of the logistic regression of outcomes on the logit of p.

    Undefined: ``no_positives``, ``no_negatives``; ``constant_predictions``; ``separable``, where
    the highest p of one class is not above the lowest of the other; ``not_converged``.
    """
    return scores.recalibration.slope
