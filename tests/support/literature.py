"""Statistics of the literature that the package does not use, to reproduce published figures.

They show that the parts they share with the package are right, and what other methods would say.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from scale_eval.statistics.random_effects import (
    RandomEffects,
    generalised_q,
    invert_q,
    with_tau2,
)
from scale_eval.statistics.ranks import Friedman, friedman_statistics
from scale_eval.statistics.undefined import Undefined

PREDICTION_METHODS = ("t(k-2)", "t(k-1)", "z")


def dersimonian_laird(y: np.ndarray, v: np.ndarray) -> RandomEffects:
    """Fit random effects with the moment estimate of tau2 (DerSimonian & Laird 1986)."""
    fixed = 1 / v
    c = fixed.sum() - np.square(fixed).sum() / fixed.sum()
    return with_tau2(y, v, max(0.0, (generalised_q(y, v, 0.0) - (len(y) - 1)) / c))


def paule_mandel(y: np.ndarray, v: np.ndarray) -> RandomEffects:
    """Fit random effects with the tau2 at which the generalised Q is k - 1 (Paule & Mandel)."""
    return with_tau2(y, v, float(invert_q(y, v, np.array([len(y) - 1.0]))[0]))


def wald_interval(effects: RandomEffects, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean effect with the normal quantile."""
    half = ndtri((1 + level) / 2) * effects.std_error
    return float(effects.mu - half), float(effects.mu + half)


def prediction_interval(
    effects: RandomEffects, method: str = "t(k-2)", level: float = 0.95
) -> tuple[float, float]:
    """Return mu +- quantile sqrt(tau2 + se^2), the usual interval of the next company's truth.

    ``t(k-2)`` and ``t(k-1)`` take the standard error of Knapp & Hartung (Higgins, Thompson &
    Spiegelhalter 2009), ``z`` that of Wald. They treat tau2 as known: with small tau they cover
    less than they say (t(k-2) .835 at 30 companies, tau .1, v around .04), which
    `confidence_distribution` does not.

    Undefined: ``too_few_companies``, where the t has no degrees of freedom.
    """
    if method not in PREDICTION_METHODS:
        raise ValueError(f"method is {method!r}: take one of {', '.join(PREDICTION_METHODS)}")
    if method == "z":
        quantile, error = ndtri((1 + level) / 2), effects.std_error
    else:
        df = effects.k - (2 if method == "t(k-2)" else 1)
        if df < 1:
            raise Undefined("too_few_companies")
        quantile, error = stdtrit(df, (1 + level) / 2), effects.knapp_hartung_std_error
    half = float(quantile * np.sqrt(effects.tau2 + error**2))
    return effects.mu - half, effects.mu + half


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the middle `level` of bootstrap replicates, of shape (n_replicates,).

    It covers too little with few companies (at 30: .931 of nominal .95 for a plain mean, .885 for
    one weighted by pairs); `linearised` does not.
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high


def friedman_of_mean_ranks(mean_ranks: np.ndarray, n_companies: int) -> Friedman:
    """Return Friedman's test from mean ranks, shape (n_models,), without correction for ties."""
    return friedman_statistics(np.asarray(mean_ranks, dtype=float), n_companies, 1.0)


class Murphy(NamedTuple):
    """The parts of a Brier score.

    Brier = reliability - resolution + uncertainty + within_bin_variance - within_bin_covariance.

    Without the last two the sum is not the Brier score, unless each bin holds one probability.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float


def murphy(
    probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray, edges: np.ndarray
) -> Murphy:
    """Decompose the Brier score over bins ``edges[i - 1] <= p < edges[i]``; edges of shape (k,).

    Source: Murphy 1973; Stephenson, Coelho & Jolliffe 2008 for the terms within bins.

    Undefined: ``no_customers``.
    """
    rows = np.asarray(positives) + np.asarray(negatives)
    n = float(rows.sum())
    if not n:
        raise Undefined("no_customers")
    rate = np.divide(positives, rows, out=np.zeros(len(rows)), where=rows > 0)
    bins = np.searchsorted(edges, probability, side="right")
    in_bin = np.maximum(np.bincount(bins, rows), 1)
    mean_p = (np.bincount(bins, rows * probability) / in_bin)[bins]
    mean_y = (np.bincount(bins, positives) / in_bin)[bins]
    overall = float(np.sum(positives)) / n

    def mean(values: np.ndarray) -> float:
        return float((rows * values).sum()) / n

    return Murphy(
        reliability=mean(np.square(mean_p - mean_y)),
        resolution=mean(np.square(mean_y - overall)),
        uncertainty=overall * (1 - overall),
        within_bin_variance=mean(np.square(probability - mean_p)),
        within_bin_covariance=2 * mean((probability - mean_p) * (rate - mean_y)),
    )
