"""Comparison of many models by ranks: Friedman's test, and Nemenyi's critical difference.

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
    """The result of Friedman's test that all models are alike.

    Attributes
    ----------
    mean_ranks : ndarray of shape (n_models,)
        1 is best.
    n_companies : int
    chi_squared, p_value : float
        Friedman's statistic, with n_models - 1 degrees of freedom.
    f, f_p_value : float
        The statistic of Iman & Davenport, which is less conservative.
    """

    mean_ranks: np.ndarray
    n_companies: int
    chi_squared: float
    p_value: float
    f: float
    f_p_value: float


def friedman(losses: np.ndarray) -> Friedman:
    """Test finite losses (lower is better) of shape (n_companies, n_models); ties share a rank.

    Undefined: ``fewer_than_2_companies``, ``fewer_than_2_models``.
    """
    ranks = pd.DataFrame(losses).rank(axis=1).to_numpy()
    _, n_models = ranks.shape
    squares = np.square(ranks).sum() - ranks.size * (n_models + 1) ** 2 / 4
    without_ties = ranks.size * (n_models**2 - 1) / 12
    correction = squares / without_ties if without_ties else 0.0
    return friedman_statistics(ranks.mean(axis=0) if len(ranks) else ranks, len(ranks), correction)


def nemenyi_critical_difference(n_models: int, n_companies: int, level: float = 0.95) -> float:
    """Return the least significant difference of mean ranks, q sqrt(m (m + 1) / (6 n))."""
    q = studentized_range(level, n_models) / math.sqrt(2)
    return q * math.sqrt(n_models * (n_models + 1) / (6 * n_companies))


def studentized_range(level: float, n: int) -> float:
    """Return the quantile of the range of n standard normal draws (infinite degrees of freedom).

    The integral is over the lowest draw, with all others within q above it. The integrand is smooth
    and ends at 0, so that equal steps are exact. SciPy's function costs half a second of import.
    """
    lowest = np.linspace(-9, 9, 721)
    weight = n * np.exp(-np.square(lowest) / 2) / math.sqrt(2 * math.pi) * (lowest[1] - lowest[0])

    def beyond(q: float) -> float:
        return float(weight @ (ndtr(lowest + q) - ndtr(lowest)) ** (n - 1)) - level

    return float(brentq(beyond, 0.0, 20.0, xtol=1e-12))


def friedman_statistics(mean_ranks: np.ndarray, n: int, correction: float) -> Friedman:
    """Compute the test from mean ranks, shape (n_models,), and the correction for ties (1: none).

    Undefined: as `friedman`.
    """
    if n < 2:
        raise Undefined("fewer_than_2_companies")
    m = len(mean_ranks)
    if m < 2:
        raise Undefined("fewer_than_2_models")
    spread = float(np.square(mean_ranks - (m + 1) / 2).sum())
    chi_squared = 12 * n / (m * (m + 1)) * spread / correction if correction > 0 else 0.0
    remainder = n * (m - 1) - chi_squared
    f = (n - 1) * chi_squared / remainder if remainder > 0 else np.inf
    return Friedman(
        mean_ranks,
        n,
        chi_squared,
        float(chdtrc(m - 1, chi_squared)),
        float(f),
        float(fdtrc(m - 1, (m - 1) * (n - 1), f)),
    )
