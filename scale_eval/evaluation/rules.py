"""Rules: how evaluations are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from scale_eval import metrics
from scale_eval.datasets.instants import SIX_MONTHS, Duration


@dataclass(frozen=True)
class Rules:
    """How evaluations are made: what their results depend on, besides data, window and model.

    Attributes
    ----------
    horizon : Duration
        Length of the label window.
    purchase_rule : str
        Which transactions are purchases, one of `scale_eval.datasets.purchases.PURCHASE_RULES`.
    lookback : Duration or None
        Customers without a purchase in this time before the cutoff are left out.
    seed : int
    metrics : tuple of Metric
        Beyond those that every evaluation computes.
    """

    horizon: Duration = SIX_MONTHS
    purchase_rule: str = "non_negative"
    lookback: Duration | None = None
    seed: int = 0
    metrics: tuple[metrics.Metric, ...] = ()

    @cached_property
    def metric_names(self) -> tuple[str, ...]:
        """Of the metrics that are the user's."""
        return tuple(metric.name for metric in self.metrics)
