"""Intervals over companies for figures that are means, or sums over sums: linearised.

Companies are the draws, never their customers. With weights w that differ, a figure is as sure as
n_effective = (sum w)^2 / sum w^2 companies of one weight would make it, and its t has one degree
of freedom less; a percentile bootstrap covers too little at 30 companies, one over rows far less.

Sources: Särndal, Swensson & Wretman 1992 (linearisation); Kish 1965 (n_effective).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantile, of which `scipy.stats` makes more

from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class Linearised:
    """The standard error of a figure, and the effective number of draws that it stands on."""

    std_error: float
    n_effective: float

    @property
    def df(self) -> float:
        """Degrees of freedom, n_effective - 1."""
        return self.n_effective - 1

    def interval(self, value: float, level: float = 0.95) -> tuple[float, float]:
        """Student's, around `value`."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * self.std_error
        return value - half, value + half


def linearised(influence: np.ndarray, weights: np.ndarray) -> Linearised:
    """From what each company adds to a figure, to first order, and how much it weighs.

    std_error = sqrt(sum influence^2 n_effective / (n_effective - 1)); of a plain mean, where
    influence = (y - mean) / k, that is the textbook's s / sqrt(k).

    Parameters
    ----------
    influence, weights : ndarray of shape (k,)
        The influences add to 0; the weights are not negative.

    Undefined: ``fewer_than_2_companies``, by effective number.
    """
    total = float(weights.sum())
    n_effective = total**2 / float(weights @ weights) if total else 0.0
    if n_effective <= 1 + 1e-9:
        raise Undefined("fewer_than_2_companies")
    variance = float(influence @ influence) * n_effective / (n_effective - 1)
    return Linearised(float(np.sqrt(variance)), n_effective)


def ratio_influence(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """What each company adds to sum(numerator) / sum(denominator), shape (k,); they add to 0."""
    total = denominator.sum()
    return np.asarray((numerator - numerator.sum() / total * denominator) / total)
