"""Logistic regression on the logit of the predictions, compiled, in fewer passes.

It finds the maxima that `statistics.logistic` finds, faster. The intercept takes one exponential
an iteration: with r = e^a, expit(a + logit p) is r p / (r p + 1 - p). The slope starts at the line
of slope 1 that the intercept ends at, or at the line of slope 0 where that is more likely; neither
costs an exponential.

`_surely_rises` mostly shows without logarithms that a step gains likelihood; where it does not, the
likelihoods are compared and the step is halved until the likelihood does not fall.

Arrays are of shape (n_blocks,), a multiple of `LANES`; blocks are in any order.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.elementary import exp_of, log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.statistics.logistic import LEAST_WEIGHT, LIKELIHOOD_ROUNDING, MAX_STEPS

LAST_MOVE = 2e-5
"""Largest move of a linear predictor in the last step; the remaining error is below its square."""

LAST_STEP = 3e-4
"""Largest last step of the intercept; the remaining error is below its cube."""

NARROW = 1e-13  # relative to the intercept

CANCELLED = 1e-4
"""Smallest share of the sum of squares about the mean at which its digits have not cancelled."""


@compiled
def intercept_of(
    p: np.ndarray,
    q: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    low: float,
    high: float,
    a: float,
) -> float:
    """Return the maximum-likelihood `a` of P(y) = expit(a + logit p), for outcomes of both classes.

    Halley's method between ends that close in, and bisection where a step would leave them.

    Parameters
    ----------
    p, q : ndarray of float64
        Probabilities and 1 minus these, both clipped above 0.
    positives, negatives : ndarray of float64
    low, high : float
        Ends between which the intercept lies.
    a : float
        The start, between them.
    """
    for _ in range(MAX_STEPS):
        unexplained, weight, skew = _sums_of_intercept(p, q, positives, negatives, math.exp(a))
        if unexplained > 0:
            low = a
        else:
            high = a
        step = unexplained / max(weight, LEAST_WEIGHT)
        step /= 1 + min(max(step * skew / (2 * max(weight, LEAST_WEIGHT)), -0.5), 1.0)
        moved = a + step
        if low < moved < high:
            if abs(step) <= LAST_STEP:
                return moved
        else:
            if abs(step) <= NARROW * (1 + abs(a)):  # an end was met, but for rounding
                return a
            moved = (low + high) / 2
        if high - low <= NARROW * (1 + abs(a)):
            return moved
        a = moved
    return a


@compiled
def _sums_of_intercept(
    p: np.ndarray, q: np.ndarray, positives: np.ndarray, negatives: np.ndarray, odds: float
) -> tuple[float, float, float]:
    """Return the first, minus the second, and the third derivative of the log likelihood."""
    # Whole customers are counted apart from fractions, which alone decide where p is 0 or 1.
    whole = fractions = weight = skew = lanes_of(0.0)
    for i in range(0, len(p), LANES):
        raised, others = odds * load(p, i), load(q, i)
        y, n = load(positives, i), load(negatives, i)
        up = raised > others
        unlikely = where(up, others, raised) / (raised + others)
        expected = (y + n) * unlikely
        whole += where(up, 0.0 - n, y)
        fractions += where(up, expected, 0.0 - expected)
        w = expected * (1.0 - unlikely)
        weight += w
        bent = 2.0 * unlikely - 1.0
        skew += w * where(up, bent, 0.0 - bent)
    return total(whole) + total(fractions), total(weight), total(skew)


@compiled
def slope_of(
    logit: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    intercept: float,
    slope: float,
    likely: np.ndarray,
    unlikely: np.ndarray,
) -> tuple[float, float, float, float, float, bool]:
    """Fit P(y) = expit(a + b logit) by maximum likelihood, where the maximum exists.

    Parameters
    ----------
    logit, positives, negatives : ndarray of float64
    intercept, slope : float
        The line to start at.
    likely, unlikely : ndarray of float64
        P(y) and 1 - P(y) on that line; on return, at the maximum.

    Returns
    -------
    slope, std_error : float
    centre, information : float
        Mean logit, weighted by P (1 - P), and the information of the slope.
    log_likelihood : float
    converged : bool
    """
    n = len(logit)
    lowest, highest = logit[0], logit[0]
    for i in range(n):
        lowest, highest = min(lowest, logit[i]), max(highest, logit[i])
    origin = (lowest + highest) / 2
    a, b = intercept + slope * origin, slope  # a is the linear predictor at the origin
    weight, along, square, pull, lever = _sums(
        logit, positives, negatives, origin, likely, unlikely
    )
    for _ in range(MAX_STEPS):
        centre = along / weight
        if square - along * centre < CANCELLED * square:
            origin += centre
            a += b * centre
            weight, along, square, pull, lever = _sums(
                logit, positives, negatives, origin, likely, unlikely
            )
            centre = along / weight
        b_step = (lever - pull * centre) / (square - along * centre)
        # From here on distances are from the centre, which hardly moves again: few digits cancel.
        origin += centre
        a += b * centre
        a_step = pull / weight
        rise = pull * a_step + (lever - pull * centre) * b_step
        at_ends = a_step + b_step * (lowest - origin), a_step + b_step * (highest - origin)
        move = max(abs(at_ends[0]), abs(at_ends[1]))
        if move <= LAST_MOVE:
            log_likelihood = log_likelihood_of(positives, negatives, likely, unlikely) + rise / 2
            _shift_line(logit, a_step, b_step, origin, likely, unlikely)
            weight, along, square, pull, lever = _sums(
                logit, positives, negatives, origin, likely, unlikely
            )
            centre = along / weight
            information = square - along * centre
            slope = b + b_step + (lever - pull * centre) / information
            std_error = 1 / math.sqrt(information)
            return slope, std_error, origin + centre, information, log_likelihood, True
        if not 0 < move < math.inf:
            break
        while True:
            _line_into(logit, a + a_step, b + b_step, origin, likely, unlikely)
            weight, along, square, pull, lever = _sums(
                logit, positives, negatives, origin, likely, unlikely
            )
            if _surely_rises(move, rise, pull * a_step + lever * b_step):
                break
            before = _log_likelihood(logit, positives, negatives, a, b, origin)
            after = _log_likelihood(logit, positives, negatives, a + a_step, b + b_step, origin)
            if after >= before - LIKELIHOOD_ROUNDING * abs(before):
                break
            a_step, b_step, move, rise = a_step / 2, b_step / 2, move / 2, rise / 2
        a, b = a + a_step, b + b_step
    return math.nan, math.nan, math.nan, math.nan, math.nan, False


@compiled
def _surely_rises(move: float, rise: float, rise_at_end: float) -> bool:
    """Return True where a step of Newton's, or a part of one, surely gains likelihood.

    Along the step, s from 0 to 1, the likelihood is concave: it rises by at least `rise_at_end`.
    If no linear predictor moves by more than t, its curvature, at first no more than `rise`,
    changes by less than the factor e^(t s) (Bach 2010), so that it rises by at least
    rise (1 - (e^(t s) - 1) / t), which is above 0 to s = log(1 + t) / t. The gain is at least the
    integral of the one to there, and of the other from there.
    """
    turn = math.log1p(move) / move
    return rise * ((1 + move) * turn - 1) / move + min(rise_at_end, 0.0) * (1 - turn) >= 0


@compiled
def _sums(
    logit: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    origin: float,
    likely: np.ndarray,
    unlikely: np.ndarray,
) -> tuple[float, float, float, float, float]:
    """Sum weights, weights x distance from `origin`, x its square; residuals, x distance."""
    weight = along = square = pull = lever = lanes_of(0.0)
    for i in range(0, len(logit), LANES):
        x, y, n = load(logit, i) - origin, load(positives, i), load(negatives, i)
        up, down = load(likely, i), load(unlikely, i)
        w, r = (y + n) * up * down, y * down - n * up
        weight += w
        along += w * x
        square += w * x * x
        pull += r
        lever += r * x
    return total(weight), total(along), total(square), total(pull), total(lever)


@compiled
def _line_into(
    logit: np.ndarray, a: float, b: float, origin: float, likely: np.ndarray, unlikely: np.ndarray
) -> None:
    """Compute P(y) = expit(a + b (logit - origin)) and 1 - P(y), each to its own last digit."""
    nothing = lanes_of(0.0)
    for i in range(0, len(logit), LANES):
        eta = a + b * (load(logit, i) - origin)
        odds_against = exp_of(min(eta, nothing - eta))
        larger = 1.0 / (1.0 + odds_against)
        smaller = odds_against * larger
        up = eta > nothing
        store(likely, i, where(up, larger, smaller))
        store(unlikely, i, where(up, smaller, larger))


@compiled
def _shift_line(
    logit: np.ndarray,
    a_step: float,
    b_step: float,
    origin: float,
    likely: np.ndarray,
    unlikely: np.ndarray,
) -> None:
    """Move the line by at most `LAST_MOVE`, to first order: without exponentials."""
    for i in range(len(logit)):
        moved = a_step + b_step * (logit[i] - origin)
        more, less = moved * unlikely[i], moved * likely[i]
        likely[i] += likely[i] * more
        unlikely[i] -= unlikely[i] * less


@compiled
def log_likelihood_of(
    positives: np.ndarray, negatives: np.ndarray, likely: np.ndarray, unlikely: np.ndarray
) -> float:
    """Return the log likelihood of probabilities P(y), all above 0, and of 1 - P(y)."""
    log_likelihood = lanes_of(0.0)
    for i in range(0, len(likely), LANES):
        log_likelihood += load(positives, i) * log_of(load(likely, i))
        log_likelihood += load(negatives, i) * log_of(load(unlikely, i))
    return total(log_likelihood)


@compiled
def _log_likelihood(
    logit: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    a: float,
    b: float,
    origin: float,
) -> float:
    nothing = log_likelihood = lanes_of(0.0)
    for i in range(0, len(logit), LANES):
        eta = a + b * (load(logit, i) - origin)
        y, n = load(positives, i), load(negatives, i)
        against = min(eta, nothing - eta)  # - |eta|
        surprised = where(eta > nothing, n, y)
        log_likelihood += surprised * against - (y + n) * log_of(1.0 + exp_of(against))
    return total(log_likelihood)
