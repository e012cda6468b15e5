"""Logistic regression on the logit of the predictions, compiled, in fewer passes.

It finds the maxima that `statistics.logistic` finds, faster. The intercept takes no exponential by
customer: with r = e^a, expit(a + logit p) is r p / (r p + 1 - p). The slope starts at the line of
slope 1 that the intercept ends at, or at the line of slope 0 where that is more likely.

Both take steps of the third order (Halley's and Chebyshev's), which need the third derivatives and
half as many passes as Newton's. `_surely_rises` mostly shows without logarithms that a step gains
likelihood; where it does not, the likelihoods are compared and the step is halved until the
likelihood does not fall.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import (
    CLIPPED,
    LIKELY,
    LOGIT,
    NEGATIVES,
    POSITIVES,
    UNLIKELY,
)
from scale_eval.metrics.compiled.elementary import exp_of, log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.statistics.logistic import LEAST_WEIGHT, LIKELIHOOD_ROUNDING, MAX_STEPS

LAST_MOVE = 1e-3
"""Largest move of a linear predictor in the last step, which is made without exponentials: the
fourth power of it, divided by 24, remains as relative error."""

LAST_STEP = 3e-4
"""Largest last step of the intercept; the remaining error is below its cube."""

CURVED = 2.0
"""Largest move of a step that is bent as Chebyshev's; few longer ones gain by it."""

NARROW = 1e-13  # relative to the intercept

CANCELLED = 1e-4
"""Smallest share of the sum of squares about the mean at which its digits have not cancelled."""

WEIGHT, ALONG, SQUARE, PULL, LEVER, BENT = range(6)
"""Places of the sums of a line: weights, weights x distance, x its square; residuals, x distance;
and from `BENT` on the derivatives of weights, x distance to the powers 0 to 3."""

SLOPE, STD_ERROR, LOG_LIKELIHOOD = range(BENT + 4, BENT + 7)
"""Places of the results of `slope_into`."""

N_PLACES = BENT + 7


@compiled(internal=True)
def intercept_of(
    blocks: np.ndarray, stride: int, size: int, low: float, high: float, a: float
) -> float:
    """Return the maximum-likelihood `a` of P(y) = expit(a + logit p), for outcomes of both classes.

    Halley's method between ends that close in, and bisection where a step would leave them.

    Parameters
    ----------
    blocks : ndarray of float64
        The columns of `size` blocks, a multiple of `LANES`; see `columns`.
    low, high : float
        Ends between which the intercept lies.
    a : float
        The start, between them.
    """
    for _ in range(MAX_STEPS):
        # Whole customers are counted apart from fractions, which alone decide where p is 0 or 1.
        odds = math.exp(a)
        wholes = fractions = weights = skews = lanes_of(0.0)
        for i in range(0, size, LANES):
            p = load(blocks, CLIPPED * stride + i)
            raised, others = odds * p, 1.0 - p
            y, n = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
            up = raised > others
            unlikely = where(up, others, raised) / (raised + others)
            expected = (y + n) * unlikely
            wholes += where(up, 0.0 - n, y)
            fractions += where(up, expected, 0.0 - expected)
            w = expected * (1.0 - unlikely)
            weights += w
            bent = 2.0 * unlikely - 1.0
            skews += w * where(up, bent, 0.0 - bent)
        unexplained, weight, skew = total(wholes) + total(fractions), total(weights), total(skews)
        weight = weight if weight > LEAST_WEIGHT else LEAST_WEIGHT
        if unexplained > 0:
            low = a
        else:
            high = a
        step = unexplained / weight
        bend = step * skew / (2 * weight)
        step /= 0.5 if bend < -0.5 else 2.0 if bend > 1 else 1 + bend
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


@compiled(internal=True)
def slope_into(
    blocks: np.ndarray,
    stride: int,
    size: int,
    intercept: float,
    slope: float,
    sums: np.ndarray,
) -> bool:
    """Fit P(y) = expit(a + b logit) by maximum likelihood, and return whether it converged.

    Parameters
    ----------
    blocks : ndarray of float64
        The columns of `size` blocks; `LIKELY` and `UNLIKELY` are overwritten, at the end by the
        influence on the slope of one customer of each block, who did not buy or did.
    intercept, slope : float
        The line to start at.
    sums : ndarray of float64, shape (N_PLACES,)
        Output: slope, its standard error, the log likelihood of the line; the rest is overwritten.
    """
    highest, lowest = blocks[LOGIT * stride], blocks[LOGIT * stride + size - 1]
    origin = (lowest + highest) / 2
    a, b = intercept + slope * origin, slope  # a is the linear predictor at the origin
    _line_into(blocks, stride, size, a, b, origin, sums)
    for _ in range(MAX_STEPS):
        centre = sums[ALONG] / sums[WEIGHT]
        if sums[SQUARE] - sums[ALONG] * centre < CANCELLED * sums[SQUARE]:
            origin += centre
            a += b * centre
            _line_into(blocks, stride, size, a, b, origin, sums)
            centre = sums[ALONG] / sums[WEIGHT]
        weight, pull = sums[WEIGHT], sums[PULL]
        information = sums[SQUARE] - sums[ALONG] * centre
        lever = sums[LEVER] - pull * centre
        a_step, b_step = pull / weight, lever / information
        # From here on distances are from the centre, which hardly moves again: few digits cancel.
        low, high = lowest - (origin + centre), highest - (origin + centre)
        move = _larger_end(a_step, b_step, low, high)
        bent = sums[BENT]
        bent_1 = sums[BENT + 1] - centre * bent
        bent_2 = sums[BENT + 2] - centre * (sums[BENT + 1] + bent_1)
        bent_3 = sums[BENT + 3] - centre * (2 * sums[BENT + 2] - centre * sums[BENT + 1] + bent_2)
        if move <= CURVED:
            a_bend = bent * a_step * a_step + b_step * (2 * bent_1 * a_step + bent_2 * b_step)
            b_bend = bent_1 * a_step * a_step + b_step * (2 * bent_2 * a_step + bent_3 * b_step)
            a_step -= a_bend / (2 * weight)
            b_step -= b_bend / (2 * information)
            move = _larger_end(a_step, b_step, low, high)
        rise = pull * a_step + lever * b_step
        bend = weight * a_step * a_step + information * b_step * b_step
        if move <= LAST_MOVE:
            _finish(blocks, stride, size, a, b, origin, a_step - b_step * centre, b_step, sums)
            return True
        if not move < math.inf:
            break
        origin += centre
        a += b * centre
        while True:
            _line_into(blocks, stride, size, a + a_step, b + b_step, origin, sums)
            if _surely_rises(move, rise, bend, sums[PULL] * a_step + sums[LEVER] * b_step):
                break
            before = _log_likelihood(blocks, stride, size, a, b, origin)
            after = _log_likelihood(blocks, stride, size, a + a_step, b + b_step, origin)
            if after >= before - LIKELIHOOD_ROUNDING * abs(before):
                break
            a_step, b_step, move, rise, bend = a_step / 2, b_step / 2, move / 2, rise / 2, bend / 4
        a, b = a + a_step, b + b_step
    return False


@compiled(internal=True)
def _larger_end(a_step: float, b_step: float, low: float, high: float) -> float:
    """Return the largest move of a linear predictor between the ends."""
    at_low, at_high = abs(a_step + b_step * low), abs(a_step + b_step * high)
    return at_low if at_low > at_high else at_high  # NaN if that at the high end is


@compiled(internal=True)
def _surely_rises(move: float, rise: float, bend: float, rise_at_end: float) -> bool:
    """Return True where a step surely gains likelihood.

    Along the step, s from 0 to 1, the likelihood is concave: it rises by at least `rise_at_end`.
    If no linear predictor moves by more than t, its curvature, at first `bend`, changes by less
    than the factor e^(t s) (Bach 2010), so that it rises by at least rise - bend (e^(t s) - 1) / t,
    which is above 0 to s = log(1 + t rise / bend) / t. The gain is at least the integral of the one
    to there, and of the other from there.
    """
    if rise_at_end >= 0:
        return True
    turn = math.log1p(move * rise / bend) / move
    return rise * turn - (rise - bend * turn) / move + rise_at_end * (1 - turn) >= 0


@compiled(internal=True)
def _line_into(
    blocks: np.ndarray,
    stride: int,
    size: int,
    a: float,
    b: float,
    origin: float,
    sums: np.ndarray,
) -> None:
    """Compute P(y) = expit(a + b (logit - origin)), 1 - P(y), and the sums of the line.

    In two passes, since one waits for the exponential of each eight before it begins the next.
    """
    nothing = weight = along = square = pull = lever = lanes_of(0.0)
    bent = bent_1 = bent_2 = bent_3 = lanes_of(0.0)
    for i in range(0, size, LANES):
        eta = a + b * (load(blocks, LOGIT * stride + i) - origin)
        odds_against = exp_of(min(eta, nothing - eta))
        larger = 1.0 / (1.0 + odds_against)  # each to its own last digit
        smaller = odds_against * larger
        up = eta > nothing
        likely, unlikely = where(up, larger, smaller), where(up, smaller, larger)
        store(blocks, LIKELY * stride + i, likely)
        store(blocks, UNLIKELY * stride + i, unlikely)
    for i in range(0, size, LANES):
        x = load(blocks, LOGIT * stride + i) - origin
        y, n = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
        likely, unlikely = load(blocks, LIKELY * stride + i), load(blocks, UNLIKELY * stride + i)
        r = y * unlikely - n * likely
        pull += r
        lever += r * x
        w = (y + n) * likely * unlikely
        changes = w * (unlikely - likely)
        weight += w
        bent += changes
        w, changes = w * x, changes * x
        along += w
        bent_1 += changes
        square += w * x
        changes = changes * x
        bent_2 += changes
        bent_3 += changes * x
    sums[WEIGHT], sums[ALONG], sums[SQUARE] = total(weight), total(along), total(square)
    sums[PULL], sums[LEVER] = total(pull), total(lever)
    sums[BENT], sums[BENT + 1] = total(bent), total(bent_1)
    sums[BENT + 2], sums[BENT + 3] = total(bent_2), total(bent_3)


@compiled(internal=True)
def _finish(
    blocks: np.ndarray,
    stride: int,
    size: int,
    a: float,
    b: float,
    origin: float,
    a_step: float,
    b_step: float,
    sums: np.ndarray,
) -> None:
    """Move a line by at most `LAST_MOVE`, and fill the results and the columns of influence.

    The origin is that of `_line_into`: where logits differ in their last digits, another one would
    round them otherwise.
    """
    nothing = weight = along = square = pull = lever = log_likelihood = lanes_of(0.0)
    for i in range(0, size, LANES):
        x = load(blocks, LOGIT * stride + i) - origin
        y, n = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
        likely, unlikely = load(blocks, LIKELY * stride + i), load(blocks, UNLIKELY * stride + i)
        step = a_step + b_step * x
        w = likely * unlikely
        # Taylor's series of expit, whose derivatives are w, w (1 - 2 p) and w (1 - 6 w).
        bent = 0.5 * (unlikely - likely) + step * (1 / 6 - w)
        moved = w * step * (1.0 + step * bent)
        likely, unlikely = likely + moved, unlikely - moved
        store(blocks, LIKELY * stride + i, likely)
        store(blocks, UNLIKELY * stride + i, unlikely)
        r = y * unlikely - n * likely
        pull += r
        lever += r * x
        w = (y + n) * likely * unlikely
        weight += w
        w = w * x
        along += w
        square += w * x
    centre = total(along) / total(weight)
    information = total(square) - total(along) * centre
    per_information = 1 / information
    sums[SLOPE] = b + b_step + (total(lever) - total(pull) * centre) * per_information
    sums[STD_ERROR] = math.sqrt(per_information)
    a, b = a + a_step, b + b_step
    for i in range(0, size, LANES):
        x = load(blocks, LOGIT * stride + i) - origin
        y, n = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
        likely, unlikely = load(blocks, LIKELY * stride + i), load(blocks, UNLIKELY * stride + i)
        eta = a + b * x
        against = min(eta, nothing - eta)  # - |eta|
        surprised = where(eta > nothing, n, y)
        log_likelihood += surprised * against + (y + n) * log_of(max(likely, unlikely))
        leverage = (x - centre) * per_information
        store(blocks, LIKELY * stride + i, leverage * (nothing - likely))
        store(blocks, UNLIKELY * stride + i, leverage * unlikely)
    sums[LOG_LIKELIHOOD] = total(log_likelihood)


@compiled(internal=True)
def _log_likelihood(
    blocks: np.ndarray, stride: int, size: int, a: float, b: float, origin: float
) -> float:
    nothing = log_likelihood = lanes_of(0.0)
    for i in range(0, size, LANES):
        eta = a + b * (load(blocks, LOGIT * stride + i) - origin)
        y, n = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
        against = min(eta, nothing - eta)  # - |eta|
        surprised = where(eta > nothing, n, y)
        log_likelihood += surprised * against - (y + n) * log_of(1.0 + exp_of(against))
    return total(log_likelihood)
