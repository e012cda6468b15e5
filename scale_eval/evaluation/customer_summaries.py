"""Summarise customers at many cutoffs, and their outcomes, in one pass over a company's rows.

Rows are sorted by customer and time. A customer's totals up to a row are the summary at every
cutoff between that row and the next, and a purchase is an outcome of every window that is open:
each row is read once, however many windows there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scale_eval.compiling import compiled
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.purchases import PURCHASE_RULES
from scale_eval.datasets.transactions import Transactions
from scale_eval.evaluation.window_bounds import WindowBounds

(
    N_PURCHASES,
    N_PURCHASE_DAYS,
    FIRST_PURCHASE,
    LAST_PURCHASE,
    N_REFUNDS,
    SPEND,
    LOG_SPEND,
) = range(7)
"""Positions of the fields of `CustomerSummary`; each takes 8 bytes a customer."""

SUMMARY_FIELDS = (
    "n_purchases",
    "n_purchase_days",
    "first_purchase",
    "last_purchase",
    "n_refunds",
    "spend",
    "log_spend",
)
"""Their names, in this order."""

_N_FIELDS = len(SUMMARY_FIELDS)
_N_COUNTS = 3


class CustomerSummary:
    """Recency, frequency and spend of each customer of a history; arrays of shape (n_customers,).

    The arrays lie in memory that cannot be made writable: models share them.

    Attributes
    ----------
    n_purchases : ndarray of int64
        Purchases before the cutoff; exact duplicates count.
    n_purchase_days : ndarray of int64
        Distinct days (UTC) with a purchase.
    first_purchase, last_purchase : ndarray of int64
        Microseconds since 1970-01-01 UTC.
    n_refunds : ndarray of int64
        Transactions that are not purchases.
    spend : ndarray of float64
        Sum of the positive values of purchases, gross of refunds.
    log_spend : ndarray of float64
        Sum over purchases of log(1 + value), negative values taken as 0.
    """

    def __init__(self, fields: np.ndarray) -> None:
        self._fields = fields
        self.n_customers: int = fields.shape[1]

        self.n_purchases = fields[N_PURCHASES]
        self.n_purchase_days = fields[N_PURCHASE_DAYS]
        self.first_purchase = fields[FIRST_PURCHASE]
        self.last_purchase = fields[LAST_PURCHASE]
        self.n_refunds = fields[N_REFUNDS]
        self.spend = fields[SPEND].view(np.float64)
        self.log_spend = fields[LOG_SPEND].view(np.float64)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a customer, in the order of `history.customers`; its purchases in UTC."""
        frame = pd.DataFrame({name: getattr(self, name) for name in SUMMARY_FIELDS})
        for name in ("first_purchase", "last_purchase"):
            frame[name] = pd.to_datetime(frame[name], unit="us", utc=True)
        return frame


@dataclass(frozen=True)
class Summaries:
    """Summaries of the customers at the cutoff of each of n windows, and the outcomes in it.

    The windows may be those of several companies. Arrays by customer hold one window after the
    other: the population of window w are the first ``n_customers[w]`` from ``start[w]`` on, and
    the values behind them up to ``start[w + 1]`` mean nothing. Compiled code takes the arrays
    whole.

    Attributes
    ----------
    start : ndarray of int64, shape (n_windows + 1,)
    n_customers, n_bought, n_lapsed : ndarray of int64, shape (n_windows,)
        The numbers of customers in the population, of those who bought in the window, and of those
        who had lapsed at its cutoff, see `scale_eval.evaluation.window_bounds.WindowBounds`.
    fields : ndarray of int64, shape (7, start[-1])
        The fields of `CustomerSummary`, as words of 8 bytes.
    customer : ndarray of int32, shape (start[-1],)
        Positions among the customers of the window's company, ascending.
    all_bought : ndarray of bool, shape (start[-1],)
    all_spend : ndarray of float64, shape (start[-1],)
    """

    start: np.ndarray
    n_customers: np.ndarray
    n_bought: np.ndarray
    n_lapsed: np.ndarray
    fields: np.ndarray
    customer: np.ndarray
    all_bought: np.ndarray
    all_spend: np.ndarray

    def population(self, window: int) -> slice:
        """Return the positions of a window's customers in the arrays by customer."""
        start = int(self.start[window])
        return slice(start, start + int(self.n_customers[window]))

    def summary(self, window: int) -> CustomerSummary:
        """Copy the summary of the population at the cutoff of a window, for models."""
        words = np.frombuffer(self.fields[:, self.population(window)].tobytes(), np.int64)
        return CustomerSummary(words.reshape(_N_FIELDS, -1))

    def customers(self, window: int) -> np.ndarray:
        """Return a window's population, as ascending positions among the company's customers."""
        return self.customer[self.population(window)]

    def bought(self, window: int) -> np.ndarray:
        """Return whether each customer bought in the window; bool of shape (n_customers,)."""
        return self.all_bought[self.population(window)]

    def bought_copy(self, window: int) -> np.ndarray:
        """Copy `bought` for models, which may have it where the window ends by their cutoff."""
        return np.frombuffer(self.bought(window).tobytes(), np.bool_)

    def future_spend(self, window: int) -> np.ndarray:
        """Return each customer's spend in the window, gross of refunds; float64, (n_customers,)."""
        return self.all_spend[self.population(window)]


def summarise(
    companies: Sequence[Transactions], bounds: Sequence[WindowBounds], purchase_rule: str
) -> Summaries:
    """Summarise each company at all of its windows; `bounds` has one entry for each company."""
    n_customers = [int(c.codes[-1]) + 1 if len(c) else 0 for c in companies]
    n_windows = [len(each) for each in bounds]
    start = np.zeros(sum(n_windows) + 1, np.int64)
    np.cumsum(np.repeat(n_customers, n_windows), out=start[1:])
    total = int(start[-1])
    fields = np.empty((_N_FIELDS, total), np.int64)
    reals = fields.view(np.float64)
    customer = np.empty(total, np.int32)
    bought = np.zeros(total, np.bool_)
    future_spend = np.zeros(total)
    counts = np.zeros((_N_COUNTS, len(start) - 1), np.int64)
    rule, first = PURCHASE_RULES.index(purchase_rule), 0
    for company, windows in zip(companies, bounds, strict=True):
        _summarise(
            company.codes,
            company.timestamps,
            company.values,
            rule,
            windows.cutoff,
            windows.horizon_end,
            windows.since,
            windows.lapsed_before,
            first,
            start,
            fields,
            reals,
            customer,
            bought,
            future_spend,
            counts,
        )
        first += len(windows)
    populations, n_bought, n_lapsed = counts
    return Summaries(start, populations, n_bought, n_lapsed, fields, customer, bought, future_spend)


@compiled
def _summarise(
    codes: np.ndarray,
    timestamps: np.ndarray,
    values: np.ndarray,
    rule: int,
    cutoff: np.ndarray,
    horizon_end: np.ndarray,
    since: np.ndarray,
    lapsed_before: np.ndarray,
    first_window: int,
    start: np.ndarray,
    fields: np.ndarray,
    reals: np.ndarray,
    customer: np.ndarray,
    bought: np.ndarray,
    future_spend: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Fill the arrays from `first_window` on; `reals` is the memory of `fields` as float64."""
    n_rows, n_windows = len(codes), len(cutoff)
    position = np.empty(n_windows, np.int64)  # the customer's position in the arrays; -1 is outside
    row = 0
    while row < n_rows:
        code = codes[row]
        n_purchases, n_days, n_refunds, last_day = 0, 0, 0, 0
        first, last = 0, 0
        spend, log_spend = 0.0, 0.0
        passed = 0  # windows that have begun
        while True:
            at_end = row == n_rows or codes[row] != code
            while passed < n_windows and (at_end or cutoff[passed] <= timestamps[row]):
                if n_purchases > 0 and last >= since[passed]:
                    window = first_window + passed
                    i = start[window] + counts[0, window]
                    position[passed] = i
                    counts[0, window] += 1
                    if last < lapsed_before[passed]:
                        counts[2, window] += 1
                    customer[i] = code
                    fields[N_PURCHASES, i] = n_purchases
                    fields[N_PURCHASE_DAYS, i] = n_days
                    fields[FIRST_PURCHASE, i] = first
                    fields[LAST_PURCHASE, i] = last
                    fields[N_REFUNDS, i] = n_refunds
                    reals[SPEND, i] = spend
                    reals[LOG_SPEND, i] = log_spend
                else:
                    position[passed] = -1
                passed += 1
            if at_end:
                break
            when, value = timestamps[row], values[row]
            row += 1
            # In the order of PURCHASE_RULES.
            if not ((rule == 0 and value >= 0) or (rule == 1 and value > 0) or rule == 2):
                n_refunds += 1
                continue
            positive = max(value, 0.0)
            for w in range(passed):
                if when < horizon_end[w] and position[w] >= 0:
                    if not bought[position[w]]:
                        bought[position[w]] = True
                        counts[1, first_window + w] += 1
                    future_spend[position[w]] += positive
            day = when // DAY
            if n_purchases == 0:
                first = when
            if n_purchases == 0 or day != last_day:
                n_days += 1
            n_purchases += 1
            last, last_day = when, day
            spend += positive
            log_spend += math.log1p(positive)
