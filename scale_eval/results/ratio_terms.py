"""What is summed for a metric: every pooled figure is a sum over a sum.

What is summed depends on the metric and is said here, once; how far it is summed is the business of
the estimands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel


@dataclass(frozen=True)
class Terms:
    """Numerators and denominators of every window of a panel; float64 of shape (n_windows,).

    NaN where there is nothing to sum.

    Attributes
    ----------
    numerator, denominator : ndarray
    of_one : bool
        The figure is 1 - the quotient of sums, as for a skill.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    of_one: bool = False

    def over(self, panel: Panel, windows: np.ndarray) -> Sums:
        """Summed within the companies of `panel` over those of `windows` where it is defined."""
        numerator, denominator = np.zeros((2, panel.n_companies))
        n = np.zeros(panel.n_companies, np.int64)
        _sum(panel.company, windows, self.numerator, self.denominator, numerator, denominator, n)
        return Sums(numerator, denominator, n, self.of_one)


@dataclass(frozen=True)
class Sums:
    """Numerators and denominators summed within companies; arrays of shape (n_companies,).

    Attributes
    ----------
    numerator, denominator : ndarray of float64
    n : ndarray of int
        Windows that were summed.
    of_one : bool
        As in `Terms`.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    n: np.ndarray
    of_one: bool = False

    @cached_property
    def figures(self) -> np.ndarray:
        """Each company's own figure; NaN where it has none."""
        quotient = np.full(len(self.n), np.nan)
        np.divide(self.numerator, self.denominator, out=quotient, where=self.denominator != 0)
        return 1.0 - quotient if self.of_one else quotient


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sum(
    company: np.ndarray,
    windows: np.ndarray,
    numerator: np.ndarray,
    denominator: np.ndarray,
    of_numerator: np.ndarray,
    of_denominator: np.ndarray,
    n: np.ndarray,
) -> None:
    for window in windows:
        if not np.isnan(numerator[window]):
            of = company[window]
            of_numerator[of] += numerator[window]
            of_denominator[of] += denominator[window]
            n[of] += 1


def terms(panel: Panel, metric: Metric, model: int, *, weighted: bool) -> Terms:
    """What to sum for `metric` of one model, wherever it is defined.

    Parameters
    ----------
    weighted : bool
        Windows weigh by what the metric counts: customers (losses, skills), pairs of a positive and
        a negative (`roc_auc`), positives (`average_precision`, gain, lift), spend
        (`value_captured_at_10`). Otherwise each window weighs the same, as it does in a company's
        own figure. The ratio of observed to expected is a quotient of counts either way.
    """

    def column(name: str) -> np.ndarray:
        return panel.columns[name][:, model]

    if metric.pooling == "ratio":
        return Terms(column("n_positive"), column("n_customers") * column("mean_prediction"))
    value = column(metric.name)
    if not weighted:
        weight = np.ones(len(value))
    elif metric.name == "roc_auc":
        positive = column("n_positive")
        weight = positive * (column("n_customers") - positive)
    elif metric.name == "value_captured_at_10":
        weight = column("future_spend")
    else:
        of_positives = metric.name in ("average_precision", "gain_at_10", "lift_at_10")
        weight = column("n_positive" if of_positives else "n_customers")
    weight = np.where(np.isnan(value), np.nan, weight)
    if metric.pooling == "skill":
        loss, reference = map(column, columns_of(metric)[1:])
        return Terms(weight * loss, weight * reference, of_one=True)
    return Terms(weight * value, weight)


def weight_of(metric: Metric, of: Terms) -> np.ndarray:
    """How much each window moves the figure of these terms, to first order; shape (n_windows,).

    Of O:E it is the logarithms that move: a company's is that of a ratio of sums, to which a window
    adds its share of the buyers.
    """
    return of.numerator if metric.pooling == "ratio" else of.denominator


def columns_of(metric: Metric) -> list[str]:
    """Columns that only this metric's terms need: its own, and what it is made of.

    Of a skill these are the loss of the model and that of the reference.
    """
    if metric.pooling == "ratio":
        return [metric.name, "mean_prediction"]
    if metric.name == "value_captured_at_10":
        return [metric.name, "future_spend"]
    if metric.pooling != "skill":
        return [metric.name]
    loss = metric.name.removesuffix("_skill")
    loss = {"brier": "brier_score"}.get(loss, loss)
    return [metric.name, loss, f"reference_{loss}"]
