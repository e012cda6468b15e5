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

N_GROUPS = 16
"""Groups of customers: crc32 of the id's UTF-8 bytes modulo 16, everywhere the same."""

ROUNDING = 1e-12
"""Relative change of a metric without a group of customers that counts as none."""


def influence_column(name: str) -> str:
    """Return the column of the evaluations that has the sums of influence kept under `name`."""
    return f"{name}_influence"


@dataclass(frozen=True)
class Influence:
    """The effect of chance among customers on a metric in one evaluation.

    Attributes
    ----------
    name : str
        Begins the names of the columns `influence_column` and `std_error_column`.
    rests_on : Amount
        The amount that must not be small: influence understates chance among few customers, see
        `small_sample_factor`.
    values : callable or None
        `Scores` -> influence of each customer, shape (n,), adding to 0; raises `Undefined`. None
        where the sums come from a jackknife, see `metrics.influence.jackknifed_sums`.
    std_error : callable or None
        `Scores` -> float; raises `Undefined`. None where evaluations keep the sums alone.
    without_each : callable or None
        (`Scores`, groups) -> the metric without each group of customers in turn, shape
        (N_GROUPS,), for a jackknife; raises `Undefined`. None calls the metric's own function for
        the customers that are left.
    enough : int
        A company's figure has a standard error where its windows together have this much of what
        it `rests_on`.
    log : bool
        `values` and `std_error` are of the logarithm of the metric.
    scale : float
        The metric is this many times the one whose influence is kept under `name`.
    """

    name: str
    rests_on: Amount
    values: Callable[[Scores], np.ndarray] | None = None
    std_error: Callable[[Scores], float] | None = None
    without_each: Callable[[Scores, np.ndarray], np.ndarray] | None = None
    enough: int = 0
    log: bool = False
    scale: float = 1.0

    @property
    def influence_column(self) -> str:
        """Return the column of the sums over groups of customers."""
        return influence_column(self.name)

    @property
    def std_error_column(self) -> str | None:
        """Return the column of the standard errors; None where evaluations keep the sums alone."""
        return None if self.std_error is None else f"{self.name}_se"

    @property
    def is_jackknifed(self) -> bool:
        """Return whether the sums come from a jackknife, and not from influence by customer."""
        return self.values is None

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
