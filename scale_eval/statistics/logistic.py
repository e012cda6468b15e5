"""Logistic regression of counts on one covariate: exact where it exists, refused where not.

Arrays are of shape (n_blocks,): a logit, and how many customers who have it bought or did not.
No 1 - p is ever taken, so that probabilities of 1e-15 and 1 - 1e-15 count alike.

Source: Cox 1958, for slope and intercept of the outcomes on the logit of what was predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from scale_eval.statistics.undefined import Undefined

ROUNDING = 1e-9
"""Logits whose range is below it are one constant: its slope would be that of rounding errors."""

MAX_STEPS = 100
LAST_STEP = 1e-9  # relative; the one after it would be about its square
LAST_STEP_OF_MANY = 1e-6  # where nothing is wanted but where the maximum lies
SURE_STEP = math.log(2)
"""A Newton step that moves no logit by more gains: no curvature p q grows to its double."""

LIKELIHOOD_ROUNDING = 1e-12  # relative; a loss below it is none
LEAST_WEIGHT = 1e-300


class Fit(NamedTuple):
    """P(y) = expit(intercept + slope logit) at its maximum, and the standard error of the slope."""

    slope: float
    std_error: float
    intercept: float


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


def fit(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> Fit:
    """Maximum likelihood of P(y) = expit(a + b logit).

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
            at_ends = (b + b_step) / half_range
            moved = a + a_step - at_ends * (low + half_range)
            return Fit(at_ends, 1 / math.sqrt(information) / half_range, moved)
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


def slope_influence(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, fitted: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """How much one customer of each block, who bought or who did not, moves the slope.

    (y - p)(x - centre) / information, with the fitted p and its weights p (1 - p): the customers'
    sum is 0 at the maximum, and the sum of their squares the robust variance of the slope.
    """
    p, q = (expit(sign * (fitted.intercept + fitted.slope * logit)) for sign in (1, -1))
    weight = (positives + negatives) * p * q
    from_centre = logit - (weight * logit).sum() / weight.sum()
    lever = from_centre / (weight * np.square(from_centre)).sum()
    return q * lever, -p * lever


@dataclass(frozen=True)
class CommonSlope:
    """One slope beside an intercept for each stratum.

    Attributes
    ----------
    slope, std_error : float
        The standard error is that of the Fisher information, customers independent.
    strata : ndarray of shape (n_strata,)
        Those that hold buyers and others; the rest say nothing of the slope.
    influence : ndarray of shape (n_strata,)
        What each moves the slope, to first order; they add to 0.
    information : ndarray of shape (n_strata,)
        What each adds to the Fisher information.
    """

    slope: float
    std_error: float
    strata: np.ndarray
    influence: np.ndarray
    information: np.ndarray


def common_slope(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, stratum: np.ndarray
) -> CommonSlope:
    """Maximum likelihood of P(y) = expit(a_stratum + b logit); the intercepts are eliminated.

    Undefined: ``one_class``, where no stratum holds both; ``constant_predictions`` within strata;
    ``separable``, in the same direction in all strata; ``not_converged``.
    """
    strata, of_block = np.unique(stratum, return_inverse=True)
    classes = [np.bincount(of_block, counts, len(strata)) for counts in (positives, negatives)]
    both = (classes[0] > 0) & (classes[1] > 0)
    if not both.any():
        raise Undefined("one_class")
    kept = both[of_block] & (positives + negatives > 0)
    x, positives, negatives = (
        values[kept].astype(np.float64) for values in (logit, positives, negatives)
    )
    renumbered = np.cumsum(both) - 1
    of_block, strata, n = renumbered[of_block[kept]], strata[both], int(both.sum())
    lowest, highest = _extremes(x, of_block, n)
    if (highest - lowest).max() <= ROUNDING:
        raise Undefined("constant_predictions")
    bought, others = (_extremes(x[c > 0], of_block[c > 0], n) for c in (positives, negatives))
    if (bought[1] <= others[0]).all() or (others[1] <= bought[0]).all():
        raise Undefined("separable")

    x = x - ((lowest + highest) / 2)[of_block]
    a, b = np.log(classes[0][both] / classes[1][both]), 0.0
    log_likelihood, sums = _of_strata(a, b, x, positives, negatives, of_block)
    for _ in range(MAX_STEPS):
        weight, weighted, squares, pull, pulled = sums
        total = np.maximum(weight, LEAST_WEIGHT)
        centre = weighted / total
        information = squares - weighted * centre
        influence = pulled - pull * centre
        b_step = float(influence.sum() / information.sum())
        a_step = np.clip(pull / total - b_step * centre, -3, 3)
        if abs(b_step) <= LAST_STEP * (1 + abs(b)):
            of_all = float(information.sum())
            return CommonSlope(
                b + b_step, 1 / math.sqrt(of_all), strata, influence / of_all, information
            )
        to_keep = log_likelihood - LIKELIHOOD_ROUNDING * abs(log_likelihood)
        for _ in range(MAX_STEPS):
            log_likelihood, sums = _of_strata(
                a + a_step, b + b_step, x, positives, negatives, of_block
            )
            if log_likelihood >= to_keep:
                break
            a_step, b_step = a_step / 2, b_step / 2
        a, b = a + a_step, b + b_step
    raise Undefined("not_converged")


def slopes(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """The slope of many regressions on the same logits; NaN where there is none.

    As `fit`, but each from the line that fits all their counts in one: where the regressions are of
    nearly the same customers, as replicates of a jackknife are, it is a step or two away, and the
    first needs no new probabilities.

    Parameters
    ----------
    logit : ndarray of shape (n_blocks,)
    positives, negatives : ndarray of shape (n_regressions, n_blocks)

    Returns
    -------
    ndarray of shape (n_regressions,)
    """
    positives, negatives = _as_floats(positives), _as_floats(negatives)
    exists = _slope_exists(logit, positives, negatives)
    if not exists.any():
        return np.full(len(positives), np.nan)
    low, half_range = logit.min(), max((logit.max() - logit.min()) / 2, ROUNDING)
    x = (logit - low) / half_range - 1
    together = positives.sum(axis=0), negatives.sum(axis=0)
    level = math.log(together[0].sum() / together[1].sum())
    a, b = _line(x, *together, level, 0.0)
    if math.isnan(b):
        a, b = level, 0.0
    return np.asarray(_slopes(x, positives, negatives, exists, a, b)) / half_range


def intercepts(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """The intercept of many regressions with the same logits as offset; as `slopes`."""
    positives, negatives = _as_floats(positives), _as_floats(negatives)
    together = positives.sum(axis=0), negatives.sum(axis=0)
    if not (together[0].any() and together[1].any()):
        return np.full(len(positives), np.nan)
    start = math.log(together[0].sum() / together[1].sum()) - float(np.median(logit))
    of_all = _offsets(logit, together[0][np.newaxis], together[1][np.newaxis], start)[0]
    return np.asarray(_offsets(logit, positives, negatives, of_all))


def _as_floats(counts: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(counts, dtype=np.float64)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _slopes(
    x: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    exists: np.ndarray,
    a: float,
    b: float,
) -> np.ndarray:
    """Each regression's slope on `x`, from the line (a, b) of all."""
    slope = np.full(len(positives), np.nan)
    p, q = np.empty_like(x), np.empty_like(x)
    _chances(a + b * x, p, q)
    for g in np.flatnonzero(exists):
        a_step, b_step = _step(x, p, q, positives[g], negatives[g])
        slope[g] = _line(x, positives[g], negatives[g], a + a_step, b + b_step)[1]
        if math.isnan(slope[g]):  # it was a step too far
            slope[g] = _line(x, positives[g], negatives[g], a, b)[1]
    return slope


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _line(
    x: np.ndarray, positives: np.ndarray, negatives: np.ndarray, a: float, b: float
) -> tuple[float, float]:
    """Intercept and slope on `x`, which is from -1 to 1, by `fit`'s method from (a, b).

    NaN where it finds none.
    """
    p, q = np.empty_like(x), np.empty_like(x)
    for _ in range(MAX_STEPS):
        _chances(a + b * x, p, q)
        a_step, b_step = _step(x, p, q, positives, negatives)
        if abs(a_step) + abs(b_step) <= LAST_STEP_OF_MANY * (1 + abs(a) + abs(b)):
            return a + a_step, b + b_step
        if not abs(a_step) + abs(b_step) < SURE_STEP:
            log_likelihood = _log_likelihood(a + b * x, positives, negatives)
            to_keep = log_likelihood - LIKELIHOOD_ROUNDING * abs(log_likelihood)
            for _ in range(MAX_STEPS):
                eta = a + a_step + (b + b_step) * x
                if not _log_likelihood(eta, positives, negatives) < to_keep:
                    break
                a_step, b_step = a_step / 2, b_step / 2
        a, b = a + a_step, b + b_step
    return np.nan, np.nan


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _offsets(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, start: float
) -> np.ndarray:
    """Each regression's intercept, by steps from `start`; NaN where a class is missing."""
    p, q = np.empty_like(logit), np.empty_like(logit)
    _chances(start + logit, p, q)
    lowest, highest = -logit.max() - 1 - start, -logit.min() + 1 - start
    intercept = np.full(len(positives), np.nan)
    for g in range(len(positives)):
        level = math.log(positives[g].sum() / negatives[g].sum())
        if math.isfinite(level):
            ends = level + lowest, level + highest
            intercept[g] = start + _move(p, q, positives[g], negatives[g], ends)
    return intercept


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _move(
    p: np.ndarray,
    q: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    ends: tuple[float, float],
) -> float:
    """How far the intercept lies from where the chances are these.

    All odds against move by one factor, so that no exponential is taken block by block. By
    Newton's steps; halves where one would leave where it can be.
    """
    low, high = ends
    move = min(max(0.0, low), high)
    for _ in range(MAX_STEPS):
        factor = math.exp(-move)
        unexplained, weight = 0.0, 0.0
        for i in range(len(p)):
            against = q[i] * factor
            bought, did_not = p[i] / (p[i] + against), against / (p[i] + against)
            unexplained += positives[i] * did_not - negatives[i] * bought
            weight += (positives[i] + negatives[i]) * bought * did_not
        step = unexplained / max(weight, LEAST_WEIGHT)
        if abs(step) <= LAST_STEP_OF_MANY * (1 + abs(move)):
            return move + step
        low, high = (move, high) if unexplained > 0 else (low, move)
        move = move + step if low < move + step < high else (low + high) / 2
    return move


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _chances(eta: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    """Of buying, into `p`, and of not, into `q`."""
    for i in range(len(eta)):
        odds_against = math.exp(-abs(eta[i]))
        likely = 1 / (1 + odds_against)
        unlikely = odds_against * likely
        p[i], q[i] = (likely, unlikely) if eta[i] > 0 else (unlikely, likely)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _step(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> tuple[float, float]:
    """Newton's, of intercept and slope, where these are the chances."""
    weight = weighted = squares = pull = pulled = 0.0
    for i in range(len(x)):
        r = positives[i] * q[i] - negatives[i] * p[i]
        w = (positives[i] + negatives[i]) * p[i] * q[i]
        weight += w
        weighted += w * x[i]
        squares += w * x[i] * x[i]
        pull += r
        pulled += r * x[i]
    centre = weighted / weight
    b_step = (pulled - centre * pull) / (squares - weighted * centre)
    return pull / weight - b_step * centre, b_step


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _log_likelihood(eta: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    log_likelihood = 0.0
    for i in range(len(eta)):
        size = abs(eta[i])
        surprised = negatives[i] if eta[i] > 0 else positives[i]
        rows = positives[i] + negatives[i]
        log_likelihood -= rows * math.log1p(math.exp(-size)) + surprised * size
    return log_likelihood


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _of_strata(
    a: np.ndarray,
    b: float,
    x: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    stratum: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Log likelihood, an intercept a stratum; and by stratum, shape (5, n_strata), sums.

    Of w, w x, w x^2, r and r x, by curvatures w and pulls r.
    """
    log_likelihood, sums = 0.0, np.zeros((5, len(a)))
    for i in range(len(x)):
        s = stratum[i]
        eta = a[s] + b * x[i]
        r, w, odds_against = _of_block(eta, positives[i], negatives[i])
        surprised = negatives[i] if eta > 0 else positives[i]
        rows = positives[i] + negatives[i]
        log_likelihood -= rows * math.log1p(odds_against) + surprised * abs(eta)
        sums[0, s] += w
        sums[1, s] += w * x[i]
        sums[2, s] += w * x[i] * x[i]
        sums[3, s] += r
        sums[4, s] += r * x[i]
    return log_likelihood, sums


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _of_block(eta: float, positives: float, negatives: float) -> tuple[float, float, float]:
    """What `_derivatives` gives of one block, slope and curvature; and the odds against."""
    odds_against = math.exp(-abs(eta))
    likely = 1 / (1 + odds_against)  # the probability of the likelier outcome
    unlikely = odds_against * likely
    if eta > 0:
        pull = positives * unlikely - negatives * likely
    else:
        pull = positives * likely - negatives * unlikely
    return pull, (positives + negatives) * likely * unlikely, odds_against


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _slope_exists(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Whether there are both classes, of logits that are not one and overlap; by regression."""
    exists = np.empty(len(positives), dtype=np.bool_)
    for g in range(len(positives)):
        low_bought, high_bought, low_other, high_other = np.inf, -np.inf, np.inf, -np.inf
        for i in range(len(logit)):
            if positives[g, i] > 0:
                low_bought, high_bought = min(low_bought, logit[i]), max(high_bought, logit[i])
            if negatives[g, i] > 0:
                low_other, high_other = min(low_other, logit[i]), max(high_other, logit[i])
        overlap = low_bought < high_other and low_other < high_bought
        spread = max(high_bought, high_other) - min(low_bought, low_other)
        exists[g] = overlap and spread > ROUNDING
    return exists


def _extremes(x: np.ndarray, of_block: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, of_block, x)
    np.maximum.at(highest, of_block, x)
    return lowest, highest


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
