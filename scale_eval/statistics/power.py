"""How many companies it takes to settle a comparison of two models.

A comparison is *settled* where the 95 % interval of the mean difference (Student's t) leaves out 0,
or where two one-sided t tests at 5 % show that it lies inside the margin (Schuirmann 1987). The
number of companies that settles it depends on the true difference, which is not known. So the
probability of settling it is averaged over the true differences, and over the standard deviations
of one company, that the companies so far leave open (assurance; O'Hagan, Stevens & Campbell 2005,
Spiegelhalter, Abrams & Myles 2004). To put the estimate in place of the truth gives a number that
settles it with a probability of about one half.

What the companies leave open is a posterior distribution. The likelihood is that of Student's t.
Before the data, the true difference is as likely inside the margin as outside, and beyond it every
size is possible: a Cauchy distribution around 0 whose scale is the margin. A flat prior would say
that a difference inside the margin is next to impossible, wherever the companies are too few to
tell; the number would then be far too small for models that are equal. The standard deviation of
one company has the usual prior, 1 / sigma.

Companies of a finite population count by their information, 1 / (1 / n - 1 / population), which is
n where the population is not limited: the error of a mean of n is sigma / sqrt(information).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from scale_eval.statistics.comparison import equivalence
from scale_eval.statistics.undefined import Undefined

N_DIFFERENCES, N_SPREADS, N_CHANCES = 40, 8, 3
"""Number of true differences, from the prior and from the likelihood each; of standard deviations;
and of values that chance gives the standard deviation of further companies. With four times as many
the numbers of companies change by less than 2 %, and by 6 % where a few more are enough."""


def _probabilities(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and weights by which a mean over a distribution is taken (Gauss)."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return (nodes + 1) / 2, weights / 2


SPREADS, CHANCES = _probabilities(N_SPREADS), _probabilities(N_CHANCES)
"""Probabilities at which the quantiles of a distribution are taken, and their weights."""

MOST_COMPANIES = 1e12
"""Largest number of companies that is looked for."""


def settled(difference: float, std_error: float, df: float, margin: float) -> bool:
    """Return whether the mean difference is shown not to be 0, or to lie inside the margin."""
    if abs(difference) > stdtrit(df, 0.975) * std_error:
        return True
    return bool(equivalence(difference, std_error, df, margin).equivalent)


def companies_to_settle(
    difference: float,
    std_error: float,
    n: float,
    margin: float,
    probability: float,
    *,
    population: float = np.inf,
    among_them: bool = True,
) -> float:
    """Return the least number of companies that settles a comparison with this probability.

    Parameters
    ----------
    difference, std_error : float
        The mean difference over the companies so far, and its standard error.
    n : float
        The companies so far, above 1; not a whole number where it is an effective one.
    margin : float
        The smallest difference of practical interest, from 0 on.
    probability : float
        Between 0 and 1.
    population : float
        The number of companies of which those that settle it are a sample, where the interval is of
        the population's mean.
    among_them : bool
        Whether the result counts the n companies so far, to which others are added; otherwise it
        is for an evaluation of other companies, alone.

    Returns
    -------
    float
        A whole number; n where the comparison is settled already by `n` companies `among_them`;
        inf where no number reaches the probability.

    Undefined: ``fewer_than_2_companies``; ``not_a_number``, without a difference or its error.
    """
    outlook = _Outlook.of(difference, std_error, n, margin, population, among_them=among_them)
    low = float(n) if among_them else 2.0
    if outlook.probability(low) >= probability:
        return float(np.ceil(low))
    high = low
    while outlook.probability(high) < probability:
        if high >= min(population, MOST_COMPANIES):
            return np.inf
        low, high = high, min(max(2 * high, high + 1), population, MOST_COMPANIES)
    while high - low > max(1.0, 1e-3 * low):
        middle = float(np.sqrt(low * high))
        if outlook.probability(middle) < probability:
            low = middle
        else:
            high = middle
    return float(np.ceil(high))


def probability_of_settling(
    difference: float,
    std_error: float,
    n: float,
    margin: float,
    n_companies: float,
    *,
    population: float = np.inf,
    among_them: bool = True,
) -> float:
    """Return the probability that an evaluation of `n_companies` settles a comparison.

    The other parameters, and where it is undefined, are those of `companies_to_settle`. No more
    companies than the n so far settle it as far as these do: 1 or 0.
    """
    outlook = _Outlook.of(difference, std_error, n, margin, population, among_them=among_them)
    return outlook.probability(float(n_companies))


@dataclass(frozen=True)
class _Outlook:
    """What the companies so far leave open, and what more of them may show."""

    difference: float
    std_error: float
    n: float
    margin: float
    population: float
    among_them: bool

    @classmethod
    def of(
        cls,
        difference: float,
        std_error: float,
        n: float,
        margin: float,
        population: float,
        *,
        among_them: bool,
    ) -> _Outlook:
        if not (np.isfinite(difference) and np.isfinite(std_error)):
            raise Undefined("not_a_number")
        if not n > 1:
            raise Undefined("fewer_than_2_companies")
        return cls(abs(difference), std_error, n, margin, population, among_them)

    def probability(self, n_companies: float) -> float:
        """Return the probability that `n_companies` settle the comparison."""
        if self.std_error == 0 or (self.among_them and n_companies <= self.n):
            return float(settled(self.difference, self.std_error, self.n - 1, self.margin))
        if n_companies < 2:
            return 0.0
        if n_companies >= self.population:  # the mean itself will be known
            return 1.0
        mean, chance, error = self._estimates(n_companies)
        df = n_companies - 1
        beyond = stdtrit(df, 0.975) * error
        within = np.maximum(self.margin - stdtrit(df, 0.95) * error, 0.0)
        shown = ndtr((mean - beyond) / chance) + ndtr((-beyond - mean) / chance)
        shown += ndtr((within - mean) / chance) - ndtr((-within - mean) / chance)
        shown = np.where(within >= beyond, 1.0, shown)
        return float(shown @ CHANCES[1] @ SPREADS[1] @ self._weights)

    def _estimates(self, n_companies: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `n_companies` will show if this is the truth, on three axes.

        The axes are those of true differences, of standard deviations, and of chance. The arrays
        are the expectation of the mean difference, its standard deviation, and its standard error
        as it will be estimated.
        """
        information = self._information(n_companies)
        truth, sigma = self._differences[:, np.newaxis, np.newaxis], self._spreads[..., np.newaxis]
        if not self.among_them:
            squares = np.square(sigma) * chdtri(n_companies - 1, CHANCES[0])
            error = np.sqrt(squares / ((n_companies - 1) * information))
            return truth, sigma / np.sqrt(information), error
        before = self._information_so_far
        added, more = information - before, n_companies - self.n
        share = added / information
        squares = (self.n - 1) * before * self.std_error**2
        squares += np.square(sigma) * chdtri(max(more - 1, 1e-9), CHANCES[0])
        squares += share * self.n * (np.square(truth - self.difference) + np.square(sigma) / more)
        error = np.sqrt(squares / ((n_companies - 1) * information))
        mean = self.difference + share * (truth - self.difference)
        return mean, share * sigma / np.sqrt(added), error

    def _information(self, n: float) -> float:
        return 1 / (1 / n - 1 / self.population)

    @cached_property
    def _information_so_far(self) -> float:
        return self._information(self.n) if self.among_them else self.n

    @cached_property
    def _differences(self) -> np.ndarray:
        """Return true differences, dense where prior or likelihood are; ascending."""
        levels = (np.arange(N_DIFFERENCES) + 0.5) / N_DIFFERENCES
        likely = self.difference + self.std_error * stdtrit(self.n - 1, levels)
        expected = self.margin * np.tan(np.pi * (levels - 0.5))
        return np.sort(np.concatenate([likely, expected])) if self.margin else likely

    @cached_property
    def _weights(self) -> np.ndarray:
        """Return the posterior probabilities of the true differences; they add to 1."""
        from_mean = (self._differences - self.difference) / self.std_error
        logs = -self.n / 2 * np.log1p(np.square(from_mean) / (self.n - 1))
        if self.margin:
            logs -= np.log1p(np.square(self._differences / self.margin))
        weights = np.exp(logs - logs.max()) * np.gradient(self._differences)
        return np.asarray(weights / weights.sum())

    @cached_property
    def _spreads(self) -> np.ndarray:
        """Return standard deviations of one company for each true difference; (n, N_SPREADS)."""
        squares = (self.n - 1) * self.std_error**2 + np.square(self._differences - self.difference)
        squares *= self._information_so_far
        return np.sqrt(squares[:, np.newaxis] / chdtri(self.n, SPREADS[0]))
