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
parameter at its bound that would go beyond it is fixed while the others move (an active set:
section 16.5 there).
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
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
ROUNDING = 1e-13  # relative, of the log posterior: a smaller loss is rounding
UNSEEN = 1e-16  # relative: a rise below it leaves the log posterior the same number
LEAST_PIVOT = 1e-2  # relative to the diagonal element behind a pivot of 0 or less
SINGULAR = 1e-12  # relative: what Cholesky's method leaves of a diagonal element is rounding
AT_BOUND = 1e-9  # closer to its bound than this, a parameter counts as at it
OVERFLOW = 1e150  # a product beyond it, or below its inverse, is turned into its logarithm
CERTAIN = 300.0  # log odds of being dead from which P(dead) is 1, to the last bit
LARGEST = 700.0  # its exponential still fits into float64


@compiled
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


@compiled
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
        Time of the last of them, time observed; in the unit of `centre`.
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
    gradient, trial_gradient = np.empty(4), np.empty(4)
    curvature, trial_curvature = np.empty((4, 4)), np.empty((4, 4))
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
    log_posterior = _posterior(shift, centre, precision, customers, work, gradient, curvature)
    for n_steps in range(MAX_STEPS):
        is_newton = _newton_step(shift, gradient, curvature, step)
        rise, longest, reach = 0.0, 0.0, 1.0
        for i in range(4):
            rise += gradient[i] * step[i]
            longest = max(longest, abs(step[i]))
            if abs(shift[i] + step[i]) > FURTHEST:
                reach = min(
                    reach, (FURTHEST - math.copysign(1.0, step[i]) * shift[i]) / abs(step[i])
                )
        last = is_newton and longest <= LAST_STEP
        size = min(reach, LONGEST_STEP / longest) if longest > 0.0 else 1.0
        while True:
            for i in range(4):
                trial[i] = shift[i] + size * step[i]
            if last:
                return (*_parameters(trial, centre), n_steps + 1)
            trial_log_posterior = _posterior(
                trial, centre, precision, customers, work, trial_gradient, trial_curvature
            )
            if trial_log_posterior >= log_posterior - ROUNDING * abs(log_posterior):
                break
            size *= 0.5
            if size * longest < LAST_STEP**2:  # the rise is below rounding
                return (*_parameters(shift, centre), n_steps)
        shift, trial = trial, shift
        gradient, trial_gradient = trial_gradient, gradient
        curvature, trial_curvature = trial_curvature, curvature
        flat = trial_log_posterior - log_posterior <= ROUNDING * abs(log_posterior)
        log_posterior = trial_log_posterior
        if flat and rise <= (UNSEEN if is_newton else ROUNDING) * abs(log_posterior):
            return (*_parameters(shift, centre), n_steps + 1)
    return (*_parameters(shift, centre), MAX_STEPS)


@compiled
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


@compiled
def _parameters(shift, centre):  # type: ignore[no-untyped-def]
    return (
        centre[0] * math.exp(shift[0]),
        centre[1] * math.exp(shift[1]),
        centre[2] * math.exp(shift[2]),
        centre[3] * math.exp(shift[3]),
    )


@compiled
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
    size = (n_again + LANES - 1) // LANES * LANES
    x_again, t_x_again, T_again = np.ones(size), np.ones(size), np.ones(size)
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


@compiled
def _posterior(shift, centre, precision, customers, work, gradient, curvature):  # type: ignore[no-untyped-def]
    """Return the log posterior at log(parameter / centre) = `shift`; fill `gradient`, `curvature`.

    `curvature` is the negative Hessian, of which the lower triangle is filled; the order is r,
    alpha, a, b.
    """
    r, alpha, a, b = _parameters(shift, centre)
    more_than, n_again, x_again, t_x_again, T_again, T_once = customers
    log_posterior = 0.0

    # Γ(r + x) Γ(b + x) Γ(a + b) / (Γ(r) Γ(b) Γ(a + b + x)), over all customers.
    counts, up = more_than
    log_terms = r_gradients = r_curvatures = a_gradients = a_curvatures = lanes_of(0.0)
    b_gradients = b_curvatures = ab_curvatures = lanes_of(0.0)
    for i in range(0, len(up), LANES):
        more, at = load(counts, i), load(up, i)
        r_ratio, b_ratio, inverse_sum = r / (r + at), b / (b + at), 1.0 / (a + b + at)
        a_share, b_share = a * inverse_sum, b * inverse_sum
        log_terms += more * log_of((r + at) * (b + at) / (a + b + at))
        r_gradients += more * r_ratio
        r_curvatures += more * r_ratio * (1.0 - r_ratio)
        a_gradients -= more * a_share
        a_curvatures -= more * a_share * (1.0 - a_share)
        b_gradients += more * (b_ratio - b_share)
        b_curvatures += more * (b_ratio * (1.0 - b_ratio) - b_share * (1.0 - b_share))
        ab_curvatures += more * a_share * b_share
    log_posterior += total(log_terms)
    r_gradient, r_curvature, a_gradient, a_curvature = (
        total(r_gradients),
        total(r_curvatures),
        total(a_gradients),
        total(a_curvatures),
    )
    b_gradient, b_curvature, ab_curvature = (
        total(b_gradients),
        total(b_curvatures),
        total(ab_curvatures),
    )

    # (alpha / (alpha + T))^r of those who bought once.
    log_waited = 0.0  # Σ log((alpha + T) / alpha)
    alpha_gradient = alpha_curvature = young = 0.0
    product = 1.0
    for i in range(len(T_once)):
        share = alpha / (alpha + T_once[i])
        product *= share
        if product < 1.0 / OVERFLOW:
            log_waited -= math.log(product)
            product = 1.0
        young += share
        alpha_curvature -= share * (1.0 - share)
    log_waited -= math.log(product)
    alpha_gradient, alpha_curvature = -r * young, r * alpha_curvature

    # The same of those who bought again, (alpha + T)^-x, and 1 + e^z; e^z / (1 + e^z) is `dead`.
    # First one number a customer, then sums.
    log_end, log_idle, from_end, from_last, v, odds, alive = work
    for i in range(0, len(x_again), LANES):
        x, end = load(x_again, i), alpha + load(T_again, i)
        since_last, inverse_b = 1.0 / (alpha + load(t_x_again, i)), 1.0 / (b + x - 1.0)
        idle = log_of(end * since_last)
        odds_of_dead = a * inverse_b * exp_of(min((r + x) * idle, CERTAIN))
        store(log_end, i, log_of(end))
        store(from_end, i, 1.0 / end)
        store(from_last, i, since_last)
        store(v, i, inverse_b)
        store(log_idle, i, idle)
        store(odds, i, odds_of_dead)
        store(alive, i, 1.0 / (1.0 + odds_of_dead))
    product = 1.0
    for i in range(n_again):
        product *= 1.0 + odds[i]
        if product > OVERFLOW:
            log_posterior += math.log(product)
            product = 1.0
    for i in range(n_again, len(odds)):  # the padding adds nothing
        log_end[i] = log_idle[i] = from_end[i] = from_last[i] = odds[i] = 0.0
    nothing = waits = shares = n_shares = n_curvatures = log_terms = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        x, ended, share = load(x_again, i), load(log_end, i), alpha * load(from_end, i)
        n = r + x
        waits += ended
        shares += share
        n_shares += n * share
        n_curvatures += n * share * (1.0 - share)
        beyond = n * load(log_idle, i) - CERTAIN
        log_terms += where(beyond > nothing, beyond, nothing) - x * ended
    log_waited += total(waits)
    young += total(shares)
    alpha_gradient -= total(n_shares)
    alpha_curvature -= total(n_curvatures)
    log_posterior += total(log_terms)
    ds = d_ls = d_ys = d_vs = d_us = d_yws = d_vvs = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        dead, inverse_b = load(odds, i) * load(alive, i), load(v, i)
        since, until = load(from_last, i), load(from_end, i)
        u = since - until
        y = (r + load(x_again, i)) * u
        ds += dead
        d_ls += dead * load(log_idle, i)
        d_ys += dead * y
        d_vs += dead * inverse_b
        d_us += dead * u
        d_yws += dead * y * (since + until)
        d_vvs += dead * inverse_b * inverse_b
    d, d_l, d_y, d_v = total(ds), total(d_ls), total(d_ys), total(d_vs)
    d_u, d_yw, d_vv = total(d_us), total(d_yws), total(d_vvs)
    lls = lys = l1s = lvs = yys = y1s = yvs = ones = v1s = vvs = lanes_of(0.0)
    for i in range(0, len(odds), LANES):
        lives = load(alive, i)
        either = load(odds, i) * lives * lives
        l, inverse_b = load(log_idle, i), load(v, i)  # noqa: E741
        y = (r + load(x_again, i)) * (load(from_last, i) - load(from_end, i))
        weighted_l, weighted_y, weighted_v = either * l, either * y, either * inverse_b
        ones += either
        l1s += weighted_l
        y1s += weighted_y
        v1s += weighted_v
        lls += weighted_l * l
        lys += weighted_l * y
        lvs += weighted_l * inverse_b
        yys += weighted_y * y
        yvs += weighted_y * inverse_b
        vvs += weighted_v * inverse_b
    ll, ly, l1, lv, yy = total(lls), total(lys), total(l1s), total(lvs), total(yys)
    y1, yv, one, v1, vv = total(y1s), total(yvs), total(ones), total(v1s), total(vvs)
    log_waited -= n_again * math.log(alpha)
    log_posterior += math.log(product) - r * log_waited
    n_customers = len(T_once) + n_again

    gradient[0] = r_gradient - r * log_waited + r * d_l
    gradient[1] = alpha_gradient + r * n_customers - alpha * d_y
    gradient[2] = a_gradient + d
    gradient[3] = b_gradient - b * d_v
    curvature[0, 0] = r * log_waited - r_curvature - r * d_l - r * r * ll
    curvature[1, 0] = r * (young - n_customers) + r * alpha * (d_u + ly)
    curvature[1, 1] = -alpha_curvature + alpha * d_y - alpha * alpha * (d_yw + yy)
    curvature[2, 0] = -r * l1
    curvature[2, 1] = alpha * y1
    curvature[2, 2] = -a_curvature - one
    curvature[3, 0] = r * b * lv
    curvature[3, 1] = -alpha * b * yv
    curvature[3, 2] = -ab_curvature + b * v1
    curvature[3, 3] = b * d_v - b_curvature - b * b * (d_vv + vv)
    for i in range(4):
        log_posterior -= 0.5 * precision * shift[i] ** 2
        gradient[i] -= precision * shift[i]
        curvature[i, i] += precision
    return log_posterior


@compiled
def _newton_step(shift, gradient, curvature, step):  # type: ignore[no-untyped-def]
    """Fill `step`, uphill; return True if `curvature` is positive definite and it is Newton's."""
    fixed = np.zeros(4, np.bool_)
    for i in range(4):
        fixed[i] = _crosses_bound(shift[i], gradient[i])
    while True:
        is_newton = _ascent_step(fixed, gradient, curvature, step)
        more = False
        for i in range(4):
            if _crosses_bound(shift[i], step[i]):
                fixed[i] = more = True
        if not more:
            return is_newton


@compiled
def _crosses_bound(shift, direction):  # type: ignore[no-untyped-def]
    """Return True if a parameter is at its bound and the direction leads beyond it."""
    return abs(shift) > FURTHEST - AT_BOUND and shift * direction > 0.0


@compiled
def _ascent_step(fixed, gradient, curvature, step):  # type: ignore[no-untyped-def]
    """Fill `step` as `_newton_step` does, given which parameters are fixed at their bound."""
    lower = np.empty((4, 4))
    is_newton = True
    for i in range(4):
        for j in range(i + 1):
            element = curvature[i, j]
            if fixed[i] or fixed[j]:
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
        step[i] = 0.0 if fixed[i] else gradient[i]
        for k in range(i):
            step[i] -= lower[i, k] * step[k]
        step[i] /= lower[i, i]
    for i in range(3, -1, -1):
        for k in range(i + 1, 4):
            step[i] -= lower[k, i] * step[k]
        step[i] /= lower[i, i]
    return is_newton
