"""Moderation of many noisy variances: each is shrunk towards a model of all of them.

A variance estimated from 16 groups of customers is itself noisy. Random effects treat variances as
known, so that noise in them looks like differences between companies (with 20,000 companies of one
true effect, tau is .06 unmoderated). A second estimate, from the standard errors of a company's
evaluations, is smooth but misses what cutoffs share. So the ratio of the two is modelled as
s0^2 F(df, d0), and each ratio is shrunk towards s0^2, the more the noisier it is.

Source: Smyth 2004 (limma): moments of the logarithm of F.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma


def moderate(estimates: np.ndarray, bases: np.ndarray, df: int) -> np.ndarray:
    """Return the posterior means of variances.

    Parameters
    ----------
    estimates : ndarray of shape (k,)
        Noisy, chi squared with `df` degrees of freedom around the truth; 0 or more.
    bases : ndarray of shape (k,)
        Variances to which the estimates are expected to be proportional; above 0.
    df : int

    Returns
    -------
    ndarray of shape (k,)
        (d0 s0^2 + df ratio) / (d0 + df) times the base; where all variation of the ratios is noise
        (d0 infinite), s0^2 times the base. With fewer than 3 ratios above 0: `estimates`.
    """
    estimates, bases = np.asarray(estimates, dtype=float), np.asarray(bases, dtype=float)
    ratio = estimates / bases
    positive = ratio > 0
    if np.count_nonzero(positive) < 3:
        return estimates
    logs = np.log(ratio[positive]) - digamma(df / 2) + np.log(df / 2)
    beyond_noise = float(np.var(logs, ddof=1) - polygamma(1, df / 2))
    if beyond_noise <= 0:
        return np.asarray(np.exp(logs.mean()) * bases)
    half = _inverse_trigamma(beyond_noise)
    s0_squared = np.exp(logs.mean() + digamma(half) - np.log(half))
    return np.asarray((2 * half * s0_squared + df * ratio) / (2 * half + df) * bases)


def _inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value; trigamma falls, between 1/x and 1/x + 1/x^2."""
    low, high = np.log(1 / value), np.log(1 / value + 1 / np.sqrt(value) + 1)
    return float(np.exp(brentq(lambda x: polygamma(1, np.exp(x)) - value, low - 1e-9, high)))
