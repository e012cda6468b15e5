"""The terms of a metric in every window: every pooled figure is a quotient of two sums.

The metric's `Pooling` says what is summed; the estimand says over which windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics import Metric, Pooling
from scale_eval.metrics.pooling import COMPANY_MEAN
from scale_eval.results.panel import Panel


@dataclass(frozen=True)
class Terms:
    """The numerator and denominator of every window; float64, shape (n_windows,).

    NaN where there is nothing to sum.

    Attributes
    ----------
    numerator, denominator : ndarray
    pooling : Pooling
        How a figure is computed from their sums.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    pooling: Pooling = COMPANY_MEAN

    @property
    def defined(self) -> np.ndarray:
        """Return which windows have something to sum; bool of shape (n_windows,)."""
        return ~np.isnan(self.numerator)

    @property
    def weight(self) -> np.ndarray:
        """Return how much each window moves the figure, to first order; shape (n_windows,).

        For a ratio it is the effect on the logarithm, to which a window adds its share of the
        numerator.
        """
        return self.numerator if self.pooling.log else self.denominator

    def over(self, panel: Panel, windows: np.ndarray) -> Sums:
        """Sum within each company of `panel`, over the `windows` where terms are defined."""
        return self.summed(panel.company, windows, panel.n_companies)

    def summed(self, company: np.ndarray, at: np.ndarray, n_companies: int) -> Sums:
        """Sum the terms at these positions by the `company` of each."""
        numerator, denominator = np.zeros((2, n_companies))
        n = np.zeros(n_companies, np.int64)
        _sum(company, at, self.numerator, self.denominator, numerator, denominator, n)
        return Sums(numerator, denominator, n, self.pooling)


@dataclass(frozen=True)
class Sums:
    """Terms summed within each company; arrays of shape (n_companies,).

    Attributes
    ----------
    numerator, denominator : ndarray of float64
    n : ndarray of int
        The number of windows that were summed.
    pooling : Pooling
    """

    numerator: np.ndarray
    denominator: np.ndarray
    n: np.ndarray
    pooling: Pooling = COMPANY_MEAN

    @cached_property
    def figures(self) -> np.ndarray:
        """Return each company's own figure; NaN where it has none."""
        quotient = np.full(len(self.n), np.nan)
        np.divide(self.numerator, self.denominator, out=quotient, where=self.denominator != 0)
        return 1.0 - quotient if self.pooling.one_minus else quotient

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means over windows of the numerator and of the denominator; 0 without one."""
        n = np.maximum(self.n, 1)
        return self.numerator / n, self.denominator / n


@compiled
def _sum(
    company: np.ndarray,
    windows: np.ndarray,
    numerator: np.ndarray,
    denominator: np.ndarray,
    numerator_sum: np.ndarray,
    denominator_sum: np.ndarray,
    n: np.ndarray,
) -> None:
    for window in windows:
        if not np.isnan(numerator[window]):
            c = company[window]
            numerator_sum[c] += numerator[window]
            denominator_sum[c] += denominator[window]
            n[c] += 1


def terms(panel: Panel, metric: Metric, model: int, *, weighted: bool) -> Terms:
    """Return the terms of `metric` for one model, NaN where they are undefined.

    Parameters
    ----------
    weighted : bool
        Windows weigh by what the metric counts (`Pooling.weight`). Otherwise each window weighs
        the same, as it does in a company's own figure.
    """
    column = _columns_of(panel, model)
    both = metric.pooling.terms(column(metric.name), column, weighted=weighted)
    return Terms(*both, metric.pooling)


def averaged_terms(panel: Panel, metric: Metric, model: int, windows: np.ndarray) -> Terms:
    """Return the terms whose means over companies make the figure of the average company.

    They are those of the `windows`, in their order.
    """

    def column(name: str) -> np.ndarray:
        return panel.values(name, model, windows)

    return Terms(*metric.pooling.averaged_terms(column(metric.name), column), metric.pooling)


def averages(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each company's mean numerator and denominator; both of shape (n_companies,)."""
    averaged = averaged_terms(panel, metric, model, windows)
    at = np.arange(len(windows))
    return averaged.summed(panel.company[windows], at, panel.n_companies).means


def _columns_of(panel: Panel, model: int) -> Callable[[str], np.ndarray]:
    return lambda name: panel.columns[name][:, model]
