"""Pool the values of many windows: what is summed, and what each window weighs.

Every pooled figure is a quotient of two sums. A `Pooling` says which; the estimand says whether
they are taken over all rows or within each company.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

Column = Callable[[str], np.ndarray]
"""A function that returns a column of the evaluations, float64 of shape (n_windows,)."""


@dataclass(frozen=True)
class Amount:
    """A quantity that each window has a number of, such as customers.

    Attributes
    ----------
    columns : tuple of str
        Columns of the evaluations that it is computed from.
    formula : callable
        Takes these columns, returns the amount of each window.
    power : int
        The power of a company's number of customers with which the amount grows.
    """

    columns: tuple[str, ...]
    formula: Callable[..., np.ndarray]
    power: int = 1

    def of(self, column: Column) -> np.ndarray:
        """Return the amount of each window; shape (n_windows,)."""
        return self.formula(*map(column, self.columns))


def _itself(values: np.ndarray) -> np.ndarray:
    return values


def _pairs(n_positive: np.ndarray, n_customers: np.ndarray) -> np.ndarray:
    return np.asarray(n_positive * (n_customers - n_positive))


def _rarer(n_positive: np.ndarray, n_customers: np.ndarray) -> np.ndarray:
    return np.minimum(n_positive, n_customers - n_positive)


def _expected(n_customers: np.ndarray, mean_prediction: np.ndarray) -> np.ndarray:
    return np.asarray(n_customers * mean_prediction)


CUSTOMERS = Amount(("n_customers",), _itself)
POSITIVES = Amount(("n_positive",), _itself)
EXPECTED_POSITIVES = Amount(("n_customers", "mean_prediction"), _expected)
PAIRS = Amount(("n_positive", "n_customers"), _pairs, power=2)
"""Pairs of a positive and a negative."""

RARER_CLASS = Amount(("n_positive", "n_customers"), _rarer)
"""Positives or negatives, whichever are fewer."""

SPEND = Amount(("future_spend",), _itself)


@dataclass(frozen=True)
class Pooling:
    """The mean over windows of a metric's own values.

    Attributes
    ----------
    weight : Amount or None
        What a window weighs in a figure over all companies. In a company's own figure each of its
        windows weighs the same. None where the mean over companies is the only figure.
    one_minus : bool
        The figure is 1 - the quotient of the sums, as for a skill.
    log : bool
        The figure is a ratio, whose uncertainty is that of its logarithm.
    """

    weight: Amount | None = None

    one_minus: ClassVar[bool] = False
    log: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the terms need besides the metric's own."""
        return self.weight.columns if self.weight else ()

    def terms(
        self, values: np.ndarray, column: Column, *, weighted: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the numerator and the denominator of each window, NaN where it has none.

        Parameters
        ----------
        values : ndarray, shape (n_windows,)
            The metric of each window; NaN where undefined.
        column : callable
            Returns a column by its name.
        weighted : bool
            Windows weigh by `weight`; otherwise each weighs the same.
        """
        weight = self._weight(values, column, weighted)
        return weight * values, weight

    def averaged_terms(self, values: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Return the terms whose means over a company's windows enter the average company."""
        return self.terms(values, column, weighted=False)

    def _weight(self, values: np.ndarray, column: Column, weighted: bool) -> np.ndarray:
        weight = self.weight.of(column) if weighted and self.weight else np.ones(len(values))
        return np.where(np.isnan(values), np.nan, weight)


COMPANY_MEAN = Pooling()
"""The mean over companies and no other figure, as a user's metric is pooled."""


@dataclass(frozen=True, kw_only=True)
class SkillPooling(Pooling):
    """1 - the ratio of two mean losses: that of the model, and that of the reference.

    Attributes
    ----------
    loss, reference : str
        The columns of the two losses.
    """

    loss: str
    reference: str

    one_minus: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the losses and of the weight."""
        return (self.loss, self.reference, *super().columns)

    def terms(
        self, values: np.ndarray, column: Column, *, weighted: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted losses of each window where the skill is defined."""
        weight = self._weight(values, column, weighted)
        return weight * column(self.loss), weight * column(self.reference)


@dataclass(frozen=True, kw_only=True)
class RatioPooling(Pooling):
    """The ratio of two amounts; weighted or not, a window adds what it counts.

    Attributes
    ----------
    numerator, denominator : Amount
    """

    numerator: Amount
    denominator: Amount

    log: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of both amounts."""
        return (*self.numerator.columns, *self.denominator.columns)

    def terms(
        self, values: np.ndarray, column: Column, *, weighted: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both amounts of each window, also where their ratio is undefined."""
        return self.numerator.of(column), self.denominator.of(column)

    def averaged_terms(self, values: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Return both amounts a customer, so that each company counts once, whatever its size."""
        customers = CUSTOMERS.of(column)
        return self.numerator.of(column) / customers, self.denominator.of(column) / customers
