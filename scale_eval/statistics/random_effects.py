"""The variance of the true effects between companies, separated from their noise.

y_i = mu + u_i + e_i, with u_i ~ (0, tau2) the true effect of company i and e_i ~ (0, v_i) its noise
of known variance v_i. Inverse-variance weights w_i = 1 / (tau2 + v_i). Arrays are of shape (k,).

Sources: Viechtbauer 2005 (REML), Knapp & Hartung 2003, Higgins & Thompson 2002 (I2), Viechtbauer
2007 (Q profile). Checked against metafor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import gammaincinv, stdtrit

from scale_eval.compiling import compiled
from scale_eval.statistics.undefined import Undefined

STARTS = np.concatenate([[0.0], np.geomspace(1e-3, 4.0, 12)])
"""Values of tau2, in variances of y, at which the likelihood is evaluated to choose a start."""

MANY = 1_000
"""Number of companies above which the likelihood has one maximum, searched from the moments."""

MAX_STEPS = 100
LAST_STEP = 1e-11
"""Last step of REML, relative to the variance of y."""

LAST_STEP_OF_Q = 1e-7
"""Last step of inverting Q, relative to tau2; the next one would be below its square."""

BLOCK = 256
"""Companies in a partial sum: the rounding errors of 100,000 numbers added one after another would
be larger than the gains of likelihood by which steps are judged."""

N_SUMS = 7


@dataclass(frozen=True)
class RandomEffects:
    """A fitted random-effects model.

    Attributes
    ----------
    k : int
        Number of companies.
    mu, std_error : float
        The mean effect, and sqrt(1 / sum w).
    knapp_hartung_std_error : float
        sqrt(sum w (y - mu)^2 / ((k - 1) sum w)): for a t with k - 1 degrees of freedom, which is
        valid for few companies too.
    tau2 : float
        Variance of the true effects between companies.
    i_squared : float
        tau2 / (tau2 + s2), where s2 = (k - 1) sum w / ((sum w)^2 - sum w^2) with w = 1 / v is the
        typical v. A share, not a percentage.
    """

    k: int
    mu: float
    std_error: float
    knapp_hartung_std_error: float
    tau2: float
    i_squared: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the mean effect: Student's, with the error of Knapp & Hartung."""
        half = stdtrit(self.k - 1, (1 + level) / 2) * self.knapp_hartung_std_error
        return float(self.mu - half), float(self.mu + half)


def random_effects(y: np.ndarray, v: np.ndarray) -> RandomEffects:
    """Fit the model by restricted maximum likelihood (REML).

    Undefined: ``fewer_than_2_companies``. `ValueError` for a v that is not above 0 or an effect
    that is not finite.
    """
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise ValueError("effects must be finite and their variances v above 0: leave others out")
    if len(y) < 2:
        raise Undefined("fewer_than_2_companies")
    return with_tau2(y, v, _reml(y, v))


def with_tau2(y: np.ndarray, v: np.ndarray, tau2: float) -> RandomEffects:
    """Fit the rest of the model at a given tau2, for two companies or more."""
    k, fixed = len(y), 1 / v
    c = fixed.sum() - np.square(fixed).sum() / fixed.sum()
    w = 1 / (tau2 + v)
    mu = float((w * y).sum() / w.sum())
    knapp_hartung = (w * np.square(y - mu)).sum() / ((k - 1) * w.sum())
    return RandomEffects(
        k=k,
        mu=mu,
        std_error=float(1 / np.sqrt(w.sum())),
        knapp_hartung_std_error=float(np.sqrt(knapp_hartung)),
        tau2=float(tau2),
        i_squared=float(tau2 / (tau2 + (k - 1) / c)),
    )


def generalised_q(y: np.ndarray, v: np.ndarray, tau2: float) -> float:
    """Return sum w (y - mu)^2, chi squared with k - 1 degrees of freedom at the true tau2."""
    return weighted_sums(y, v, tau2).q


class QAtTau2(Protocol):
    """The generalised Q at one tau2, and its derivative with its sign turned."""

    @property
    def tau2(self) -> float:
        """Return the tau2."""

    @property
    def q(self) -> float:
        """Return the generalised Q."""

    @property
    def fall_of_q(self) -> float:
        """Return the derivative of Q with its sign turned."""


def invert_q(y: np.ndarray, v: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the tau2 at which the generalised Q is each target; see `invert`."""
    return invert(lambda tau2: weighted_sums(y, v, tau2), targets)


def invert(q_at: Callable[[float], QAtTau2], targets: np.ndarray) -> np.ndarray:
    """Return the tau2 at which Q is each target; 0 where Q(0) is below the target.

    Q is sum z^2 / (tau2 + l) for some l > 0 and z, so that 1 / Q is concave, and a line where all v
    are equal: Newton's steps on 1 / Q from the left never overshoot, and are longer than on Q.

    Parameters
    ----------
    q_at : callable
        tau2 -> Q and its fall there.
    targets : ndarray of shape (n,)
        Above 0.

    Returns
    -------
    ndarray of shape (n,)
    """
    roots = np.zeros(len(targets))
    sums = q_at(0.0)
    for i in np.argsort(-targets):  # tau2 rises, and each search starts where the last one ended
        while True:
            step, target = 0.0, float(targets[i])
            if sums.q > target and sums.fall_of_q > 0:
                step = sums.q / target * (sums.q - target) / sums.fall_of_q
            roots[i] = sums.tau2 + step
            if step <= LAST_STEP_OF_Q * roots[i]:
                break
            sums = q_at(float(roots[i]))
    return roots


def chi_squared_quantile(probability: np.ndarray, df: int) -> np.ndarray:
    """Return `scipy.stats.chi2.ppf(probability, df)`, without its overhead."""
    return np.asarray(2 * gammaincinv(df / 2, probability))


def q_profile(y: np.ndarray, v: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of tau2 for which the generalised Q lies between chi squared quantiles.

    Undefined: ``fewer_than_2_companies``.
    """
    if len(y) < 2:
        raise Undefined("fewer_than_2_companies")
    ends = chi_squared_quantile(np.array([(1 + level) / 2, (1 - level) / 2]), len(y) - 1)
    low, high = invert_q(y, v, ends).tolist()
    return low, high


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    """Find tau2 by Fisher's scoring from the best of `STARTS`, halving bad steps."""
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
        total, sum_of_squares = now.weight, now.sum_of_squares
        trace = total - sum_of_squares / total
        information = sum_of_squares - 2 * now.sum_of_cubes / total + (sum_of_squares / total) ** 2
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
    """Sums over companies at one tau2, with weights w.

    Attributes
    ----------
    tau2 : float
    weight, sum_of_squares, sum_of_cubes : float
        sum w, sum w^2, sum w^3.
    mu : float
        sum w y / sum w.
    q, fall_of_q : float
        sum w (y - mu)^2, and its derivative with its sign turned, sum w^2 (y - mu)^2.
    log_likelihood : float
        Restricted; NaN unless it was requested.
    """

    tau2: float
    weight: float
    sum_of_squares: float
    sum_of_cubes: float
    mu: float
    q: float
    fall_of_q: float
    log_likelihood: float


def weighted_sums(
    y: np.ndarray, v: np.ndarray, tau2: float, *, likelihood: bool = False
) -> WeightedSums:
    """Compute the sums from which everything else here follows; the arrays are float64."""
    return WeightedSums(tau2, *_weighted_sums(y, v, float(tau2), likelihood))


@compiled
def _weighted_sums(
    y: np.ndarray, v: np.ndarray, tau2: float, likelihood: bool
) -> tuple[float, float, float, float, float, float, float]:
    # The terms of companies, and then their sums by halves, are loops that a processor vectorises,
    # in one order on any machine. Distances are from the effect that weighs most: it is far from mu
    # only where q is large, so that q keeps its digits.
    n, closest = len(y), 0
    for i in range(n):
        if v[i] < v[closest]:
            closest = i
    centre = y[closest]
    terms, sums = np.empty((N_SUMS, BLOCK)), np.zeros(N_SUMS)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for k in range(N_SUMS):
            for i in range(size, BLOCK):
                terms[k, i] = 0.0
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
    # Logarithms of products, since a logarithm costs most; no product may overflow.
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
