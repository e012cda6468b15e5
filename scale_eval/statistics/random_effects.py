"""How much the truth differs between companies, told apart from their noise.

y_i = mu + u_i + e_i, u_i ~ (0, tau2) the truth of company i, e_i ~ (0, v_i) with v_i known.
Inverse-variance weights w_i = 1 / (tau2 + v_i). Arrays are of shape (k,).

Sources: Viechtbauer 2005 (REML), DerSimonian & Laird 1986, Paule & Mandel 1982, Knapp & Hartung
2003, Higgins & Thompson 2002 (I2, H2), Viechtbauer 2007 (Q profile). Checked against metafor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from scipy.special import gammaincinv, ndtri, stdtrit

from scale_eval.statistics.undefined import Undefined

METHODS = ("reml", "dersimonian_laird", "paule_mandel")

STARTS = np.concatenate([[0.0], np.geomspace(1e-3, 4.0, 12)])
"""In variances of y: where the restricted likelihood is looked at before its top is sought."""

MANY = 1_000
"""Of more companies the restricted likelihood has one top; it is sought from the moments."""

MAX_STEPS = 100
LAST_STEP = 1e-11
"""Relative to the variance of y."""

LAST_STEP_OF_Q = 1e-7
"""Relative to tau2; the one after it would be below its square."""

BLOCK = 256
"""Companies are summed by so many, and then the sums: rounding errors of 100,000 added one after
another would be seen where a step is judged by whether it gains likelihood."""

N_SUMS = 7


@dataclass(frozen=True)
class RandomEffects:
    """A random-effects model, fitted.

    Attributes
    ----------
    method : str
        Of tau2; one of `METHODS`.
    k : int
        Companies.
    mu, std_error : float
        The mean effect, and sqrt(1 / sum w).
    knapp_hartung_std_error : float
        sqrt(sum w (y - mu)^2 / ((k - 1) sum w)): fit for a t with k - 1 degrees of freedom, honest
        for few companies.
    tau2 : float
        Variance of the truth between companies.
    q : float
        Cochran's.
    i_squared, h_squared : float
        tau2 / (tau2 + s2) and (tau2 + s2) / s2, s2 = (k - 1) sum w / ((sum w)^2 - sum w^2) with
        w = 1 / v, the typical v. Not a percentage.
    """

    method: str
    k: int
    mu: float
    std_error: float
    knapp_hartung_std_error: float
    tau2: float
    q: float
    i_squared: float
    h_squared: float

    def interval(self, level: float = 0.95, *, knapp_hartung: bool = True) -> tuple[float, float]:
        """Of the mean effect; Wald's with the normal quantile where not `knapp_hartung`."""
        if knapp_hartung:
            half = stdtrit(self.k - 1, (1 + level) / 2) * self.knapp_hartung_std_error
        else:
            half = ndtri((1 + level) / 2) * self.std_error
        return float(self.mu - half), float(self.mu + half)


def random_effects(y: np.ndarray, v: np.ndarray, method: str = "reml") -> RandomEffects:
    """Fit it; `v` > 0.

    Undefined: ``fewer_than_2_companies``. `ValueError` for a method not in `METHODS`, and for a v
    that is not above 0 or an effect that is not finite.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: take one of {', '.join(METHODS)}")
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise ValueError("effects must be finite and their variances v above 0: leave others out")
    k = len(y)
    if k < 2:
        raise Undefined("fewer_than_2_companies")
    fixed = 1 / v
    q = generalised_q(y, v, 0.0)
    c = fixed.sum() - np.square(fixed).sum() / fixed.sum()
    if method == "reml":
        tau2 = _reml(y, v)
    elif method == "dersimonian_laird":
        tau2 = max(0.0, (q - (k - 1)) / c)
    else:
        tau2 = float(invert_q(y, v, np.array([k - 1.0]))[0])
    w = 1 / (tau2 + v)
    mu = float((w * y).sum() / w.sum())
    typical = (k - 1) / c
    knapp_hartung = (w * np.square(y - mu)).sum() / ((k - 1) * w.sum())
    return RandomEffects(
        method=method,
        k=k,
        mu=mu,
        std_error=float(1 / np.sqrt(w.sum())),
        knapp_hartung_std_error=float(np.sqrt(knapp_hartung)),
        tau2=float(tau2),
        q=q,
        i_squared=float(tau2 / (tau2 + typical)),
        h_squared=float((tau2 + typical) / typical),
    )


def generalised_q(y: np.ndarray, v: np.ndarray, tau2: float) -> float:
    """sum w (y - mu)^2 at this tau2: chi squared with k - 1 degrees of freedom at the true one."""
    return weighted_sums(y, v, tau2).q


def invert_q(y: np.ndarray, v: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The tau2 at which the generalised Q is each target; 0 if it is below at 0.

    Q is sum z^2 / (tau2 + l) for some l > 0 and z, so that 1 / Q is concave, and a line where all
    v are the same: Newton's steps on it from the left never go too far, and far more than on Q.

    Parameters
    ----------
    targets : ndarray of shape (n,)
        Above 0.

    Returns
    -------
    ndarray of shape (n,)
    """
    found = np.zeros(len(targets))
    sums = weighted_sums(y, v, 0.0)
    for i in np.argsort(-targets):  # tau2 rises, and each search begins where the last one ended
        while True:
            step, target = 0.0, float(targets[i])
            if sums.q > target and sums.fall_of_q > 0:
                step = sums.q / target * (sums.q - target) / sums.fall_of_q
            found[i] = sums.tau2 + step
            if step <= LAST_STEP_OF_Q * found[i]:
                break
            sums = weighted_sums(y, v, float(found[i]))
    return found


def chi_squared_quantile(probability: np.ndarray, df: int) -> np.ndarray:
    """As `scipy.stats.chi2.ppf`, without what that does beside; of the shape of `probability`."""
    return np.asarray(2 * gammaincinv(df / 2, probability))


def q_profile(y: np.ndarray, v: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Interval of tau2, by the quantiles of chi squared that the generalised Q may have.

    Undefined: ``fewer_than_2_companies``.
    """
    if len(y) < 2:
        raise Undefined("fewer_than_2_companies")
    ends = chi_squared_quantile(np.array([(1 + level) / 2, (1 - level) / 2]), len(y) - 1)
    low, high = invert_q(y, v, ends).tolist()
    return low, high


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    """Fisher's scoring from the best of `STARTS`, halving the steps that lose likelihood."""
    scale = float(np.var(y, ddof=1))
    if scale == 0:
        return 0.0
    y, v = y / np.sqrt(scale), v / scale
    starts = STARTS if len(y) <= MANY else [max(0.0, 1.0 - float(v.mean()))]
    now = max(
        (weighted_sums(y, v, start, likelihood=True) for start in starts),
        key=lambda sums: sums.log_likelihood,
    )
    for _ in range(MAX_STEPS):
        total, of_squares = now.weight, now.of_squares
        trace = total - of_squares / total
        information = of_squares - 2 * now.of_cubes / total + (of_squares / total) ** 2
        step = max((now.fall_of_q - trace) / information, -now.tau2)
        to_keep = now.log_likelihood - 1e-12 * abs(now.log_likelihood)
        while True:
            moved = weighted_sums(y, v, now.tau2 + step, likelihood=True)
            if moved.log_likelihood >= to_keep or abs(step) <= LAST_STEP:
                break
            step /= 2
        now = moved
        if abs(step) <= LAST_STEP:
            break
    return now.tau2 * scale


class WeightedSums(NamedTuple):
    """Sums over companies at one tau2, with their weights w.

    Attributes
    ----------
    tau2 : float
    weight, of_squares, of_cubes : float
        sum w, sum w^2, sum w^3.
    mu : float
        sum w y / sum w.
    q, fall_of_q : float
        sum w (y - mu)^2, and its derivative with its sign turned, sum w^2 (y - mu)^2.
    log_likelihood : float
        Restricted; NaN where it was not asked for.
    """

    tau2: float
    weight: float
    of_squares: float
    of_cubes: float
    mu: float
    q: float
    fall_of_q: float
    log_likelihood: float


def weighted_sums(
    y: np.ndarray, v: np.ndarray, tau2: float, *, likelihood: bool = False
) -> WeightedSums:
    """Sums from which all else here is had, of float64 arrays."""
    return WeightedSums(tau2, *_weighted_sums(y, v, float(tau2), likelihood))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _weighted_sums(
    y: np.ndarray, v: np.ndarray, tau2: float, likelihood: bool
) -> tuple[float, float, float, float, float, float, float]:
    # Each company's terms, and then their sums by halves, are loops of which a processor does
    # several steps at a time, in one order everywhere. Distances are from the effect that
    # weighs most, which cannot be far from mu unless q is large: so q keeps its digits.
    n, centre = len(y), y[np.argmin(v)]
    terms, sums = np.empty((N_SUMS, BLOCK)), np.zeros(N_SUMS)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        terms[:, size:] = 0.0
        for i in range(size):
            w, distance = 1 / (tau2 + v[begin + i]), y[begin + i] - centre
            terms[0, i] = w
            terms[1, i] = w * w
            terms[2, i] = w * w * w
            terms[3, i] = w * distance
            terms[4, i] = w * distance * distance
            terms[5, i] = w * w * distance
            terms[6, i] = w * w * distance * distance
        half = BLOCK // 2
        while half:
            for k in range(N_SUMS):
                for i in range(half):
                    terms[k, i] += terms[k, i + half]
            half //= 2
        for k in range(N_SUMS):
            sums[k] += terms[k, 0]
    total, squares, cubes = sums[0], sums[1], sums[2]
    shift = sums[3] / total
    mu, q = centre + shift, max(sums[4] - shift * sums[3], 0.0)
    fall = max(sums[6] - 2 * shift * sums[5] + shift * shift * squares, 0.0)
    if not likelihood:
        return total, squares, cubes, mu, q, fall, np.nan
    # Of products, for a logarithm takes longer than all else; none may leave float64.
    logs, product = 0.0, 1.0
    for i in range(len(v)):
        variance = tau2 + v[i]
        if not 1e-150 < variance < 1e150:
            logs += math.log(variance)
            continue
        product *= variance
        if not 1e-150 < product < 1e150:
            logs += math.log(product)
            product = 1.0
    logs += math.log(product)
    return total, squares, cubes, mu, q, fall, (-logs - math.log(total) - q) / 2
