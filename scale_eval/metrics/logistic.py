"""Logistic regression of counts on one covariate: exact where it exists, refused where not.

Arrays are of shape (n_blocks,): a logit, and how many customers who have it bought or did not.
No 1 - p is ever taken, so that probabilities of 1e-15 and 1 - 1e-15 count alike.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from scale_eval.metrics.undefined import Undefined

ROUNDING = 1e-9
"""Logits whose range is below it are one constant: its slope would be that of rounding errors."""

MAX_STEPS = 100
LAST_STEP = 1e-9  # relative; the one after it would be about its square
LIKELIHOOD_ROUNDING = 1e-12  # relative; a loss below it is none


def intercept(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    """Maximum-likelihood `a` of P(y) = expit(a + logit): where expected meet observed buyers.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    level = _observed_logit(positives, negatives)
    rows = positives + negatives

    def unexplained(a: float) -> float:
        """Observed less expected buyers; falls with a.

        Whole customers are counted apart from fractions, which alone decide where p is 0 or 1.
        """
        eta = a + logit
        up = eta > 0
        whole = int(np.where(up, -negatives, positives).sum())
        unlikely = 1 / (1 + np.exp(np.abs(eta)))
        return whole + float((np.where(up, rows, -rows) * unlikely).sum())

    # Were all logits the highest, or all the lowest, the root would lie 1 inside these ends.
    return float(brentq(unexplained, level - logit.max() - 1, level - logit.min() + 1))


def slope(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """Maximum-likelihood `b` of P(y) = expit(a + b logit), and its standard error.

    Newton's method from the line of no slope, halving the steps that lose likelihood; the SE is
    that of the Fisher information. Inside, the covariate is moved to [-1, 1].

    Undefined: ``no_positives``, ``no_negatives``; ``constant_predictions``; ``separable``, where
    the highest logit of one class is not above the lowest of the other (the likelihood then has
    no maximum); ``not_converged``.
    """
    a, b = _observed_logit(positives, negatives), 0.0
    low, high = float(logit.min()), float(logit.max())
    if high - low <= ROUNDING:
        raise Undefined("constant_predictions")
    bought, not_bought = logit[positives > 0], logit[negatives > 0]
    if bought.max() <= not_bought.min() or not_bought.max() <= bought.min():
        raise Undefined("separable")
    half_range = (high - low) / 2
    x = (logit - low) / half_range - 1
    positives, negatives = positives.astype(np.float64), negatives.astype(np.float64)

    log_likelihood, residual, weight = _derivatives(a + b * x, positives, negatives)
    for _ in range(MAX_STEPS):
        total = float(weight.sum())
        centre = float((weight * x).sum()) / total
        from_centre = x - centre
        information = float((weight * np.square(from_centre)).sum())
        b_step = float((residual * from_centre).sum()) / information
        a_step = float(residual.sum()) / total - b_step * centre
        if abs(a_step) + abs(b_step) <= LAST_STEP * (1 + abs(a) + abs(b)):
            return (b + b_step) / half_range, 1 / math.sqrt(information) / half_range
        to_keep = log_likelihood - LIKELIHOOD_ROUNDING * abs(log_likelihood)
        while True:
            log_likelihood, residual, weight = _derivatives(
                a + a_step + (b + b_step) * x, positives, negatives
            )
            if log_likelihood >= to_keep:
                break
            a_step, b_step = a_step / 2, b_step / 2
        a, b = a + a_step, b + b_step
    raise Undefined("not_converged")


def _observed_logit(positives: np.ndarray, negatives: np.ndarray) -> float:
    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    if not n_positive:
        raise Undefined("no_positives")
    if not n_negative:
        raise Undefined("no_negatives")
    return math.log(n_positive / n_negative)


def _derivatives(
    eta: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log likelihood at the linear predictor `eta`, and by block its slope and curvature in eta."""
    up = eta > 0
    size = np.abs(eta)
    odds_against = np.exp(-size)
    likely = 1 / (1 + odds_against)  # the probability of the likelier outcome
    unlikely = odds_against * likely
    surprised = np.where(up, negatives, positives)
    expected = np.where(up, positives, negatives)
    rows = positives + negatives
    log_likelihood = -float((rows * np.log1p(odds_against) + surprised * size).sum())
    pull = expected * unlikely - surprised * likely
    return log_likelihood, np.where(up, pull, -pull), rows * likely * unlikely
