"""Random effects of a finite population, from a sample of it with unequal weights.

The restricted likelihood of all companies has its maximum where two sums over companies are 0.
Weighted sums over the sample estimate these, and so the maximum (pseudo-likelihood; Binder 1983;
Pfeffermann 1993); with all companies in the sample it is that of `random_effects`. The influence of
a company on mu and tau2 follows from the derivatives of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

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
    total = float(weights @ w)
    mu = float((weights * w) @ y) / total
    residual = y - mu
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
    if tau2 == 0:
        return SampledEffects(mu, tau2, mu_terms / total, np.full(len(y), np.nan), w)
    moved = np.linalg.solve(slopes, np.stack([mu_terms, tau2_terms]))
    return SampledEffects(mu, tau2, moved[0], moved[1], w)
