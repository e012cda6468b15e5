"""Rules of evaluation: horizon, purchases, lookback, seed, and the user's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from scale_eval.datasets.instants import SIX_MONTHS, Duration
from scale_eval.metrics import PLAIN, Metric


class PopulationRules(NamedTuple):
    """The rules that a history depends on, besides the data and the window.

    Attributes
    ----------
    purchase_rule : str
        Which transactions are purchases, one of `scale_eval.datasets.purchases.PURCHASE_RULES`.
    lookback : Duration or None
        Customers without a purchase in this time before the cutoff are left out.
    horizon : Duration or None
        A labelled history goes back by it in calendar time; with None, by the exact length.
    """

    purchase_rule: str = "non_negative"
    lookback: Duration | None = None
    horizon: Duration | None = None


@dataclass(frozen=True)
class Rules:
    """The rules that evaluations depend on, besides the data, the windows and the models.

    Attributes
    ----------
    horizon : Duration
        Length of the label window.
    purchase_rule : str
        Which transactions are purchases, one of `scale_eval.datasets.purchases.PURCHASE_RULES`.
    lookback : Duration or None
        Customers without a purchase in this time before the cutoff are left out.
    seed : int
        The seed of the random numbers that models draw.
    metrics : tuple of Metric
        The user's metrics, beyond those that every evaluation computes.
    """

    horizon: Duration = SIX_MONTHS
    purchase_rule: str = "non_negative"
    lookback: Duration | None = None
    seed: int = 0
    metrics: tuple[Metric, ...] = ()

    @cached_property
    def population(self) -> PopulationRules:
        """Return the rules on which histories depend."""
        return PopulationRules(self.purchase_rule, self.lookback, self.horizon)

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """Return the names of the user's metrics."""
        return tuple(metric.name for metric in self.metrics)

    @cached_property
    def plain_metrics(self) -> tuple[Metric, ...]:
        """Return the metrics whose functions are called for each evaluation; the user's are last.

        They are in the order of `EvaluationRows.plain_metrics`.
        """
        return (*PLAIN, *self.metrics)
