"""A history: a company as it was known at a cutoff. A model never sees anything else.

It is a copy of what lies before the cutoff, so that no later row can be reached from it. To train a
model, it gives an earlier history of the company, labelled with what its customers then did.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.instants import DAY, Duration, from_microseconds
from scale_eval.datasets.purchases import MIN_CUSTOMERS, is_purchase
from scale_eval.datasets.transactions import Transactions, compact_codes
from scale_eval.evaluation.customer_summaries import CustomerSummary, Summaries, summarise
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.evaluation.rules import PopulationRules
from scale_eval.evaluation.training_window import (
    TrainingWindow,
    carry_to_horizon,
    training_bounds,
    training_note,
)
from scale_eval.evaluation.window_bounds import population_since, window_bounds
from scale_eval.evaluation.windows import Window
from scale_eval.html_repr import SHOWN_ROWS, facts_and_table, first_rows


class History:
    """One company at one cutoff: its customers and their transactions strictly before it.

    The population is every customer with at least one purchase before the cutoff (within
    `lookback` of it, if one is given). The transactions of these customers go back to their first,
    whatever the lookback.

    Parameters
    ----------
    company : Transactions
    window : Window
    purchase_rule, lookback, horizon
        See `scale_eval.evaluation.rules.PopulationRules`.

    Attributes
    ----------
    company_id : str
    cutoff_us, horizon_end_us : int
        The question is who buys at or after the first and before the second; microseconds since
        1970-01-01 UTC. `cutoff` and `horizon_end` are the same as timestamps.
    first_us : int
        The company's first row, in microseconds since 1970-01-01 UTC.
    n_customers : int
        Size of the population.
    codes : ndarray of int32, shape (n_transactions,)
        The customer of each transaction, as a position in `customers`; never decreasing.
    timestamps : ndarray of int64, shape (n_transactions,)
        Microseconds since 1970-01-01 UTC, ascending within a customer.
    values : ndarray of float64, shape (n_transactions,)
    is_purchase : ndarray of bool, shape (n_transactions,)
        False for refunds, which models see, but which are not purchases.
    """

    def __init__(
        self,
        company: Transactions,
        window: Window,
        *,
        purchase_rule: str = "non_negative",
        lookback: Duration | None = None,
        horizon: Duration | None = None,
    ) -> None:
        before = company.before(window.cutoff_us)
        self.company_id = company.company_id
        self.cutoff_us, self.horizon_end_us = window.cutoff_us, window.horizon_end_us
        self.first_us = int(before.timestamps.min()) if len(before) else window.cutoff_us
        self._rules = PopulationRules(purchase_rule, lookback, horizon)
        self._company_before = before

        purchases = is_purchase(before.values, purchase_rule)
        recent = purchases & (before.timestamps >= population_since(self.cutoff_us, lookback))
        belongs = np.zeros(before.n_customers, dtype=bool)
        belongs[before.codes[recent]] = True
        rows = belongs[before.codes]
        present, self.codes = compact_codes(before.codes[rows], before.n_customers)
        self._ids = before.customers.take(pa.array(present))
        self.n_customers = len(self._ids)
        self.timestamps = before.timestamps[rows]
        self.values = before.values[rows]
        self.is_purchase = purchases[rows]
        for array in (self.codes, self.timestamps, self.values, self.is_purchase):
            array.flags.writeable = False

    def __repr__(self) -> str:
        size = f"cutoff={self.cutoff:%Y-%m-%d}, {self.n_customers} customers"
        return f"History({self.company_id!r}, {size})"

    def _repr_html_(self) -> str:
        """Return the window, and the summary of the first customers."""
        first = self.summary.to_frame().head(SHOWN_ROWS)
        for name in ("first_purchase", "last_purchase"):
            first[name] = first[name].dt.strftime("%Y-%m-%d")
        first = first.round(2)
        if hasattr(self, "_ids"):  # a history of summaries has none
            first.insert(0, "customer", self.customers[:SHOWN_ROWS])
        facts = [
            f"customers: {self.n_customers:,}",
            f"cutoff {self.cutoff:%Y-%m-%d}",
            f"who buys before {self.horizon_end:%Y-%m-%d}?",
        ]
        return facts_and_table(
            f"History of {self.company_id}",
            facts,
            first.rename(columns=lambda name: name.replace("_", " ")),
            first_rows(len(first), self.n_customers, "customers"),
        )

    @cached_property
    def cutoff(self) -> pd.Timestamp:
        """Return the end of the history, UTC."""
        return from_microseconds(self.cutoff_us)

    @cached_property
    def horizon_end(self) -> pd.Timestamp:
        """Return the end of the label window, UTC."""
        return from_microseconds(self.horizon_end_us)

    @property
    def horizon_days(self) -> float:
        """Return the length of the label window in days."""
        return (self.horizon_end_us - self.cutoff_us) / DAY

    @property
    def first_timestamp(self) -> pd.Timestamp:
        """Return the timestamp of the company's first row, UTC."""
        return from_microseconds(self.first_us)

    def days_before_cutoff(self, timestamps: np.ndarray) -> np.ndarray:
        """Return the days from `timestamps` (microseconds since 1970 UTC) to the cutoff."""
        return (self.cutoff_us - timestamps) / DAY

    @cached_property
    def customers(self) -> np.ndarray:
        """Return the customer ids as strings, sorted; shape (n_customers,), dtype object."""
        return self._ids.to_numpy(zero_copy_only=False)

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """Return the transactions: customer_id, timestamp (UTC), value, is_purchase."""
        return pd.DataFrame(
            {
                "customer_id": self.customers[self.codes],
                "timestamp": pd.to_datetime(self.timestamps, unit="us", utc=True),
                "value": self.values,
                "is_purchase": self.is_purchase,
            }
        )

    @cached_property
    def summary(self) -> CustomerSummary:
        """Return recency, frequency and spend of each customer."""
        return self._summaries(self.cutoff_us, self.horizon_end_us).summary(0)

    def labelled(self) -> LabelledHistory:
        """Return an earlier history of the same company with its outcomes, to train on.

        It goes back by h = min(horizon, half of the span from the company's first row to the
        cutoff); its outcomes lie entirely before the present cutoff.

        Raises
        ------
        Skipped
            ``history_too_short``: fewer than 10 customers had bought by then.
        """
        training = self._training_window
        history = self._earlier(training)
        if history.n_customers < MIN_CUSTOMERS:
            raise Skipped(
                "history_too_short",
                f"{history.n_customers} customers at {history.cutoff:%Y-%m-%d}, where training "
                f"would begin; {MIN_CUSTOMERS} are needed",
            )
        return LabelledHistory(
            history, training.bought, training.bounds.exponent, training.n_bought
        )

    @cached_property
    def _training_window(self) -> TrainingWindow:
        bounds = training_bounds(
            self.cutoff_us, self.horizon_end_us, self.first_us, self._rules.horizon
        )
        return TrainingWindow.of(self._summaries(*bounds.window), 0, bounds)

    def _earlier(self, training: TrainingWindow) -> History:
        """Return the history at the cutoff of the training window."""
        window = Window.from_microseconds(*training.bounds.window)
        return History(self._company_before, window, **self._rules._asdict())

    def _summaries(self, cutoff: int, horizon_end: int) -> Summaries:
        """Summarise one window that lies before the cutoff, or begins there."""
        bounds = window_bounds(((cutoff, horizon_end),), self._rules.lookback)
        return summarise([self._company_before], [bounds], self._rules.purchase_rule)


@dataclass(frozen=True)
class LabelledHistory:
    """An earlier history of a company and its outcomes, for a model to train on.

    Attributes
    ----------
    history : History
        The company at the earlier cutoff.
    bought : ndarray of bool, shape (history.n_customers,)
        Whether each of its customers bought in the window that followed.
    exponent : float
        The horizon divided by the length of that window; 1 for a whole horizon.
    n_bought : int
        The number of customers who bought.
    """

    history: History
    bought: np.ndarray
    exponent: float
    n_bought: int

    @property
    def note(self) -> str:
        """Return the note for the evaluation's row; empty where the window was a whole horizon."""
        return training_note(self.history.horizon_days, self.exponent)

    def require_both_classes(self) -> LabelledHistory:
        """Return the labelled history itself if some customers bought and some did not.

        Raises
        ------
        Skipped
            ``history_one_class``: all of them bought, or none.
        """
        if not 0 < self.n_bought < len(self.bought):
            who = "everybody" if self.n_bought else "nobody"
            raise Skipped("history_one_class", f"{who} bought in the window to train on")
        return self

    def to_horizon(self, probabilities: np.ndarray | float) -> np.ndarray:
        """Carry probabilities for the training window to the horizon by constant hazard.

        With h the length of the training window, a customer buys within the horizon with
        probability ``1 - (1 - p) ** (horizon / h)``.
        """
        carried = np.array(probabilities, dtype=np.float64)
        carry_to_horizon(carried.reshape(-1), self.exponent)
        return carried
