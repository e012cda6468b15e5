"""Fit BG/NBD by Newton's method on the log posterior, and predict by it, in compiled code.

The formulas and the symbols are those of `scale_eval.models.bgnbd`; here they are summed in one
pass, with gradient and Hessian by the log parameters. Two things make a pass cheap:

*   log Γ(r + x) - log Γ(r) = Σ_{i<x} log(r + i), and so the sum over customers is
    Σ_i n_i log(r + i), where n_i customers have x > i. No gamma function is computed, and its
    derivatives are those of log(r + i). The same for b and for a + b.
*   The sum of many logarithms is the logarithm of a product, as long as that does not overflow.

A step is the solution of B step = gradient, with B the negative Hessian. Where that is not positive
definite, the pivots that Cholesky's method meets are made so by turning their sign, which keeps
their scale; and the step is halved until the posterior does not fall (Nocedal & Wright 2006,
Numerical Optimization, sections 3.2 and 3.4). A step ends at the first bound that it meets, and a
parameter at its bound that would go beyond it stands still while the others move (an active set:
section 16.5 there).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from scale_eval.datasets.instants import DAY
from scale_eval.metrics.compiled.elementary import exp_of, log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where

FURTHEST = 10.0
"""Bound on |log(parameter / centre)|: degenerate data have their maximum at infinity."""

MAX_STEPS = 200
START = (-0.5, 0.5, -0.3, 0.4)
"""The start of the search, as log(parameter / centre): companies' fits lie about twice as far."""

LONGEST_STEP = 2.0  # in the log parameters; beyond it the quadratic says nothing
LAST_STEP = 1e-4  # in the log parameters; the one after it would be about its square
ROUNDING = 1e-13  # relative, of the log posterior: a loss below it is none
UNSEEN = 1e-16  # relative: a rise below it leaves the log posterior the same number
LEAST_PIVOT = 1e-2  # relative to the diagonal element that a pivot of 0 or less came of
SINGULAR = 1e-12  # relative: what Cholesky's method leaves of a diagonal element is rounding
AT_BOUND = 1e-9  # closer to it, a parameter is at its bound
OVERFLOW = 1e150  # a product beyond it, or below its inverse, is turned into its logarithm
CERTAIN = 300.0  # log odds of being dead beyond which nobody is alive, to the last bit
LARGEST = 700.0  # e to this is still a number

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def customers_in_days(
    n_purchase_days: np.ndarray,
    first_purchase: np.ndarray,
    last_purchase: np.ndarray,
    cutoff: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `x` (int64), `t_x` and `T` (float64) in days of UTC, shape (n_customers,).

    Parameters
    ----------
    n_purchase_days : ndarray of int64, shape (n_customers,)
        Distinct days with a purchase, at least 1.
    first_purchase, last_purchase : ndarray of int64, shape (n_customers,)
        Microseconds since 1970-01-01 UTC.
    cutoff : int
        Microseconds since 1970-01-01 UTC; the last day that is observed ends there or contains it.
    """
    n = len(n_purchase_days)
    x, t_x, T = np.empty(n, np.int64), np.empty(n), np.empty(n)
    today = (cutoff - 1) // DAY
    for i in range(n):
        first = first_purchase[i] // DAY
        x[i] = n_purchase_days[i] - 1
        t_x[i] = last_purchase[i] // DAY - first
        T[i] = today - first
    return x, t_x, T


@_compiled
def fit(
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    prior_sd: float,
    centre: tuple[float, float, float, float],
) -> tuple[float, float, float, float, int]:
    """Fit `r`, `alpha`, `a`, `b` of the highest posterior; return them and the number of steps.

    Parameters
    ----------
    x : ndarray of int64, shape (n_customers,)
        Repeat purchases. Time and memory grow with the largest of them.
    t_x, T : ndarray of float64, shape (n_customers,)
        Time of the last of them, time watched; in the unit of `centre`.
    prior_sd : float
        Standard deviation of the normal prior on the log parameters; `inf` for none.
    centre : tuple of float
        `r`, `alpha`, `a`, `b` where the prior is centred.

    Returns
    -------
    tuple of 5
        The number of steps is `MAX_STEPS` where the posterior was still rising.
    """
    customers = _split(x, t_x, T)
    precision = 1.0 / prior_sd**2
    shift, trial, step = np.array(START), np.empty(4), np.empty(4)
    slope, trial_slope = np.empty(4), np.empty(4)
    bend, trial_bend = np.empty((4, 4)), np.empty((4, 4))
    n = len(customers[2])
    work = (
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
    )
    height = _posterior(shift, centre, precision, customers, work, slope, bend)
    for n_steps in range(MAX_STEPS):
        is_newton = _newton_step(shift, slope, bend, step)
        rise, longest, room = 0.0, 0.0, 1.0
        for i in range(4):
            rise += slope[i] * step[i]
            longest = max(longest, abs(step[i]))
            if abs(shift[i] + step[i]) > FURTHEST:
                room = min(room, (FURTHEST - math.copysign(1.0, step[i]) * shift[i]) / abs(step[i]))
        last = is_newton and longest <= LAST_STEP
        size = min(room, LONGEST_STEP / longest) if longest > 0.0 else 1.0
        while True:
            for i in range(4):
                trial[i] = shift[i] + size * step[i]
            if last:
                return (*_parameters(trial, centre), n_steps + 1)
            trial_height = _posterior(
                trial, centre, precision, customers, work, trial_slope, trial_bend
            )
            if trial_height >= height - ROUNDING * abs(height):
                break
            size *= 0.5
            if size * longest < LAST_STEP**2:  # the rise is below rounding
                return (*_parameters(shift, centre), n_steps)
        shift, trial = trial, shift
        slope, trial_slope = trial_slope, slope
        bend, trial_bend = trial_bend, bend
        flat = trial_height - height <= ROUNDING * abs(height)
        height = trial_height
        if flat and rise <= (UNSEEN if is_newton else ROUNDING) * abs(height):
            return (*_parameters(shift, centre), n_steps + 1)
    return (*_parameters(shift, centre), MAX_STEPS)


@_compiled
def probability_of_purchase(
    r: float,
    alpha: float,
    a: float,
    b: float,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    t: float,
) -> np.ndarray:
    """Return P(at least one purchase in (T, T + t] | x, t_x, T); shape (n_customers,).

    It agrees with `scale_eval.models.bgnbd.probability_of_purchase` to 1e-12 and better.
    """
    probability = np.empty(len(x))
    for i in range(len(x)):
        n, until = r + x[i], alpha + T[i]
        buys = 1.0 - exp_of(-n * log_of((until + t) / until))
        log_odds = min(n * log_of(until / (alpha + t_x[i])), LARGEST)
        odds = exp_of(log_odds) * a / (b + x[i] - 1.0 if x[i] > 0 else b)
        probability[i] = buys / (1.0 + odds) if x[i] > 0 else buys
    return probability


@_compiled
def _parameters(shift, centre):  # type: ignore[no-untyped-def]
    return (
        centre[0] * math.exp(shift[0]),
        centre[1] * math.exp(shift[1]),
        centre[2] * math.exp(shift[2]),
        centre[3] * math.exp(shift[3]),
    )


@_compiled
def _split(x, t_x, T):  # type: ignore[no-untyped-def]
    """Split customers into what the sums of `_posterior` need.

    Returns, for each i, the number of customers with x > i, and i; the number of customers who
    bought again, with their x, t_x and T; and the T of the others. All but the last are padded to
    whole `LANES`: counts by 0, customers by x = t_x = T = 1, whose terms are set to 0 later.
    """
    n, largest, n_again = len(x), 0, 0
    for i in range(n):
        largest = max(largest, x[i])
        n_again += x[i] > 0
    steps = (largest + LANES) // LANES * LANES
    more_than = np.zeros(steps)
    room = (n_again + LANES - 1) // LANES * LANES
    x_again, t_x_again, T_again = np.ones(room), np.ones(room), np.ones(room)
    T_once = np.empty(n - n_again)
    again, once = 0, 0
    for i in range(n):
        if x[i] > 0:
            more_than[x[i] - 1] += 1.0
            x_again[again], t_x_again[again], T_again[again] = x[i], t_x[i], T[i]
            again += 1
        else:
            T_once[once] = T[i]
            once += 1
    for i in range(largest - 1, -1, -1):
        more_than[i] += more_than[i + 1]
    steps_up = more_than, np.arange(float(steps))
    return steps_up, n_again, x_again, t_x_again, T_again, T_once


@_compiled
def _posterior(shift, centre, precision, customers, work, slope, bend):  # type: ignore[no-untyped-def]
    """Return the log posterior at log(parameter / centre) = `shift`; fill its `slope` and `bend`.

    `slope` is the gradient, and `bend` the negative Hessian, of which the lower triangle is filled;
    the order is r, alpha, a, b.
    """
    r, alpha, a, b = _parameters(shift, centre)
    more_than, n_again, x_again, t_x_again, T_again, T_once = customers
    height = 0.0

    # Γ(r + x) Γ(b + x) Γ(a + b) / (Γ(r) Γ(b) Γ(a + b + x)), over all customers.
    counts, up = more_than
    heights = r_slopes = r_bends = a_slopes = a_bends = lanes_of(0.0)
    b_slopes = b_bends = ab_bends = lanes_of(0.0)
    for i in range(0, len(up), LANES):
        more, at = load(counts, i), load(up, i)
        of_r, of_b, of_both = r / (r + at), b / (b + at), 1.0 / (a + b + at)
        a_share, b_share = a * of_both, b * of_both
        heights += more * log_of((r + at) * (b + at) / (a + b + at))
        r_slopes += more * of_r
        r_bends += more * of_r * (1.0 - of_r)
        a_slopes -= more * a_share
        a_bends -= more * a_share * (1.0 - a_share)
        b_slopes += more * (of_b - b_share)
        b_bends += more * (of_b * (1.0 - of_b) - b_share * (1.0 - b_share))
        ab_bends += more * a_share * b_share
    height += total(heights)
    r_slope, r_bend, a_slope, a_bend = (
        total(r_slopes),
        total(r_bends),
        total(a_slopes),
        total(a_bends),
    )
    b_slope, b_bend, ab_bend = total(b_slopes), total(b_bends), total(ab_bends)

    # (alpha / (alpha + T))^r of those who bought once.
    log_waited = 0.0  # Σ log((alpha + T) / alpha)
    alpha_slope = alpha_bend = young = 0.0
    product = 1.0
    for i in range(len(T_once)):
        share = alpha / (alpha + T_once[i])
        product *= share
        if product < 1.0 / OVERFLOW:
            log_waited -= math.log(product)
            product = 1.0
        young += share
        alpha_bend -= share * (1.0 - share)
    log_waited -= math.log(product)
    alpha_slope, alpha_bend = -r * young, r * alpha_bend

    # The same of those who bought again, (alpha + T)^-x, and 1 + e^z; e^z / (1 + e^z) is `dead`.
    # First one number a customer, then sums.
    log_end, log_idle, from_end, from_last, v, odds, alive = work
    for i in range(0, len(x_again), LANES):
        x, end = load(x_again, i), alpha + load(T_again, i)
        since_last, of_b = 1.0 / (alpha + load(t_x_again, i)), 1.0 / (b + x - 1.0)
        idle = log_of(end * since_last)
        odds_of_dead = a * of_b * exp_of(min((r + x) * idle, CERTAIN))
        store(log_end, i, log_of(end))
        store(from_end, i, 1.0 / end)
        store(from_last, i, since_last)
        store(v, i, of_b)
        store(log_idle, i, idle)
        store(odds, i, odds_of_dead)
        store(alive, i, 1.0 / (1.0 + odds_of_dead))
    product = 1.0
    for i in range(n_again):
        product *= 1.0 + odds[i]
        if product > OVERFLOW:
            height += math.log(product)
            product = 1.0
    for i in range(n_again, len(odds)):  # the padding adds nothing
        log_end[i] = log_idle[i] = from_end[i] = from_last[i] = odds[i] = 0.0
    nothing = waits = shares = n_shares = n_bends = heights = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        x, ended, share = load(x_again, i), load(log_end, i), alpha * load(from_end, i)
        n = r + x
        waits += ended
        shares += share
        n_shares += n * share
        n_bends += n * share * (1.0 - share)
        beyond = n * load(log_idle, i) - CERTAIN
        heights += where(beyond > nothing, beyond, nothing) - x * ended
    log_waited += total(waits)
    young += total(shares)
    alpha_slope -= total(n_shares)
    alpha_bend -= total(n_bends)
    height += total(heights)
    ds = d_ls = d_ys = d_vs = d_us = d_yws = d_vvs = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        dead, of_b = load(odds, i) * load(alive, i), load(v, i)
        since, until = load(from_last, i), load(from_end, i)
        u = since - until
        y = (r + load(x_again, i)) * u
        ds += dead
        d_ls += dead * load(log_idle, i)
        d_ys += dead * y
        d_vs += dead * of_b
        d_us += dead * u
        d_yws += dead * y * (since + until)
        d_vvs += dead * of_b * of_b
    d, d_l, d_y, d_v = total(ds), total(d_ls), total(d_ys), total(d_vs)
    d_u, d_yw, d_vv = total(d_us), total(d_yws), total(d_vvs)
    lls = lys = l1s = lvs = yys = y1s = yvs = ones = v1s = vvs = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        lives = load(alive, i)
        either = load(odds, i) * lives * lives
        l, of_b = load(log_idle, i), load(v, i)  # noqa: E741
        y = (r + load(x_again, i)) * (load(from_last, i) - load(from_end, i))
        of_l, of_y, of_v = either * l, either * y, either * of_b
        ones += either
        l1s += of_l
        y1s += of_y
        v1s += of_v
        lls += of_l * l
        lys += of_l * y
        lvs += of_l * of_b
        yys += of_y * y
        yvs += of_y * of_b
        vvs += of_v * of_b
    ll, ly, l1, lv, yy = total(lls), total(lys), total(l1s), total(lvs), total(yys)
    y1, yv, one, v1, vv = total(y1s), total(yvs), total(ones), total(v1s), total(vvs)
    log_waited -= n_again * math.log(alpha)
    height += math.log(product) - r * log_waited
    n_customers = len(T_once) + n_again

    slope[0] = r_slope - r * log_waited + r * d_l
    slope[1] = alpha_slope + r * n_customers - alpha * d_y
    slope[2] = a_slope + d
    slope[3] = b_slope - b * d_v
    bend[0, 0] = r * log_waited - r_bend - r * d_l - r * r * ll
    bend[1, 0] = r * (young - n_customers) + r * alpha * (d_u + ly)
    bend[1, 1] = -alpha_bend + alpha * d_y - alpha * alpha * (d_yw + yy)
    bend[2, 0] = -r * l1
    bend[2, 1] = alpha * y1
    bend[2, 2] = -a_bend - one
    bend[3, 0] = r * b * lv
    bend[3, 1] = -alpha * b * yv
    bend[3, 2] = -ab_bend + b * v1
    bend[3, 3] = b * d_v - b_bend - b * b * (d_vv + vv)
    for i in range(4):
        height -= 0.5 * precision * shift[i] ** 2
        slope[i] -= precision * shift[i]
        bend[i, i] += precision
    return height


@_compiled
def _newton_step(shift, slope, bend, step):  # type: ignore[no-untyped-def]
    """Fill `step`, uphill; return True if it is Newton's, for the matrix is positive definite."""
    stands = np.zeros(4, np.bool_)
    for i in range(4):
        stands[i] = _leaves(shift[i], slope[i])
    while True:
        is_newton = _ascent(stands, slope, bend, step)
        more = False
        for i in range(4):
            if _leaves(shift[i], step[i]):
                stands[i] = more = True
        if not more:
            return is_newton


@_compiled
def _leaves(shift, direction):  # type: ignore[no-untyped-def]
    """Return True if a parameter is at its bound, and the direction leads beyond it."""
    return abs(shift) > FURTHEST - AT_BOUND and shift * direction > 0.0


@_compiled
def _ascent(stands, slope, bend, step):  # type: ignore[no-untyped-def]
    """Fill `step` as `_newton_step`, given the parameters that stand still."""
    lower = np.empty((4, 4))
    is_newton = True
    for i in range(4):
        for j in range(i + 1):
            element = bend[i, j]
            if stands[i] or stands[j]:
                element = 1.0 * (i == j)
            whole = abs(element)
            for k in range(j):
                element -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = element / lower[j, j]
                continue
            if element <= SINGULAR * whole:
                is_newton = False
                element = max(-element, LEAST_PIVOT * whole, 1e-300)
            lower[i, i] = math.sqrt(element)
    for i in range(4):
        step[i] = 0.0 if stands[i] else slope[i]
        for k in range(i):
            step[i] -= lower[i, k] * step[k]
        step[i] /= lower[i, i]
    for i in range(3, -1, -1):
        for k in range(i + 1, 4):
            step[i] -= lower[k, i] * step[k]
        step[i] /= lower[i, i]
    return is_newton
