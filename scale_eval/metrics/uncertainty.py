"""The uncertainty of a metric: its standard error, influence values, and the scale of its effects.

Customers are independent given the model. A customer's influence value is the change of the metric
that their presence makes, to first order; the variance of a metric is the sum of the squared
values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from scale_eval.metrics.pooling import CUSTOMERS, Amount
from scale_eval.metrics.scores import Scores


@dataclass(frozen=True)
class Influence:
    """The effect of chance among customers on a metric in one evaluation.

    Attributes
    ----------
    name : str
        Begins the names of the columns `influence_column` and `std_error_column`.
    values : callable
        `Scores` -> influence of each customer, shape (n,), adding to 0; raises `Undefined`.
    std_error : callable
        `Scores` -> float; raises `Undefined`.
    rests_on : Amount
        The amount that must not be small: influence understates chance among few customers, see
        `small_sample_factor`.
    log : bool
        Both functions are of the logarithm of the metric.
    """

    name: str
    values: Callable[[Scores], np.ndarray]
    std_error: Callable[[Scores], float]
    rests_on: Amount
    log: bool = False

    @property
    def influence_column(self) -> str:
        """Return the column of the sums over groups of customers."""
        return f"{self.name}_influence"

    @property
    def std_error_column(self) -> str:
        """Return the column of the standard errors."""
        return f"{self.name}_se"

    @property
    def needs_both_classes(self) -> bool:
        """Return whether the metric says something only where there are buyers and non-buyers."""
        return self.rests_on is not CUSTOMERS

    def small_sample_factor(self, column: Callable[[str], np.ndarray]) -> np.ndarray:
        """Return the factor by which influence understates chance; shape (n_windows,).

        sqrt(n / (n - 1)), as with ddof 1, where n is the amount that the metric `rests_on`. An
        amount of 1 says nothing about spread and is treated as 2.
        """
        n = np.maximum(self.rests_on.of(column), 2.0)
        return np.asarray(np.sqrt(n / (n - 1)))


@dataclass(frozen=True)
class EffectScale:
    """The scale on which the effects of companies are nearly normal.

    Attributes
    ----------
    name : str
    to, back : callable
        Transform a figure to the scale, and back.
    slope, curvature : callable
        The first and second derivative of `to`.
    """

    name: str
    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[Any], Any]
    slope: Callable[[np.ndarray], np.ndarray]
    curvature: Callable[[np.ndarray], np.ndarray]


def _same(values: Any) -> Any:
    return values


def _slope_of_logit(p: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (p * (1 - p)))


def _curvature_of_logit(p: np.ndarray) -> np.ndarray:
    return np.asarray((2 * p - 1) / np.square(p * (1 - p)))


def _curvature_of_log(x: np.ndarray) -> np.ndarray:
    return np.asarray(-1 / np.square(x))


IDENTITY = EffectScale("identity", _same, _same, np.ones_like, np.zeros_like)
LOG = EffectScale("log", np.log, np.exp, np.reciprocal, _curvature_of_log)
LOGIT = EffectScale("logit", logit, expit, _slope_of_logit, _curvature_of_logit)
