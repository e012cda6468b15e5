"""What is summed for a metric: every pooled figure is a sum over a sum.

What is summed depends on the metric and is said here, once; how far it is summed is the business of
the estimands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel


@dataclass(frozen=True)
class Terms:
    """Numerators and denominators of some windows; arrays of shape (n,).

    Attributes
    ----------
    windows : ndarray of int
        Ascending positions in the panel.
    company : ndarray of int
        Of each window; never decreasing.
    numerator, denominator : ndarray of float64
    n_companies : int
        Of the panel.
    of_one : bool
        The figure is 1 - the quotient of sums, as for a skill.
    """

    windows: np.ndarray
    company: np.ndarray
    numerator: np.ndarray
    denominator: np.ndarray
    n_companies: int
    of_one: bool = False

    @cached_property
    def by_company(self) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator summed within companies; each of shape (n_companies,)."""
        return (
            np.bincount(self.company, weights=self.numerator, minlength=self.n_companies),
            np.bincount(self.company, weights=self.denominator, minlength=self.n_companies),
        )

    @cached_property
    def figures(self) -> np.ndarray:
        """Each company's own figure; NaN where it has none; shape (n_companies,)."""
        numerator, denominator = self.by_company
        quotient = np.full(self.n_companies, np.nan)
        np.divide(numerator, denominator, out=quotient, where=denominator != 0)
        return 1.0 - quotient if self.of_one else quotient


def terms(
    panel: Panel, metric: Metric, model: int, windows: np.ndarray, *, weighted: bool
) -> Terms:
    """What to sum for `metric` of one model over those of `windows` where it is defined.

    Parameters
    ----------
    windows : ndarray of int
        Ascending positions.
    weighted : bool
        Windows weigh by what the metric counts: customers (losses, skills), pairs of a positive and
        a negative (`roc_auc`), positives (`average_precision`, gain, lift), spend
        (`value_captured_at_10`). Otherwise each window weighs the same, as it does in a company's
        own figure. The ratio of observed to expected is a quotient of counts either way.
    """
    if metric.pooling != "ratio":
        windows = windows[~np.isnan(panel.of_model(metric.name, model, windows))]

    def column(name: str) -> np.ndarray:
        return panel.of_model(name, model, windows)

    def of(numerator: np.ndarray, denominator: np.ndarray, *, of_one: bool = False) -> Terms:
        company = panel.company[windows]
        return Terms(windows, company, numerator, denominator, panel.n_companies, of_one)

    if metric.pooling == "ratio":
        return of(column("n_positive"), column("n_customers") * column("mean_prediction"))
    if not weighted:
        weight = np.ones(len(windows))
    elif metric.name == "roc_auc":
        positive = column("n_positive")
        weight = positive * (column("n_customers") - positive)
    elif metric.name == "value_captured_at_10":
        weight = column("future_spend")
    else:
        of_positives = metric.name in ("average_precision", "gain_at_10", "lift_at_10")
        weight = column("n_positive" if of_positives else "n_customers")
    if metric.pooling == "skill":
        loss, reference = (column(name) for name in losses_of(metric))
        return of(weight * loss, weight * reference, of_one=True)
    return of(weight * column(metric.name), weight)


def losses_of(metric: Metric) -> tuple[str, str]:
    """The columns of the loss that a skill is made of, and of the reference's."""
    loss = metric.name.removesuffix("_skill")
    loss = {"brier": "brier_score"}.get(loss, loss)
    return loss, f"reference_{loss}"
