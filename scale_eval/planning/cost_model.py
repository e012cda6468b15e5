"""Estimate the seconds that evaluations take, from those that were timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scale_eval.evaluation.rows import EvaluationRows

READING = 60e-9
"""Seconds to read and summarise one row."""

PER_COMPANY, PER_WINDOW = 100e-6, 40e-6
"""Seconds for a company, and for each of its windows, of any size."""


@dataclass(frozen=True)
class ModelCost:
    """The seconds of one evaluation: `fixed`, and `per_customer` for each of its customers."""

    fixed: float
    per_customer: float


UNKNOWN = ModelCost(1e-3, 2e-6)
"""The cost of a model that was never timed: the least that a scikit-learn fit takes."""


@dataclass(frozen=True)
class Costs:
    """Costs of models, in seconds on one core.

    Attributes
    ----------
    models : dict of ModelCost
        By name; models that were timed.
    """

    models: Mapping[str, ModelCost] = field(default_factory=dict)

    def window_seconds(
        self, n_rows: np.ndarray, n_customers: np.ndarray, models: Sequence[str]
    ) -> np.ndarray:
        """Return the seconds of windows, with all `models`; float64 of the shape of `n_rows`.

        `n_rows` and `n_customers` are those of the whole company, an upper bound.
        """
        costs = [self.models.get(name, UNKNOWN) for name in models]
        fixed = PER_WINDOW + sum(cost.fixed for cost in costs)
        slope = sum(cost.per_customer for cost in costs)
        return np.asarray(fixed + READING * n_rows + slope * n_customers, dtype=np.float64)

    def updated(self, rows: EvaluationRows) -> Costs:
        """Return costs updated with the time that these evaluations took."""
        seconds = rows.seconds[: len(rows), 1:].sum(axis=1)
        measured = Costs.measured(np.array(rows.model), rows.population[: len(rows), 0], seconds)
        return Costs({**self.models, **measured.models})

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Costs:
        """Read costs from a document that `document` returned."""
        return cls({name: ModelCost(**cost) for name, cost in document.items()})

    @classmethod
    def measured(cls, model: np.ndarray, n_customers: np.ndarray, seconds: np.ndarray) -> Costs:
        """Fit costs to evaluations that were timed; arrays of shape (n_evaluations,).

        By model: least squares of the seconds on the customers, weighted by 1 / customers because
        large evaluations vary more; neither part is below 0. A model without a timed evaluation is
        left out.
        """
        models = {}
        for name in sorted(set(model.tolist())):
            mine = (model == name) & np.isfinite(seconds) & (n_customers > 0)
            if mine.any():
                models[str(name)] = _line(n_customers[mine].astype(float), seconds[mine])
        return cls(models)

    def document(self) -> dict[str, Any]:
        """Return plain JSON: seconds, and seconds a customer, by model."""
        return {
            name: {"fixed": cost.fixed, "per_customer": cost.per_customer}
            for name, cost in self.models.items()
        }


def _line(n_customers: np.ndarray, seconds: np.ndarray) -> ModelCost:
    weight = 1 / n_customers
    centre = float((weight * n_customers).sum() / weight.sum())
    mean = float((weight * seconds).sum() / weight.sum())
    spread = float((weight * (n_customers - centre) ** 2).sum())
    slope = 0.0
    if spread > 0:
        slope = float((weight * (n_customers - centre) * seconds).sum()) / spread
    slope = min(max(slope, 0.0), mean / centre)
    return ModelCost(mean - slope * centre, slope)
