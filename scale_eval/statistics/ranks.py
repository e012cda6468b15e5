"""Many models over many companies by ranks: Friedman's test, and Nemenyi's critical difference.

Source: Demšar 2006, "Statistical comparisons of classifiers over multiple data sets".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtrc, fdtrc, ndtr

from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class Friedman:
    """Do the models differ at all?

    Attributes
    ----------
    mean_ranks : ndarray of shape (n_models,)
        1 is best.
    n_companies : int
    chi_squared, p_value : float
        Friedman's statistic, n_models - 1 degrees of freedom.
    f, f_p_value : float
        Iman & Davenport's, less conservative.
    """

    mean_ranks: np.ndarray
    n_companies: int
    chi_squared: float
    p_value: float
    f: float
    f_p_value: float


def friedman(losses: np.ndarray) -> Friedman:
    """From losses, lower is better, shape (n_companies, n_models), finite; ties share a rank.

    Undefined: ``fewer_than_2_companies``, ``fewer_than_2_models``.
    """
    ranks = pd.DataFrame(losses).rank(axis=1).to_numpy()
    _, n_models = ranks.shape
    squares = np.square(ranks).sum() - ranks.size * (n_models + 1) ** 2 / 4
    without_ties = ranks.size * (n_models**2 - 1) / 12
    correction = squares / without_ties if without_ties else 0.0
    return _friedman(ranks.mean(axis=0) if len(ranks) else ranks, len(ranks), correction)


def friedman_of_mean_ranks(mean_ranks: np.ndarray, n_companies: int) -> Friedman:
    """The same of the mean ranks alone, shape (n_models,), without correction for ties."""
    return _friedman(np.asarray(mean_ranks, dtype=float), n_companies, 1.0)


def nemenyi_critical_difference(n_models: int, n_companies: int, level: float = 0.95) -> float:
    """Mean ranks that differ by no more were not told apart: q sqrt(m (m + 1) / (6 n))."""
    q = studentized_range(level, n_models) / math.sqrt(2)
    return q * math.sqrt(n_models * (n_models + 1) / (6 * n_companies))


def studentized_range(level: float, n: int) -> float:
    """The quantile of the range of n standard normal draws (infinitely many degrees of freedom).

    The lowest draw is anywhere, and all others within q above it. The integrand is smooth and ends
    at 0, where equal steps lose nothing. SciPy's is as good, and half a second's import.
    """
    lowest = np.linspace(-9, 9, 721)
    weight = n * np.exp(-np.square(lowest) / 2) / math.sqrt(2 * math.pi) * (lowest[1] - lowest[0])

    def beyond(q: float) -> float:
        return float(weight @ (ndtr(lowest + q) - ndtr(lowest)) ** (n - 1)) - level

    return float(brentq(beyond, 0.0, 20.0, xtol=1e-12))


def _friedman(mean_ranks: np.ndarray, n: int, correction: float) -> Friedman:
    if n < 2:
        raise Undefined("fewer_than_2_companies")
    m = len(mean_ranks)
    if m < 2:
        raise Undefined("fewer_than_2_models")
    spread = float(np.square(mean_ranks - (m + 1) / 2).sum())
    chi_squared = 12 * n / (m * (m + 1)) * spread / correction if correction > 0 else 0.0
    room = n * (m - 1) - chi_squared
    f = (n - 1) * chi_squared / room if room > 0 else np.inf
    return Friedman(
        mean_ranks,
        n,
        chi_squared,
        float(chdtrc(m - 1, chi_squared)),
        float(f),
        float(fdtrc(m - 1, (m - 1) * (n - 1), f)),
    )
