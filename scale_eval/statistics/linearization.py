"""Intervals over companies for figures that are means or ratios of sums, by linearization.

The sampling units are companies, never their customers. With unequal weights w, a figure is as
precise as n_effective = (sum w)^2 / sum w^2 companies of equal weight would make it, and its t has
n_effective - 1 degrees of freedom. A percentile bootstrap covers too little at 30 companies, and a
bootstrap of rows far less.

Sources: Särndal, Swensson & Wretman 1992 (linearisation); Kish 1965 (n_effective).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantile, faster than that of `scipy.stats`

from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class Linearised:
    """The standard error of a figure, and the effective number of companies behind it."""

    std_error: float
    n_effective: float

    @property
    def df(self) -> float:
        """Return the degrees of freedom, n_effective - 1."""
        return self.n_effective - 1

    def interval(self, value: float, level: float = 0.95) -> tuple[float, float]:
        """Return Student's interval around `value`."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.std_error
        return value - half, value + half


def linearised(influence: np.ndarray, weights: np.ndarray) -> Linearised:
    """Compute the standard error of a figure from the companies' influences and weights.

    std_error = sqrt(sum influence^2 n_effective / (n_effective - 1)); for a plain mean, where
    influence = (y - mean) / k, that is the textbook's s / sqrt(k).

    Parameters
    ----------
    influence, weights : ndarray of shape (k,)
        The influence of a company is what it adds to the figure, to first order; the influences add
        to 0. The weights are not negative.

    Undefined: ``fewer_than_2_companies``, by effective number.
    """
    total = float(weights.sum())
    n_effective = total**2 / float(weights @ weights) if total else 0.0
    if n_effective <= 1 + 1e-9:
        raise Undefined("fewer_than_2_companies")
    variance = float(influence @ influence) * n_effective / (n_effective - 1)
    return Linearised(float(np.sqrt(variance)), n_effective)


def ratio_influence(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return each company's influence on sum(numerator) / sum(denominator), shape (k,)."""
    total = denominator.sum()
    return np.asarray((numerator - numerator.sum() / total * denominator) / total)
