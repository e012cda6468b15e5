"""What to expect of the truth at the next company, not yet seen.

Sources: Higgins, Thompson & Spiegelhalter 2009 (t intervals); Nagashima, Noma & Furukawa 2019
(confidence distribution); Viechtbauer 2007 (generalised Q).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, norm, t

from scale_eval.statistics.random_effects import RandomEffects, invert_q
from scale_eval.statistics.undefined import Undefined

MIN_COMPANIES = 5
"""Fewer say too little about how companies differ."""

N_COMPONENTS = 400
"""Values of tau2 that stand for its confidence distribution, of the same probability each."""

N_SOLVED = 24
"""Of them the generalised Q is inverted exactly; between, by monotone interpolation."""

LITERATURE = ("t(k-2)", "t(k-1)", "z")


@dataclass(frozen=True)
class ConfidenceDistribution:
    """A mixture of normal distributions of one weight: of the true effect at the next company.

    Attributes
    ----------
    mean, std : ndarray of shape (n_components,)
    """

    mean: np.ndarray
    std: np.ndarray

    def probability_above(self, x: float) -> float:
        """That the true effect is above `x`."""
        return float(ndtr((self.mean - x) / self.std).mean())

    def quantile(self, probability: float) -> float:
        """The effect below which the next company's lies with this probability."""
        z = norm.ppf(probability)
        ends = self.mean + z * self.std
        low, high = float(ends.min()), float(ends.max())
        if high - low <= 1e-12 * max(abs(low), abs(high), float(self.std.max())):
            return low
        return float(
            brentq(lambda x: 1 - self.probability_above(x) - probability, low, high, xtol=1e-12)
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Holds the next company's true effect with this probability; the rest is split evenly."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)


def confidence_distribution(y: np.ndarray, v: np.ndarray) -> ConfidenceDistribution:
    """From effects and their variances (see `random_effects`), shape (k,) each.

    tau2 is uncertain, as the generalised Q says: it has the values at which Q equals the quantiles
    of chi squared with k - 1 degrees of freedom (0 where none does). Given tau2 the mean is normal
    around mu with variance 1 / sum w, and the next truth around it with tau2. Nothing is drawn:
    the mixture over quantiles of equal probability takes the place of draws.

    Undefined: ``too_few_companies``, below `MIN_COMPANIES`.
    """
    y, v = np.asarray(y, dtype=float), np.asarray(v, dtype=float)
    if len(y) < MIN_COMPANIES:
        raise Undefined("too_few_companies")
    tau2 = _tau2_values(y, v)
    total, weighted = _sums(y, v, tau2)
    return ConfidenceDistribution(weighted / total, np.sqrt(tau2 + 1 / total))


def prediction_interval(
    effects: RandomEffects, method: str = "t(k-2)", level: float = 0.95
) -> tuple[float, float]:
    """Intervals of the literature, to reproduce it: mu +- quantile sqrt(tau2 + se^2).

    ``t(k-2)`` and ``t(k-1)`` with the standard error of Knapp & Hartung, ``z`` with that of Wald.
    They take tau2 for known: with small tau they cover less than they say (t(k-2) .835 at 30
    companies, tau .1, v around .04), which `confidence_distribution` does not.

    Undefined: ``too_few_companies``, where the t has no degrees of freedom.
    """
    if method not in LITERATURE:
        raise ValueError(f"method is {method!r}: take one of {', '.join(LITERATURE)}")
    if method == "z":
        quantile, error = norm.ppf((1 + level) / 2), effects.std_error
    else:
        df = effects.k - (2 if method == "t(k-2)" else 1)
        if df < 1:
            raise Undefined("too_few_companies")
        quantile, error = t.ppf((1 + level) / 2, df), effects.knapp_hartung_std_error
    half = float(quantile * np.sqrt(effects.tau2 + error**2))
    return effects.mu - half, effects.mu + half


def _tau2_values(y: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The tau2 of each component; exact where few are enough, else interpolated in Q."""
    levels = (np.arange(N_COMPONENTS) + 0.5) / N_COMPONENTS
    targets = chi2.ppf(levels, len(y) - 1)[::-1]  # tau2 rises
    knots = targets[np.unique(np.linspace(0, N_COMPONENTS - 1, N_SOLVED).round().astype(int))]
    solved = invert_q(y, v, knots)
    above = np.flatnonzero(solved > 0)
    if not len(above):
        return np.zeros(N_COMPONENTS)
    first = above[0]
    # Where tau2 leaves 0 is itself a knot, Q(0): beyond it there is none.
    w = 1 / v
    at_zero = float(w @ np.square(y - w @ y / w.sum()))
    q = np.concatenate([[at_zero], knots[first:]])
    found = np.concatenate([[0.0], solved[first:]])
    if first == 0 and at_zero > knots[0]:
        q, found = q[1:], found[1:]
    if len(q) < 2:
        return np.where(targets < at_zero, found[-1], 0.0)
    by_q = PchipInterpolator(-q, found, extrapolate=False)
    return np.asarray(np.where(targets >= at_zero, 0.0, np.nan_to_num(by_q(-targets))))


def _sums(y: np.ndarray, v: np.ndarray, tau2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sum w and sum w y at each tau2, by interpolation between `N_SOLVED` of them."""
    knots = np.linspace(tau2.min(), tau2.max(), N_SOLVED) if len(y) > N_COMPONENTS else tau2
    knots = np.unique(knots)
    w = [1 / (at + v) for at in knots.tolist()]
    total, weighted = np.array([x.sum() for x in w]), np.array([x @ y for x in w])
    if len(knots) == 1:
        return np.full(len(tau2), total[0]), np.full(len(tau2), weighted[0])
    if len(knots) < len(tau2) and len(y) > N_COMPONENTS:
        return PchipInterpolator(knots, total)(tau2), PchipInterpolator(knots, weighted)(tau2)
    at = np.searchsorted(knots, tau2)
    return total[at], weighted[at]
