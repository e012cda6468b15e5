"""Figures of a finite population from a stratified sample of it, with their errors.

A unit is drawn from its stratum with the probability n_h / N_h and represents N_h / n_h units. A
figure of the population is a function of totals, and is estimated by the same function of weighted
totals; its first-order change by a unit is the unit's *influence* z. The variance of the figure is
that of sum w z: units are drawn without replacement, so that a stratum taken whole adds nothing,
and a population taken whole is known exactly. The figures say nothing about other units.

Arrays are of shape (n,), one value a unit of the sample. A unit that a figure does not count (its
metric is undefined, say) has the influence 0, and still counts as drawn.

Sources: Särndal, Swensson & Wretman 1992, 3.7 (stratified sampling), 5.5 to 5.11 (linearisation,
ratios, domains, quantiles); Deville 1999 (influence); Woodruff 1952 and Korn & Graubard 1998
(intervals of quantiles, of proportions by their logit); Satterthwaite 1946 (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import expit, logit, stdtrit

from scale_eval.statistics.undefined import Undefined


@dataclass(frozen=True)
class SurveyError:
    """The design-based standard error of a figure, and the degrees of freedom of its t."""

    std_error: float
    df: float

    def half_width(self, level: float = 0.95) -> float:
        """Return half the width of Student's interval; 0 where nothing is left to chance."""
        if self.std_error == 0:
            return 0.0
        return float(stdtrit(self.df, (1 + level) / 2)) * self.std_error


@dataclass(frozen=True, eq=False)
class Design:
    """The design of a stratified sample.

    Attributes
    ----------
    stratum : ndarray of int, shape (n,)
        The stratum of each unit of the sample; strata with neighbouring numbers are similar.
    population : ndarray of int, shape (n_strata,)
        N_h, the units that each stratum has.
    """

    stratum: np.ndarray
    population: np.ndarray

    def __post_init__(self) -> None:
        if ((self.sampled == 0) & (self.population > 0)).any():
            raise ValueError("every stratum that has units needs at least one in the sample")
        if (self.sampled > self.population).any():
            raise ValueError("a stratum has more units in the sample than in the population")

    @cached_property
    def sampled(self) -> np.ndarray:
        """Return n_h, the number of units of each stratum in the sample; shape (n_strata,)."""
        return np.bincount(self.stratum, minlength=len(self.population))

    @cached_property
    def weights(self) -> np.ndarray:
        """Return N_h / n_h, the number of units that each represents; shape (n,)."""
        share = self.population / np.maximum(self.sampled, 1)
        return np.asarray(share[self.stratum])

    @cached_property
    def certain(self) -> np.ndarray:
        """Return which units were certain to be drawn (their stratum is whole); bool, (n,)."""
        return np.asarray((self.sampled == self.population)[self.stratum])

    @property
    def n_population(self) -> int:
        """Return the number of units of all strata."""
        return int(self.population.sum())

    def error(self, influence: np.ndarray) -> SurveyError:
        """Return the standard error of a figure from the influence of each unit, shape (n,).

        sqrt(sum_h (1 - f_h) n_h / (n_h - 1) sum_i (w z_i - mean_h)^2), with f_h = n_h / N_h. The
        degrees of freedom are Satterthwaite's, (sum V_h)^2 / sum V_h^2 / (n_h - 1): those of the
        strata that the variance comes from. A stratum with one of several units drawn is
        collapsed with the one before it that was not taken whole (the next one, for the first);
        the variance is then rather too large.

        Undefined: ``one_drawn``, where one unit stands for all that were not certain to be drawn.
        """
        group, n, population = self._groups
        drawn = group >= 0
        if not drawn.any():
            return SurveyError(0.0, np.inf)
        if n.min() < 2:
            raise Undefined("one_drawn")
        group, moved = group[drawn], (self.weights * influence)[drawn]
        from_mean = moved - (np.bincount(group, moved) / n)[group]
        squares = np.bincount(group, np.square(from_mean))
        variance = (1 - n / population) * n / (n - 1) * squares
        total = float(variance.sum())
        if total == 0:
            return SurveyError(0.0, np.inf)
        df = total**2 / float((np.square(variance) / (n - 1)).sum())
        return SurveyError(float(np.sqrt(total)), df)

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each unit's collapsed stratum (-1: certain), and the strata's n_h and N_h."""
        not_whole = np.flatnonzero(self.sampled < self.population)
        group = np.full(len(self.population), -1)
        sizes: list[int] = []
        for h in not_whole.tolist():
            alone = self.sampled[h] < 2
            if not sizes or (not alone and sizes[-1] >= 2):
                sizes.append(0)
            group[h] = len(sizes) - 1
            sizes[-1] += int(self.sampled[h])
        group_of_stratum = group[not_whole]
        return (
            group[self.stratum],
            np.bincount(group_of_stratum, self.sampled[not_whole], minlength=len(sizes)),
            np.bincount(group_of_stratum, self.population[not_whole], minlength=len(sizes)),
        )

    def n_effective(self, amounts: np.ndarray) -> float:
        """Return (sum w a)^2 / sum (w a)^2 over the units drawn by chance (Kish 1965).

        `amounts` a are the weights of the units in a figure. The result is the number of equal
        draws that would say as much about the strata not taken whole; infinite if all were.
        """
        drawn = (self.weights * amounts)[~self.certain]
        squares = float(np.square(drawn).sum())
        return float(drawn.sum() ** 2 / squares) if squares else np.inf


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the population, estimated from the sample.

    Attributes
    ----------
    value : float
    influence : ndarray of shape (n,)
        Influence of each unit on the figure, or on its logarithm.
    amounts : ndarray of shape (n,)
        Weight of each unit in the figure.
    log : bool
        True where influence and interval are of the logarithm.
    """

    value: float
    influence: np.ndarray = field(repr=False)
    amounts: np.ndarray = field(repr=False)
    log: bool = False

    def interval(self, design: Design, level: float = 0.95) -> tuple[float, float, float]:
        """Return the standard error on the figure's own scale, and the ends of its interval."""
        error = design.error(self.influence)
        half = error.half_width(level)
        if self.log:
            low, high = self.value * np.exp(-half), self.value * np.exp(half)
            return self.value * error.std_error, float(low), float(high)
        return error.std_error, self.value - half, self.value + half

    def __sub__(self, other: Figure) -> Figure:
        """Return the difference of two figures of the same units."""
        amounts = (self.amounts / self.amounts.sum() + other.amounts / other.amounts.sum()) / 2
        return Figure(self.value - other.value, self.influence - other.influence, amounts)


def ratio(design: Design, numerator: np.ndarray, denominator: np.ndarray) -> Figure:
    """Estimate sum(numerator) / sum(denominator) over the population.

    Undefined: ``nothing_counted``, where the sample's denominators are all 0.
    """
    if not denominator.any():
        raise Undefined("nothing_counted")
    total = float(design.weights @ denominator)
    value = float(design.weights @ numerator) / total
    return Figure(value, (numerator - value * denominator) / total, denominator)


def mean(design: Design, values: np.ndarray) -> Figure:
    """Estimate the mean of the population's values; NaN values are not counted.

    Undefined: ``nothing_counted``.
    """
    counted = ~np.isnan(values)
    return ratio(design, np.where(counted, values, 0.0), counted.astype(float))


def std(design: Design, values: np.ndarray) -> Figure:
    """Estimate the standard deviation (ddof 1) of the values, NaN not counted; interval on the log.

    The mean square from an estimated mean is too small by the variance of that mean, which is
    added. A unit weighs by its squared distance from the mean: where few units make most of the
    sum, the sample cannot tell how many more there are, and `n_effective` is small.

    Undefined: ``nothing_counted``; ``one_counted``; ``no_spread``; those of `Design.error`.
    """
    average = mean(design, values)
    counted = average.amounts > 0
    n = float(design.weights @ average.amounts)
    if np.count_nonzero(counted) < 2:
        raise Undefined("one_counted")
    squares = np.where(counted, np.square(np.where(counted, values, 0.0) - average.value), 0.0)
    second = float(design.weights @ squares) / n
    error = design.error(average.influence).std_error
    variance = (second + error**2) * n / (n - 1)
    if variance <= 0:
        raise Undefined("no_spread")
    influence = (squares - second * counted) / n / (2 * variance)
    return Figure(float(np.sqrt(variance)), influence, squares, log=True)


def quantile(
    design: Design, values: np.ndarray, probability: float, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Estimate a quantile of the population's values, with its standard error and interval.

    Woodruff's interval: that of the share of the population below the quantile, on the logit, read
    back through the distribution function. The standard error is its length over twice the quantile
    of t. A unit is placed in the middle of the w units that it represents: with all units in the
    sample this is the linear quantile (Hyndman & Fan 1996, type 7).

    Undefined: ``nothing_counted``; those of `Design.error`.
    """
    counted = ~np.isnan(values)
    if not counted.any():
        raise Undefined("nothing_counted")
    order = np.flatnonzero(counted)[np.argsort(values[counted], kind="stable")]
    weights, ordered = design.weights[order], values[order]
    n = float(weights.sum())
    at = (np.cumsum(weights) - weights / 2 - 0.5) / max(n - 1, 1.0)
    value = float(np.interp(probability, at, ordered))
    below = np.where(counted, (values <= value) - probability, 0.0) / n
    error = design.error(below)
    half = error.half_width(level)
    if half == 0:
        return value, 0.0, value, value
    on_logit = half / (probability * (1 - probability))
    ends = expit(logit(probability) + np.array([-on_logit, on_logit]))
    low, high = np.interp(ends, at, ordered).tolist()
    return value, (high - low) / (2 * half / error.std_error), low, high
