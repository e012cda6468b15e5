"""Logistic regression with one slope beside an intercept for each stratum.

Arrays are of shape (n_blocks,), as in `logistic`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.statistics.logistic import (
    LAST_STEP,
    LEAST_WEIGHT,
    LIKELIHOOD_ROUNDING,
    MAX_STEPS,
    ROUNDING,
)
from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class CommonSlope:
    """A slope that all strata share, beside an intercept for each.

    Attributes
    ----------
    slope, std_error : float
        The standard error is that of the Fisher information, for independent customers.
    strata : ndarray of shape (n_strata,)
        Strata with buyers and others; the rest hold no information on the slope.
    influence : ndarray of shape (n_strata,)
        Influence of each stratum on the slope, to first order; they add to 0.
    information : ndarray of shape (n_strata,)
        Each stratum's part of the Fisher information.
    """

    slope: float
    std_error: float
    strata: np.ndarray
    influence: np.ndarray
    information: np.ndarray


def common_slope(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, stratum: np.ndarray
) -> CommonSlope:
    """Fit P(y) = expit(a_stratum + b logit) by maximum likelihood, the intercepts eliminated.

    Undefined: ``one_class``, where no stratum has both; ``constant_predictions`` within strata;
    ``separable``, in the same direction in all strata; ``not_converged``.
    """
    strata, stratum_of_block = np.unique(stratum, return_inverse=True)
    classes = [
        np.bincount(stratum_of_block, counts, len(strata)) for counts in (positives, negatives)
    ]
    both = (classes[0] > 0) & (classes[1] > 0)
    if not both.any():
        raise Undefined("one_class")
    kept = both[stratum_of_block] & (positives + negatives > 0)
    x, positives, negatives = (
        values[kept].astype(np.float64) for values in (logit, positives, negatives)
    )
    renumbered = np.cumsum(both) - 1
    stratum_of_block, strata, n = renumbered[stratum_of_block[kept]], strata[both], int(both.sum())
    lowest, highest = _extremes(x, stratum_of_block, n)
    if (highest - lowest).max() <= ROUNDING:
        raise Undefined("constant_predictions")
    bought, others = (
        _extremes(x[c > 0], stratum_of_block[c > 0], n) for c in (positives, negatives)
    )
    if (bought[1] <= others[0]).all() or (others[1] <= bought[0]).all():
        raise Undefined("separable")

    x = x - ((lowest + highest) / 2)[stratum_of_block]
    a, b = np.log(classes[0][both] / classes[1][both]), 0.0
    log_likelihood, sums = _stratum_sums(a, b, x, positives, negatives, stratum_of_block)
    for _ in range(MAX_STEPS):
        weight, weighted, squares, pull, pulled = sums
        total = np.maximum(weight, LEAST_WEIGHT)
        centre = weighted / total
        information = squares - weighted * centre
        influence = pulled - pull * centre
        b_step = float(influence.sum() / information.sum())
        a_step = np.clip(pull / total - b_step * centre, -3, 3)
        if abs(b_step) <= LAST_STEP * (1 + abs(b)):
            total_information = float(information.sum())
            return CommonSlope(
                b + b_step,
                1 / math.sqrt(total_information),
                strata,
                influence / total_information,
                information,
            )
        to_keep = log_likelihood - LIKELIHOOD_ROUNDING * abs(log_likelihood)
        for _ in range(MAX_STEPS):
            log_likelihood, sums = _stratum_sums(
                a + a_step, b + b_step, x, positives, negatives, stratum_of_block
            )
            if log_likelihood >= to_keep:
                break
            a_step, b_step = a_step / 2, b_step / 2
        a, b = a + a_step, b + b_step
    raise Undefined("not_converged")


def _extremes(x: np.ndarray, stratum_of_block: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, stratum_of_block, x)
    np.maximum.at(highest, stratum_of_block, x)
    return lowest, highest


@compiled
def _stratum_sums(
    a: np.ndarray,
    b: float,
    x: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    stratum: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the log likelihood, and sums by stratum of shape (5, n_strata).

    The sums are of w, w x, w x^2, r and r x, with curvatures w and residuals r.
    """
    log_likelihood, sums = 0.0, np.zeros((5, len(a)))
    for i in range(len(x)):
        s = stratum[i]
        eta = a[s] + b * x[i]
        r, w, odds_against = _block_derivatives(eta, positives[i], negatives[i])
        surprised = negatives[i] if eta > 0 else positives[i]
        rows = positives[i] + negatives[i]
        log_likelihood -= rows * math.log1p(odds_against) + surprised * abs(eta)
        sums[0, s] += w
        sums[1, s] += w * x[i]
        sums[2, s] += w * x[i] * x[i]
        sums[3, s] += r
        sums[4, s] += r * x[i]
    return log_likelihood, sums


@compiled
def _block_derivatives(
    eta: float, positives: float, negatives: float
) -> tuple[float, float, float]:
    """Return residual and curvature of one block (as `logistic._derivatives`), and its odds."""
    odds_against = math.exp(-abs(eta))
    likely = 1 / (1 + odds_against)  # the probability of the likelier outcome
    unlikely = odds_against * likely
    if eta > 0:
        pull = positives * unlikely - negatives * likely
    else:
        pull = positives * likely - negatives * unlikely
    return pull, (positives + negatives) * likely * unlikely, odds_against
