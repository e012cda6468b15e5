"""Simulated companies with known true parameters, by which intervals are judged.

Customers who will buy have scores x ~ N(d/2, 1), others N(-d/2, 1): the AUC of a company is
Phi(d / sqrt(2)). The true logit of a customer with score x is logit rate + d x, and the models say
shift + stretch (logit usual rate + d x). So the true slope is 1 / stretch, and the shift makes the
mean prediction. Every parameter is drawn for each company, and may go with its size.

Where a population has several half-years, its customers are the same, with correlated luck and
scores. The rate that was known at a cutoff is that of other customers, half a year before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from tests.support.planted import Planted

MODELS = ("model_a", "model_b")
FIRST_CUTOFF = pd.Timestamp("2020-01-01", tz="UTC")

SAME_CUSTOMERS = 0.6
"""Correlation of a customer's luck, and of their scores, from cutoff to cutoff."""

SERIAL = 0.6
"""Correlation of one half-year's rates with the next's, where half-years differ."""

LARGEST = 200_000

NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(60)
WEIGHT = WEIGHT / WEIGHT.sum()
"""Quadrature weights of expectations over a standard normal."""


@dataclass(frozen=True)
class LogNormal:
    """Sizes whose logarithm is normal; all alike where `sigma` is 0."""

    median: float
    sigma: float

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(self.median * np.exp(self.sigma * ndtri(u)))


@dataclass(frozen=True)
class Pareto:
    """Sizes of which a share (least / n)^index is above n; the variance is infinite below 2."""

    least: float
    index: float

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(self.least * (1 - u) ** (-1 / self.index))


@dataclass(frozen=True)
class Population:
    """The distribution of companies. Pairs of values are those of the two models.

    Attributes
    ----------
    rate, rate_sd : float
        Median of companies' usual rates, and the standard deviation of their logits.
    ability, tau : float
        Mean logit AUC of model_a, and its standard deviation between companies.
    by_size : float
        Correlation of ability with the rank of size.
    behind, tau_difference : float
        By how much the logit AUC of model_b is lower, and the standard deviation of that.
    log_odds_ratio, log_odds_ratio_sd : pair of float, float
        By how much the logit of the usual rate is above that of the mean prediction.
    b_by_size : float
        What a standard deviation of size adds to it for model_b.
    slope, slope_sd : pair of float, float
    same_scores : float
        Correlation of the two models' scores of a customer.
    n_cutoffs : int
    common_sd, own_sd : float
        Standard deviations of the shocks of a half-year on logit rates, of all companies and of
        each, with the correlation `SERIAL` from one half-year to the next.
    """

    name: str
    sizes: LogNormal | Pareto
    rate: float = 0.17
    rate_sd: float = 0.7
    ability: float = 0.9
    tau: float = 0.25
    by_size: float = 0.3
    behind: float = 0.1
    tau_difference: float = 0.08
    log_odds_ratio: tuple[float, float] = (-0.05, 0.05)
    log_odds_ratio_sd: float = 0.15
    b_by_size: float = 0.0
    slope: tuple[float, float] = (1.1, 0.9)
    slope_sd: float = 0.1
    same_scores: float = 0.8
    n_cutoffs: int = 1
    common_sd: float = 0.0
    own_sd: float = 0.0


POPULATIONS = (
    Population("log-normal .6", LogNormal(250, 0.6)),
    Population("log-normal 1.4", LogNormal(109, 1.4)),
    Population("Pareto 1.6", Pareto(60, 1.6)),
    Population("Pareto 1.2", Pareto(40, 1.2)),
    Population("rare events", LogNormal(400, 1.4), rate=0.01, rate_sd=0.4),
    Population("half-years", LogNormal(109, 1.0), n_cutoffs=3, common_sd=0.2, own_sd=0.2),
    Population(
        "flips with size",
        LogNormal(109, 1.4),
        behind=0.0,
        log_odds_ratio=(-0.25, -0.35),
        b_by_size=0.3,
        log_odds_ratio_sd=0.1,
        slope=(1.0, 1.0),
    ),
    Population(
        "alike",
        LogNormal(80, 0),
        rate=0.10,
        rate_sd=0.0,
        tau=0.0,
        by_size=0.0,
        behind=0.0,
        tau_difference=0.0,
        log_odds_ratio=(0.0, float(logit(0.10) - logit(0.16))),
        log_odds_ratio_sd=0.0,
        slope=(1.0, 1.0),
        slope_sd=0.0,
        same_scores=1.0,
    ),
)


@dataclass(frozen=True)
class Companies:
    """The true parameters of companies of a population.

    Attributes
    ----------
    population : Population
    size : ndarray of int, shape (k,)
    usual : ndarray, shape (k,)
        The usual rate, which the models know.
    known_rate, rate : ndarray, shape (k, n_cutoffs)
        The rate known at the cutoff, and the true rate of the half-year that follows.
    distance, shift, stretch : ndarray, shape (k, n_models)
    """

    population: Population
    size: np.ndarray
    usual: np.ndarray
    known_rate: np.ndarray
    rate: np.ndarray
    distance: np.ndarray
    shift: np.ndarray
    stretch: np.ndarray

    @classmethod
    def drawn(cls, k: int, population: Population, seed: int) -> Companies:
        rng = np.random.default_rng([seed, *population.name.encode()])
        p, m, c = population, len(MODELS), population.n_cutoffs
        u = rng.random(k)
        z = ndtri(u)
        size = np.clip(p.sizes.quantile(u), 2, LARGEST).astype(np.int64)
        usual = expit(logit(p.rate) + p.rate_sd * rng.normal(size=k))
        ability = p.ability + p.tau * (
            p.by_size * z + np.sqrt(1 - p.by_size**2) * rng.normal(size=k)
        )
        behind = p.behind + p.tau_difference * rng.normal(size=k)
        distance = np.sqrt(2) * ndtri(expit(np.stack([ability, ability - behind], axis=1)))
        stretch = 1 / np.maximum(rng.normal(p.slope, p.slope_sd, (k, m)), 0.3)
        wanted = rng.normal(p.log_odds_ratio, p.log_odds_ratio_sd, (k, m)) + np.outer(
            z, [0, p.b_by_size]
        )
        shocks = p.common_sd * _shocks(rng, 1, c + 1) + p.own_sd * _shocks(rng, k, c + 1)
        rates = expit(logit(usual)[:, None] + shocks)
        bought = rng.binomial(size[:, None], rates[:, :-1])
        known = (bought + 0.5) / (size[:, None] + 1)
        drawn = cls(p, size, usual, known, rates[:, 1:], distance, np.zeros((k, m)), stretch)
        return drawn._with_predictions(expit(logit(usual)[:, None] - wanted))

    def __len__(self) -> int:
        return len(self.size)

    def _with_predictions(self, target: np.ndarray) -> Companies:
        """Return them with the shifts that give each model this mean prediction at usual rates."""
        usual = self.usual[:, None]
        low, high = np.full(target.shape, -30.0), np.full(target.shape, 30.0)
        for _ in range(50):  # bisection
            middle = (low + high) / 2
            p1, p0 = (expit(middle[..., None] + said) @ WEIGHT for said in self.logits(NODE))
            too_high = usual * p1 + (1 - usual) * p0 > target
            low, high = np.where(too_high, low, middle), np.where(too_high, middle, high)
        return Companies(
            self.population,
            self.size,
            self.usual,
            self.known_rate,
            self.rate,
            self.distance,
            (low + high) / 2,
            self.stretch,
        )

    def logits(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what models say of buyers, and of others, whose scores are z from their mean.

        Shapes (k, n_models, len(z)).
        """
        known, d = logit(self.usual)[:, None, None], self.distance[..., None]
        said = [
            self.shift[..., None] + self.stretch[..., None] * (known + d * (z + sign * d / 2))
            for sign in (1, -1)
        ]
        return said[0], said[1]

    def windows(self, number: int, seed: int, draw: int = 0) -> Iterator[Planted]:
        """Draw what the customers of one company do at each cutoff, and what models had said."""
        rng = np.random.default_rng([seed, number, 1 + draw])
        same = self.population.same_scores
        n, c, m = int(self.size[number]), self.rate.shape[1], len(MODELS)

        def shared(share: float, *shape: int) -> np.ndarray:
            if c == 1:
                return rng.normal(size=shape)
            own = rng.normal(size=shape)
            return np.sqrt(share) * rng.normal(size=(1, *shape[1:])) + np.sqrt(1 - share) * own

        outcomes = shared(SAME_CUSTOMERS, c, n) < ndtri(self.rate[number])[:, None]
        common, own = shared(SAME_CUSTOMERS, c, n), shared(SAME_CUSTOMERS, c, m, n)
        distance, stretch = self.distance[number][:, None], self.stretch[number][:, None]
        for t in range(c):
            x = np.sqrt(same) * common[t] + np.sqrt(1 - same) * own[t]
            x = x + distance * (outcomes[t] - 0.5)
            logits = self.shift[number][:, None] + stretch * (
                logit(self.usual[number]) + distance * x
            )
            yield Planted(
                company_name(number),
                outcomes[t],
                dict(zip(MODELS, expit(logits), strict=True)),
                float(self.known_rate[number, t]),
                FIRST_CUTOFF + pd.DateOffset(months=6 * t),
            )


def company_name(number: int) -> str:
    return f"company-{number:06}"


def _shocks(rng: np.random.Generator, k: int, n: int) -> np.ndarray:
    """Return standard normal shocks of n half-years in turn, each correlated with the last."""
    shocks = rng.normal(size=(k, n))
    for t in range(1, n):
        shocks[:, t] = SERIAL * shocks[:, t - 1] + np.sqrt(1 - SERIAL**2) * shocks[:, t]
    return shocks
