"""Customers' summaries at many cutoffs, and what then happened, in one pass over a company's rows.

Rows are sorted by customer and time. Walking along them, a customer's totals so far are what was
known of him at every cutoff that is passed on the way, and a purchase is an outcome of every window
that is open: each row is looked at once, however many windows there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from scale_eval.datasets.purchases import PURCHASE_RULES
from scale_eval.datasets.transactions import Transactions

DAY = 86_400_000_000
"""Microseconds in a day."""

_N_FIELDS = 7  # of a customer, 8 bytes each, in the order of `CustomerSummary`
_N_COUNTS = 3
BEGINNING_OF_TIME = -(2**63)


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

        self.n_purchases = fields[0]
        self.n_purchase_days = fields[1]
        self.first_purchase = fields[2]
        self.last_purchase = fields[3]
        self.n_refunds = fields[4]
        self.spend = fields[5].view(np.float64)
        self.log_spend = fields[6].view(np.float64)


@dataclass(frozen=True)
class Summaries:
    """What was known at the beginning of each of n windows, and what happened in it.

    Attributes
    ----------
    n_customers, n_bought, n_lapsed : lists of int
        By window: its population; of these, who bought in it; and who had not bought for as long
        as was asked.
    """

    n_customers: list[int]
    n_bought: list[int]
    n_lapsed: list[int]
    _fields: np.ndarray  # [window, field, customer], int64 words
    _customer: np.ndarray  # [window, customer]
    _bought: np.ndarray
    _future_spend: np.ndarray

    def summary(self, window: int) -> CustomerSummary:
        """What was known of the population of a window at its beginning: a copy, for models."""
        n = self.n_customers[window]
        words = np.frombuffer(self._fields[window, :, :n].tobytes(), np.int64)
        return CustomerSummary(words.reshape(_N_FIELDS, n))

    def customers(self, window: int) -> np.ndarray:
        """The population of a window, as positions among the company's customers; ascending."""
        return self._customer[window, : self.n_customers[window]]

    def bought(self, window: int) -> np.ndarray:
        """Whether each of the population bought in the window; bool of shape (n_customers,)."""
        return self._bought[window, : self.n_customers[window]]

    def known_bought(self, window: int) -> np.ndarray:
        """The same as a copy, for models: of a window that is over."""
        return np.frombuffer(self.bought(window).tobytes(), np.bool_)

    def future_spend(self, window: int) -> np.ndarray:
        """What each spent in the window, gross of refunds; float64 of shape (n_customers,)."""
        return self._future_spend[window, : self.n_customers[window]]


@dataclass(frozen=True)
class Spans:
    """Windows in microseconds since 1970 UTC, ascending by `begin`; int64 of shape (n_windows,).

    Attributes
    ----------
    begin, end : ndarray
    since : ndarray
        Only who bought from then on belongs to the population; `BEGINNING_OF_TIME` for everybody.
    lapsed_before : ndarray
        Who bought last before this has lapsed.
    """

    begin: np.ndarray
    end: np.ndarray
    since: np.ndarray
    lapsed_before: np.ndarray

    @cached_property
    def n(self) -> int:
        """How many."""
        return len(self.begin)


def summarise(company: Transactions, spans: Spans, purchase_rule: str) -> Summaries:
    """Summaries and outcomes of all `spans` of a company."""
    n = int(company.codes[-1]) + 1 if len(company) else 0
    fields = np.empty((spans.n, _N_FIELDS, n), np.int64)
    customer = np.empty((spans.n, n), np.int32)
    bought = np.zeros((spans.n, n), np.bool_)
    future_spend = np.zeros((spans.n, n), np.float64)
    counts = np.zeros((_N_COUNTS, spans.n), np.int64)
    _summarise(
        company.codes, company.timestamps, company.values, PURCHASE_RULES.index(purchase_rule),
        spans.begin, spans.end, spans.since, spans.lapsed_before,
        fields, fields.view(np.float64), customer, bought, future_spend, counts,
    )  # fmt: skip
    n_customers, n_bought, n_lapsed = counts.tolist()
    return Summaries(n_customers, n_bought, n_lapsed, fields, customer, bought, future_spend)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _summarise(
    codes: np.ndarray, timestamps: np.ndarray, values: np.ndarray, rule: int,
    begin: np.ndarray, end: np.ndarray, since: np.ndarray, lapsed_before: np.ndarray,
    fields: np.ndarray, reals: np.ndarray, customer: np.ndarray, bought: np.ndarray,
    future_spend: np.ndarray, counts: np.ndarray,
) -> None:  # fmt: skip
    """Fill the arrays; `reals` is the memory of `fields` as float64."""
    n_rows, n_windows = len(codes), len(begin)
    place = np.empty(n_windows, np.int64)  # of this customer in each population; -1 is outside
    row = 0
    while row < n_rows:
        code = codes[row]
        n_purchases, n_days, n_refunds, last_day = 0, 0, 0, 0
        first, last = 0, 0
        spend, log_spend = 0.0, 0.0
        passed = 0  # windows that have begun
        while True:
            at_end = row == n_rows or codes[row] != code
            while passed < n_windows and (at_end or begin[passed] <= timestamps[row]):
                if n_purchases > 0 and last >= since[passed]:
                    i = counts[0, passed]
                    place[passed] = i
                    counts[0, passed] = i + 1
                    if last < lapsed_before[passed]:
                        counts[2, passed] += 1
                    customer[passed, i] = code
                    fields[passed, 0, i] = n_purchases
                    fields[passed, 1, i] = n_days
                    fields[passed, 2, i] = first
                    fields[passed, 3, i] = last
                    fields[passed, 4, i] = n_refunds
                    reals[passed, 5, i] = spend
                    reals[passed, 6, i] = log_spend
                else:
                    place[passed] = -1
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
                if when < end[w] and place[w] >= 0:
                    if not bought[w, place[w]]:
                        bought[w, place[w]] = True
                        counts[1, w] += 1
                    future_spend[w, place[w]] += positive
            day = when // DAY
            if n_purchases == 0:
                first = when
            if n_purchases == 0 or day != last_day:
                n_days += 1
            n_purchases += 1
            last, last_day = when, day
            spend += positive
            log_spend += math.log1p(positive)
