"""Many logistic regressions on the same logits at once, such as the replicates of a jackknife.

Each regression is that of `logistic`; it is NaN where that is undefined.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.statistics.logistic import (
    LEAST_WEIGHT,
    LIKELIHOOD_ROUNDING,
    MAX_STEPS,
    ROUNDING,
)

LAST_STEP = 1e-6
"""Relative; larger than that of `logistic`, since no standard error is computed at the maximum."""

SURE_STEP = math.log(2)
"""Largest move of a logit at which a Newton step surely gains: no curvature p q can then double."""


def slopes(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return the slope of each of many regressions on the same logits; NaN where there is none.

    Each search starts at the line fitted to the sum of all counts. Where the regressions are of
    nearly the same customers, as jackknife replicates are, the maximum is a step or two away, and
    the first step needs no new probabilities.

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
    """Return the intercept of each of many regressions with the same logits as offset.

    Shapes as in `slopes`; NaN where a class is missing.
    """
    positives, negatives = _as_floats(positives), _as_floats(negatives)
    together = positives.sum(axis=0), negatives.sum(axis=0)
    if not (together[0].any() and together[1].any()):
        return np.full(len(positives), np.nan)
    start = math.log(together[0].sum() / together[1].sum()) - float(np.median(logit))
    joint = _offsets(logit, together[0][np.newaxis], together[1][np.newaxis], start)[0]
    return np.asarray(_offsets(logit, positives, negatives, joint))


def _as_floats(counts: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(counts, dtype=np.float64)


@compiled
def _slopes(
    x: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    exists: np.ndarray,
    a: float,
    b: float,
) -> np.ndarray:
    """Return each regression's slope on `x`, searched from the line (a, b)."""
    slope = np.empty(len(positives))
    for g in range(len(slope)):
        slope[g] = np.nan
    p, q = np.empty(len(x)), np.empty(len(x))
    _chances(a, b, x, p, q)
    for g in range(len(exists)):
        if not exists[g]:
            continue
        a_step, b_step = _step(x, p, q, positives[g], negatives[g])
        slope[g] = _line(x, positives[g], negatives[g], a + a_step, b + b_step)[1]
        if math.isnan(slope[g]):  # the first step went too far
            slope[g] = _line(x, positives[g], negatives[g], a, b)[1]
    return slope


@compiled
def _line(
    x: np.ndarray, positives: np.ndarray, negatives: np.ndarray, a: float, b: float
) -> tuple[float, float]:
    """Fit intercept and slope on `x`, which is from -1 to 1, by the method of `logistic.fit`.

    The search starts at (a, b); both are NaN where it does not converge.
    """
    p, q = np.empty(len(x)), np.empty(len(x))
    for _ in range(MAX_STEPS):
        _chances(a, b, x, p, q)
        a_step, b_step = _step(x, p, q, positives, negatives)
        if abs(a_step) + abs(b_step) <= LAST_STEP * (1 + abs(a) + abs(b)):
            return a + a_step, b + b_step
        if not abs(a_step) + abs(b_step) < SURE_STEP:
            log_likelihood = _log_likelihood(a, b, x, positives, negatives)
            to_keep = log_likelihood - LIKELIHOOD_ROUNDING * abs(log_likelihood)
            for _ in range(MAX_STEPS):
                new = _log_likelihood(a + a_step, b + b_step, x, positives, negatives)
                if not new < to_keep:
                    break
                a_step, b_step = a_step / 2, b_step / 2
        a, b = a + a_step, b + b_step
    return np.nan, np.nan


@compiled
def _offsets(
    logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray, start: float
) -> np.ndarray:
    """Return each regression's intercept, searched from `start`; NaN where a class is missing."""
    p, q = np.empty(len(logit)), np.empty(len(logit))
    _chances(start, 1.0, logit, p, q)
    low = high = logit[0]
    for i in range(len(logit)):
        low, high = min(low, logit[i]), max(high, logit[i])
    lowest, highest = -high - 1 - start, -low + 1 - start
    intercept = np.empty(len(positives))
    for g in range(len(positives)):
        intercept[g] = np.nan
        bought = did_not = 0.0
        for i in range(len(logit)):
            bought += positives[g, i]
            did_not += negatives[g, i]
        level = math.log(bought / did_not)
        if math.isfinite(level):
            ends = level + lowest, level + highest
            intercept[g] = start + _move(p, q, positives[g], negatives[g], ends)
    return intercept


@compiled
def _move(
    p: np.ndarray,
    q: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    ends: tuple[float, float],
) -> float:
    """Return the distance of the intercept from the one with the chances `p` and `q`.

    All odds against buying change by one factor, so that no exponential is taken block by block.
    Newton's method, with bisection where a step would leave the interval `ends`.
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
        if abs(step) <= LAST_STEP * (1 + abs(move)):
            return move + step
        low, high = (move, high) if unexplained > 0 else (low, move)
        move = move + step if low < move + step < high else (low + high) / 2
    return move


@compiled
def _chances(a: float, b: float, x: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    """Compute the probabilities of buying, into `p`, and of not buying, into `q`, at a line."""
    for i in range(len(x)):
        eta = a + b * x[i]
        odds_against = math.exp(-abs(eta))
        likely = 1 / (1 + odds_against)
        unlikely = odds_against * likely
        p[i], q[i] = (likely, unlikely) if eta > 0 else (unlikely, likely)


@compiled
def _step(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> tuple[float, float]:
    """Return Newton's step of intercept and slope from the line with the chances `p` and `q`."""
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


@compiled
def _log_likelihood(
    a: float, b: float, x: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> float:
    log_likelihood = 0.0
    for i in range(len(x)):
        eta = a + b * x[i]
        size = abs(eta)
        surprised = negatives[i] if eta > 0 else positives[i]
        rows = positives[i] + negatives[i]
        log_likelihood -= rows * math.log1p(math.exp(-size)) + surprised * size
    return log_likelihood


@compiled
def _slope_exists(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return which regressions have a slope: both classes, whose logits vary and overlap."""
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
