"""What was known of a company at a cutoff, and what then happened.

`History` is the only thing that a model ever sees. It is made by copying the rows before the
cutoff, so that nothing leads from it to a later one. `Outcomes` never reach a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.purchases import is_purchase
from scale_eval.datasets.transactions import Transactions, compact_codes
from scale_eval.windows import (
    MIN_CUSTOMERS,
    Duration,
    Window,
    from_microseconds,
    microseconds,
)


class Skipped(Exception):  # noqa: N818 - not an error: a model that declines
    """Raised by a model that cannot answer for this history; the evaluation is `skipped`.

    Parameters
    ----------
    reason : str
        A short code such as ``history_too_short``, which is counted in the tables.
    note : str
        What a person wants to know besides.
    """

    def __init__(self, reason: str, note: str = "") -> None:
        super().__init__(reason, note)
        self.reason = reason
        self.note = note


@dataclass(frozen=True)
class CustomerSummary:
    """Recency, frequency and spend of each customer of a history; arrays of shape (n_customers,).

    Attributes
    ----------
    n_purchases : ndarray of int64
        Purchases before the cutoff; exact duplicates count.
    first_purchase, last_purchase : ndarray of int64
        Microseconds since 1970-01-01 UTC.
    spend : ndarray of float64
        Sum of the positive values of purchases, gross of refunds.
    n_refunds : ndarray of int64
        Transactions that are not purchases.
    """

    n_purchases: np.ndarray
    first_purchase: np.ndarray
    last_purchase: np.ndarray
    spend: np.ndarray
    n_refunds: np.ndarray


class History:
    """One company at one cutoff: its customers and their transactions strictly before it.

    The population is every customer with at least one purchase before the cutoff (within
    `lookback` of it, where one is given; the transactions of these customers reach back to the
    beginning all the same).

    Attributes
    ----------
    company_id : str
    cutoff, horizon_end : Timestamp, UTC
        The question is who buys in ``[cutoff, horizon_end)``.
    first_timestamp : Timestamp, UTC
        Of the company's first row.
    codes : ndarray of int32, shape (n_rows,)
        The customer of each transaction, as a position in `customers`; never decreasing.
    timestamps : ndarray of int64, shape (n_rows,)
        Microseconds since 1970-01-01 UTC, ascending within a customer.
    values : ndarray of float64, shape (n_rows,)
    is_purchase : ndarray of bool, shape (n_rows,)
        False for refunds: they are here to be seen, but are no purchases.
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
        cutoff = microseconds(window.cutoff)
        known = company.before(cutoff)
        self.company_id = company.company_id
        self.cutoff = window.cutoff
        self.horizon_end = window.horizon_end
        self._known = known
        self._purchase_rule = purchase_rule
        self._lookback = lookback
        self._horizon = horizon

        purchases = is_purchase(known.values, purchase_rule)
        recent = purchases
        if lookback is not None:
            recent = purchases & (known.timestamps >= microseconds(lookback.before(window.cutoff)))
        belongs = np.zeros(len(known.customers), dtype=bool)
        belongs[known.codes[recent]] = True
        rows = belongs[known.codes]
        present, codes = compact_codes(known.codes[rows], len(known.customers))
        self._customers = known.customers.take(pa.array(present))
        self.codes = codes
        self.timestamps = known.timestamps[rows]
        self.values = known.values[rows]
        self.is_purchase = purchases[rows]
        for array in (self.codes, self.timestamps, self.values, self.is_purchase):
            array.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"History({self.company_id!r}, cutoff={self.cutoff:%Y-%m-%d}, "
            f"{self.n_customers} customers, {len(self.values)} transactions)"
        )

    @property
    def n_customers(self) -> int:
        """Size of the population."""
        return len(self._customers)

    @property
    def first_timestamp(self) -> pd.Timestamp:
        """The company's first row."""
        return from_microseconds(int(self._known.timestamps.min()))

    @cached_property
    def customers(self) -> np.ndarray:
        """Customer ids as strings, sorted; shape (n_customers,), dtype object."""
        return self._customers.to_numpy(zero_copy_only=False)

    @cached_property
    def transactions(self) -> pd.DataFrame:
        """The transactions as a DataFrame: customer_id, timestamp (UTC), value, is_purchase."""
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
        """Recency, frequency and spend of each customer."""
        n = self.n_customers
        codes = self.codes[self.is_purchase]
        times = self.timestamps[self.is_purchase]
        values = self.values[self.is_purchase]
        counts = np.bincount(codes, minlength=n)
        ends = np.cumsum(counts)  # rows are sorted by customer and time, and everyone has one
        return CustomerSummary(
            n_purchases=counts,
            first_purchase=times[ends - counts],
            last_purchase=times[ends - 1],
            spend=np.bincount(codes, weights=np.maximum(values, 0.0), minlength=n),
            n_refunds=np.bincount(self.codes[~self.is_purchase], minlength=n),
        )

    def days_before_cutoff(self, timestamps: np.ndarray) -> np.ndarray:
        """Days, float64, from `timestamps` (microseconds since 1970 UTC) to the cutoff."""
        return (microseconds(self.cutoff) - timestamps) / 86_400e6

    def labelled(self) -> LabelledHistory:
        """An earlier history of the same company with its outcomes, to train on.

        It goes back by h = min(horizon, half of the span from the company's first row to the
        cutoff); its outcomes lie entirely before the present cutoff.

        Raises
        ------
        Skipped
            ``history_too_short``: fewer than 10 customers had bought by then.
        """
        cutoff = microseconds(self.cutoff)
        half_span = (cutoff - int(self._known.timestamps.min())) // 2 if len(self._known) else 0
        horizon = microseconds(self.horizon_end) - cutoff
        whole = self._one_horizon_back()
        if horizon <= half_span:
            window, exponent = whole, 1.0
        else:
            window = Window(from_microseconds(cutoff - half_span), self.cutoff)
            exponent = horizon / half_span if half_span else 1.0
        history = History(
            self._known, window, purchase_rule=self._purchase_rule, lookback=self._lookback,
            horizon=self._horizon,
        )  # fmt: skip
        if history.n_customers < MIN_CUSTOMERS:
            raise Skipped(
                "history_too_short",
                f"{history.n_customers} customers at {window.cutoff:%Y-%m-%d}, where training "
                f"would begin; {MIN_CUSTOMERS} are needed",
            )
        outcomes = Outcomes(self._known, window, history, purchase_rule=self._purchase_rule)
        return LabelledHistory(history, outcomes.bought, exponent)

    def _one_horizon_back(self) -> Window:
        if self._horizon is None:
            return Window(self.cutoff - (self.horizon_end - self.cutoff), self.cutoff)
        return Window.at(self._horizon.before(self.cutoff), self._horizon)


@dataclass(frozen=True)
class LabelledHistory:
    """An earlier history and who then bought: what a model may train on.

    Attributes
    ----------
    history : History
        The company at the earlier cutoff.
    bought : ndarray of bool, shape (history.n_customers,)
        Whether each of its customers bought in the window that followed.
    exponent : float
        Horizon / length of that window: 1 where it is as long as the horizon asked for.
    """

    history: History
    bought: np.ndarray
    exponent: float

    @property
    def note(self) -> str:
        """What the evaluation's row says of the training window; empty where it was whole."""
        if self.exponent == 1.0:
            return ""
        days = (self.history.horizon_end - self.history.cutoff) / pd.Timedelta(days=1)
        return f"trained on {days:.1f} days, carried to the horizon by constant hazard"

    def require_both_classes(self) -> LabelledHistory:
        """Itself, where some bought and some did not; else `Skipped` (``history_one_class``)."""
        if self.bought.all() or not self.bought.any():
            who = "everybody" if self.bought.all() else "nobody"
            raise Skipped("history_one_class", f"{who} bought in the window to train on")
        return self

    def to_horizon(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities for the training window, carried to the horizon by constant hazard.

        ``1 - (1 - p) ** (horizon / h)``, the share that a constant hazard leaves unbought.
        """
        if self.exponent == 1.0:
            return np.asarray(probabilities, dtype=np.float64)
        with np.errstate(divide="ignore"):  # p = 1 stays 1
            return -np.expm1(self.exponent * np.log1p(-np.asarray(probabilities, np.float64)))


class Outcomes:
    """What then happened to the customers of a history in ``[cutoff, horizon_end)``.

    Attributes
    ----------
    bought : ndarray of bool, shape (n_customers,)
        At least one purchase in the window.
    future_spend : ndarray of float64, shape (n_customers,)
        Sum of the positive values of purchases in the window, gross of refunds.
    """

    def __init__(
        self,
        company: Transactions,
        window: Window,
        history: History,
        *,
        purchase_rule: str = "non_negative",
    ) -> None:
        begin, end = microseconds(window.cutoff), microseconds(window.horizon_end)
        rows = (company.timestamps >= begin) & (company.timestamps < end)
        rows &= is_purchase(company.values, purchase_rule)
        position = pa.compute.index_in(company.customers, history._customers)
        positions = position.fill_null(-1).to_numpy(zero_copy_only=False)[company.codes[rows]]
        known = positions >= 0
        n = history.n_customers
        self.bought = np.bincount(positions[known], minlength=n) > 0
        self.future_spend = np.bincount(
            positions[known], weights=np.maximum(company.values[rows][known], 0.0), minlength=n
        )
