"""Prediction of the true effect at the next company, which was not observed.

Sources: Nagashima, Noma & Furukawa 2019 (confidence distribution); Viechtbauer 2007 (generalised
Q); Laird 1978 (a distribution of effects that is not normal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, ndtri

from scale_eval.statistics.precision_trend import fit_trend, fit_trends
from scale_eval.statistics.random_effects import (
    chi_squared_quantile,
    invert,
)
from scale_eval.statistics.undefined import Undefined

MIN_COMPANIES = 5
"""Least number of companies: fewer say too little about how companies differ."""

N_COMPONENTS = 400
"""Number of equally probable values of tau2 that represent its confidence distribution."""

N_SOLVED, N_SOLVED_OF_MANY = 24, 8
"""Number of values for which the generalised Q is inverted exactly; between them it is
interpolated. With many companies (more than `N_COMPONENTS`) tau2 is so precise that fewer values
are enough."""

PRIOR_COMPANIES = 10
"""Number of companies that weigh as much as the prior belief that effects are normal."""

MIN_SHAPE_COMPANIES, MAX_SHAPE_COMPANIES = 20, 400
"""Numbers of companies from which the shape of the effects is taken, evenly over what they show."""

N_GRID, REACH, N_EM_STEPS = 121, 3.5, 60
"""Points of the grid of effects, its least reach in tau, and steps of EM."""

N_SCALES, N_NODES = 20, 100
"""Number of values of tau2, and of quantiles of the shape, for the part that is not normal."""

N_SIZES = 5
"""Number of sizes of the next company, quantiles of those of the companies."""

THINNED = 7
"""One of so many components of a mixture is enough to begin the search of its quantile."""

LEFT = 1e-13
"""What may be left to a quantile, in standard deviations of the mixture, after Newton's last step:
of the order of the square of that step over the standard deviation of a component."""

MAX_STEPS, HALVED_EVERY = 400, 8
"""Most steps to a quantile, and of how many one halves the bounds."""

SQRT_2_PI = math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class ConfidenceDistribution:
    """A mixture of normal distributions of the true effect at the next company.

    Attributes
    ----------
    mean, std, weight : ndarray of shape (n_components,)
        The weights add to 1.
    """

    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray

    def probability_above(self, x: float) -> float:
        """Return the probability that the true effect is above `x`."""
        return float(ndtr((self.mean - x) / self.std) @ self.weight)

    def quantile(self, probability: float) -> float:
        """Return the effect below which the next company's lies with this probability."""
        z = float(ndtri(probability))
        ends = self.mean + z * self.std
        low, high = float(ends.min()), float(ends.max())
        if high - low <= 1e-12 * max(abs(low), abs(high), float(self.std.max())):
            return low
        mean = float(self.mean @ self.weight)
        spread = math.sqrt(float((np.square(self.mean - mean) + np.square(self.std)) @ self.weight))
        start = mean + z * spread
        for each in (self._thinned(), self):
            start = each._searched(probability, start, low, high, spread)
        return start

    def _thinned(self) -> ConfidenceDistribution:
        weight = self.weight[::THINNED]
        return ConfidenceDistribution(
            self.mean[::THINNED], self.std[::THINNED], weight / weight.sum()
        )

    def _searched(
        self, probability: float, start: float, low: float, high: float, spread: float
    ) -> float:
        """Return the quantile, from `start`, by Newton's steps that stay between `low` and `high`.

        At `low` the probability below is not above `probability`, and at `high` not below it. Where
        steps of Newton do not end soon, or leave these bounds, the bounds are halved: a mixture of
        narrow components rises by stairs, which send Newton's steps from one to the other.
        """
        x = min(max(start, low), high)
        last_step = math.sqrt(LEFT * spread * float(self.std.min()))
        for n in range(MAX_STEPS):
            z = (x - self.mean) / self.std
            excess = float(ndtr(z) @ self.weight) - probability
            low, high = (low, x) if excess > 0 else (x, high)
            slope = float(np.exp(-0.5 * z * z) @ (self.weight / self.std)) / SQRT_2_PI
            step = -excess / slope if slope > 0 else math.nan
            is_newton = low <= x + step <= high and n % HALVED_EVERY < HALVED_EVERY - 1
            if not is_newton:
                step = (low + high) / 2 - x
            x += step
            if abs(step) <= (last_step if is_newton else LEFT * spread):
                break
        return x

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds the next company's true effect with this probability."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)


def confidence_distribution(
    y: np.ndarray, v: np.ndarray, x: np.ndarray | None = None
) -> ConfidenceDistribution:
    """Predict the next true effect from effects and variances (see `random_effects`), shape (k,).

    The uncertainty of tau2 is that of the generalised Q: tau2 has the values at which Q equals the
    quantiles of chi squared with k - 1 degrees of freedom (0 where none does). Given tau2 the mean
    is normal around mu with the variance of its error, and the next effect is normal around the
    mean with variance tau2. A mixture over quantiles of equal probability replaces random draws.

    With `x`, of the same shape, effects may go with it (see `precision_trend`), and the next
    company has an x like one of these. From `MIN_SHAPE_COMPANIES` on, effects around the trend then
    need not be normal: their distribution is the one under which the companies are most likely
    (Laird 1978), beside a prior that is normal and weighs as `PRIOR_COMPANIES`, scaled with the
    uncertain tau2. A model that is good at most companies and bad at a few has effects of two
    kinds, of which the normal says that both are as frequent. And where companies that are known
    less well differ more than the others, tau2 is raised to the plain mean over companies: the next
    one is any of them (Hedges & Olkin 1985, the variance component without weights).

    Undefined: ``too_few_companies``, below `MIN_COMPANIES`.
    """
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    if len(y) < MIN_COMPANIES:
        raise Undefined("too_few_companies")
    free = x is not None and len(y) >= MIN_SHAPE_COMPANIES
    x = np.zeros(len(y)) if x is None else x
    tau2 = _tau2_values(y, v, x)
    fits = _fits(y, v, x, tau2)
    means, variances = _along_the_trend(fits, _sizes(x))
    middle = len(tau2) // 2
    if not free or tau2[middle] == 0:
        spread = np.sqrt(variances + tau2[:, np.newaxis])
        return _mixture(means, spread)
    mu, beta = fits[:2, middle].tolist()
    residual = y - mu - beta * x
    tau2 = tau2 + max(0.0, float((np.square(residual) - v).mean() - tau2[middle]))
    nodes = _shape(residual, v, float(tau2[middle]))
    at = np.arange(N_SCALES) * len(tau2) // N_SCALES + len(tau2) // (2 * N_SCALES)
    around = np.sqrt(tau2[at])[:, np.newaxis, np.newaxis] * nodes
    shaped = means[at][:, :, np.newaxis] + around
    unknown = float((v / (tau2[middle] + v)).mean())  # of what is known well, the place is known
    between = (tau2[at] * (1.5 / N_NODES) ** 2)[:, np.newaxis]
    spread = np.sqrt(unknown * variances[at] + between)[:, :, np.newaxis]
    return _mixture(shaped, np.broadcast_to(spread, shaped.shape))


def _mixture(mean: np.ndarray, std: np.ndarray) -> ConfidenceDistribution:
    weight = np.full(mean.size, 1 / mean.size)
    return ConfidenceDistribution(mean.ravel(), std.ravel(), weight)


def _tau2_values(y: np.ndarray, v: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the tau2 of each component, inverted exactly at knots and interpolated in Q."""
    levels = (np.arange(N_COMPONENTS) + 0.5) / N_COMPONENTS
    targets = chi_squared_quantile(levels, len(y) - 1)[::-1]  # tau2 rises
    n_solved = N_SOLVED if len(y) <= N_COMPONENTS else N_SOLVED_OF_MANY
    knots = targets[np.linspace(0, N_COMPONENTS - 1, n_solved).round().astype(int)]
    solved = invert(lambda at: fit_trend(y, v, x, at), knots)
    above = np.flatnonzero(solved > 0)
    if not len(above):
        return np.zeros(N_COMPONENTS)
    first = above[0]
    # Q(0), where tau2 leaves 0, is itself a knot: beyond it there is none.
    at_zero = fit_trend(y, v, x, 0.0).q
    q = np.concatenate([[at_zero], knots[first:]])
    values = np.concatenate([[0.0], solved[first:]])
    if first == 0 and at_zero > knots[0]:
        q, values = q[1:], values[1:]
    if len(q) < 2:
        return np.where(targets < at_zero, values[-1], 0.0)
    by_q = PchipInterpolator(-q, values, extrapolate=False)
    return np.asarray(np.where(targets >= at_zero, 0.0, np.nan_to_num(by_q(-targets))))


def _sizes(x: np.ndarray) -> np.ndarray:
    """Return quantiles of the companies' x, with their mean and standard deviation."""
    if not x.any():
        return np.zeros(1)
    quantiles = np.quantile(x, (np.arange(N_SIZES) + 0.5) / N_SIZES)
    quantiles -= quantiles.mean()
    return np.asarray(quantiles / max(float(quantiles.std()), 1e-12))


def _fits(y: np.ndarray, v: np.ndarray, x: np.ndarray, tau2: np.ndarray) -> np.ndarray:
    """Return mu, beta, var_mu, cov and var_beta at each tau2, interpolated for many companies."""
    knots = np.unique(tau2)
    if len(y) > N_COMPONENTS:
        knots = np.unique(np.linspace(tau2.min(), tau2.max(), N_SOLVED_OF_MANY))
    fits = fit_trends(y, v, x, knots)[:, :5]
    if len(knots) == 1:
        return np.repeat(fits.T, len(tau2), axis=1)
    if len(y) > N_COMPONENTS:
        return np.asarray(PchipInterpolator(knots, fits)(tau2).T)
    return np.asarray(fits[np.searchsorted(knots, tau2)].T)


def _along_the_trend(fits: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean effects at some sizes, and their variances; both of shape (n, n_sizes)."""
    mu, beta, var_mu, cov, var_beta = fits[:, :, np.newaxis]
    return mu + beta * sizes, var_mu + 2 * cov * sizes + var_beta * np.square(sizes)


def _shape(residual: np.ndarray, v: np.ndarray, tau2: float) -> np.ndarray:
    """Return quantiles of the distribution of true effects, as distances from the trend over tau.

    The distribution is one of probabilities on a grid, found from the normal by EM. Returns shape
    (N_NODES,).
    """
    order = np.argsort(residual)
    some = order[np.linspace(0, len(v) - 1, min(len(v), MAX_SHAPE_COMPANIES)).round().astype(int)]
    y, noise = residual[some] / np.sqrt(tau2), v[some] / tau2
    shrunk = y / (1 + noise)
    low, high = min(float(shrunk.min()) - 1, -REACH), max(float(shrunk.max()) + 1, REACH)
    grid, step = np.linspace(low, high, N_GRID, retstep=True)
    variance = noise + step**2 / 4  # an effect between two points of the grid is next to both
    distance = y[:, np.newaxis] - grid
    likelihood = np.exp(-np.square(distance) / (2 * variance[:, np.newaxis]))
    normal = np.exp(-np.square(grid) / 2)
    normal /= normal.sum()
    found = normal
    for _ in range(N_EM_STEPS):
        claimed = found * ((1 / np.maximum(likelihood @ found, 1e-300)) @ likelihood)
        found = (claimed + PRIOR_COMPANIES * normal) / (len(y) + PRIOR_COMPANIES)
        found = found / found.sum()
    edges = np.concatenate([grid - step / 2, [grid[-1] + step / 2]])
    below = np.concatenate([[0.0], np.cumsum(found)])
    return np.interp((np.arange(N_NODES) + 0.5) / N_NODES, below, edges)
