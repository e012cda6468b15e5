"""Logistic regression of counts on one covariate: exact where it exists, refused where it does not.

Arrays are of shape (n_blocks,): a logit, and how many customers who have it bought or did not.
1 - p is never computed, so that probabilities of 1e-15 and 1 - 1e-15 count alike.

Source: Cox 1958, for slope and intercept of the outcomes on the logit of the predictions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, xlogy

from scale_eval.statistics.undefined import Undefined

ROUNDING = 1e-9
"""Range of logits below which they are one constant: a slope would be that of rounding errors."""

MAX_STEPS = 100
LAST_STEP = 1e-9  # relative; the next one would be about its square
LIKELIHOOD_ROUNDING = 1e-12  # relative; a smaller loss of likelihood is rounding
LEAST_WEIGHT = 1e-300  # replaces a sum of weights that underflowed, before a division by it


class Fit(NamedTuple):
    """The maximum-likelihood line P(y) = expit(intercept + slope logit), and the slope's error."""

    slope: float
    std_error: float
    intercept: float
    log_likelihood: float


def intercept(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the maximum-likelihood `a` of P(y) = expit(a + logit).

    There the expected number of buyers is the observed one.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    level = _observed_logit(positives, negatives)
    rows = positives + negatives

    def unexplained(a: float) -> float:
        """Return observed less expected buyers, which falls with a.

        Whole customers and fractions are summed apart: where p is near 0 or 1, the fractions alone
        decide.
        """
        eta = a + logit
        up = eta > 0
        whole = int(np.where(up, -negatives, positives).sum())
        unlikely = 1 / (1 + np.exp(np.abs(eta)))
        return whole + float((np.where(up, rows, -rows) * unlikely).sum())

    # Were all logits the highest, or all the lowest, the root would lie 1 inside these ends.
    return float(brentq(unexplained, level - logit.max() - 1, level - logit.min() + 1))


def fit(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Fit:
    """Fit P(y) = expit(a + b logit) by maximum likelihood.

    Newton's method from slope 0; a step that loses likelihood is halved; the standard error is that
    of the Fisher information. The covariate is scaled to [-1, 1] for the search.

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
            at_ends = (b + b_step) / half_range
            moved = a + a_step - at_ends * (low + half_range)
            # The last step gains nothing that 64 bits would show.
            return Fit(at_ends, 1 / math.sqrt(information) / half_range, moved, log_likelihood)
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


def best_log_likelihood(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the supremum of the log likelihood over all lines P(y) = expit(a + b logit).

    It exists where `fit` is undefined, too. Outcomes of one class can be predicted perfectly: 0. On
    constant predictions it is that of the observed rate. Separable classes leave only the customers
    in doubt at whose logit the classes meet. If the search does not converge, the better one of the
    observed rate and the line a = 0, b = 1 stands in.
    """
    try:
        return fit(logit, positives, negatives).log_likelihood
    except Undefined as missing:
        reason = missing.reason
    if reason == "separable":
        bought, not_bought = logit[positives > 0], logit[negatives > 0]
        falling = bought.max() <= not_bought.min()
        meeting = logit == (bought.max() if falling else bought.min())
        return _of_observed_rate(positives[meeting], negatives[meeting])
    of_rate = _of_observed_rate(positives, negatives)
    if reason != "not_converged":
        return of_rate
    return max(of_rate, _derivatives(logit, positives, negatives)[0])


def slope_influence(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, fitted: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """Return the influence on the slope of one buyer and of one other customer of each block.

    (y - p)(x - centre) / information, with the fitted p and its weights p (1 - p). Over customers
    the influences add to 0 at the maximum; their squares add to the robust variance of the slope.
    """
    p, q = (expit(sign * (fitted.intercept + fitted.slope * logit)) for sign in (1, -1))
    weight = (positives + negatives) * p * q
    from_centre = logit - (weight * logit).sum() / weight.sum()
    lever = from_centre / (weight * np.square(from_centre)).sum()
    return q * lever, -p * lever


def _of_observed_rate(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the log likelihood of the observed rate."""
    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    n = n_positive + n_negative
    return float(xlogy(n_positive, n_positive / n) + xlogy(n_negative, n_negative / n))


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
    """Return the log likelihood at the linear predictor `eta`, and its derivatives by block.

    They are the first derivative in eta and minus the second, each of shape (n_blocks,).
    """
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
