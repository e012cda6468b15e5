"""Random effects of a finite population, from a sample of it with unequal weights.

The restricted likelihood of all companies has its maximum where sums over companies are 0. Weighted
sums over the sample estimate these, and so the maximum (pseudo-likelihood; Binder 1983; Pfeffermann
1993); with all companies in the sample tau2 is that of `random_effects`, and the mean that of
`precision_trend`. The influence of a company on both follows from the derivatives of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from scale_eval.statistics.precision_trend import standardised
from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class SampledEffects:
    """The mean and the variance of the true effects of the companies of a population.

    Attributes
    ----------
    mu, tau2 : float
    mu_influence, tau2_influence : ndarray of shape (k,)
        To first order. Those of tau2 are NaN where tau2 is 0, since the likelihood falls from 0 on.
    precision : ndarray of shape (k,)
        1 / (tau2 + v).
    """

    mu: float
    tau2: float
    mu_influence: np.ndarray
    tau2_influence: np.ndarray
    precision: np.ndarray


def sampled_effects(y: np.ndarray, v: np.ndarray, weights: np.ndarray) -> SampledEffects:
    """Fit the model to effects and their variances; each company represents `weights` companies.

    All three are of shape (k,).

    Undefined: ``fewer_than_2_companies``.
    """
    if len(y) < 2:
        raise Undefined("fewer_than_2_companies")

    def excess(tau2: float) -> float:
        """Return twice the derivative of the restricted log likelihood, 0 at the maximum."""
        w = 1 / (tau2 + v)
        total = weights @ w
        residual = y - (weights * w) @ y / total
        squares = weights * np.square(w)
        return float(squares @ np.square(residual) - total + squares.sum() / total)

    tau2 = 0.0
    if excess(0.0) > 0:
        high = float(np.average(np.square(y - np.average(y, weights=weights)), weights=weights))
        high = max(high, float(v.min()))
        while excess(high) > 0:
            high *= 2
        tau2 = float(brentq(excess, 0.0, high, xtol=1e-14 * high, rtol=1e-13))
    w = 1 / (tau2 + v)
    trend = _Trend.fitted(y, v, weights, tau2)
    if tau2 == 0:
        return SampledEffects(trend.mu, tau2, trend.mu_influence, np.full(len(y), np.nan), w)
    moved = _tau2_influence(y, w, weights)
    step = 1e-5 * tau2
    above, below = (_Trend.fitted(y, v, weights, tau2 + by).mu for by in (step, -step))
    slope = (above - below) / (2 * step)
    return SampledEffects(trend.mu, tau2, trend.mu_influence + slope * moved, moved, w)


def _tau2_influence(y: np.ndarray, w: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the influence of each company on tau2; w = 1 / (tau2 + v)."""
    total = float(weights @ w)
    residual = y - float((weights * w) @ y) / total
    mu_terms = w * residual
    tau2_terms = np.square(w * residual) - w + np.square(w) / total
    slopes = np.array(
        [
            [total, weights @ (np.square(w) * residual)],
            [
                2 * weights @ (np.square(w) * residual),
                weights @ (2 * w**3 * np.square(residual) - np.square(w)),
            ],
        ]
    )
    return np.asarray(np.linalg.solve(slopes, np.stack([mu_terms, tau2_terms]))[1])


@dataclass(frozen=True)
class _Trend:
    """The mean over companies at a given tau2, and each company's influence on it."""

    mu: float
    mu_influence: np.ndarray

    @classmethod
    def fitted(cls, y: np.ndarray, v: np.ndarray, weights: np.ndarray, tau2: float) -> _Trend:
        """Fit mean and trend, as `precision_trend` does, to weighted companies."""
        w, x = 1 / (tau2 + v), standardised(v, weights)
        sums = np.array([weights @ w, weights @ (w * x), weights @ (w * x * x)])
        has_trend = tau2 > 0 and x.any()
        slopes = np.array([[sums[0], sums[1]], [sums[1], sums[2] + (1 / tau2 if has_trend else 0)]])
        right = np.array([weights @ (w * y), weights @ (w * x * y)])
        if not has_trend:
            slopes, right = np.diag([sums[0], 1.0]), np.array([right[0], 0.0])
        mu, beta = np.linalg.solve(slopes, right).tolist()
        residual = w * (y - mu - beta * x)
        terms = np.stack([residual, residual * x if has_trend else np.zeros(len(y))])
        # The mean of x is estimated too: a company moves the size at which mu is taken.
        moved = np.linalg.solve(slopes, terms)[0] + beta * x / weights.sum()
        return cls(mu, moved)
