"""What was known of a company at a cutoff, and what then happened.

`History` is the only thing that a model ever sees. It is made by copying what lies before the
cutoff, so that nothing leads from it to a later row. `Outcomes` never reach a model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numba
import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.instants import DAY, Duration, from_microseconds, microseconds
from scale_eval.datasets.purchases import MIN_CUSTOMERS, is_purchase
from scale_eval.datasets.transactions import Transactions, compact_codes
from scale_eval.evaluation.customer_summaries import (
    BEGINNING_OF_TIME,
    CustomerSummary,
    WindowBounds,
    summarise,
)
from scale_eval.evaluation.windows import Window


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


class PopulationRules(NamedTuple):
    """How populations are made: what histories depend on besides the data and the cutoff.

    Attributes
    ----------
    purchase_rule : str
        One of `scale_eval.datasets.purchases.PURCHASE_RULES`.
    lookback : Duration or None
        Customers without a purchase in this time before the cutoff are left out.
    horizon : Duration or None
        By which a labelled history goes back in calendar time; None goes by exact time.
    """

    purchase_rule: str = "non_negative"
    lookback: Duration | None = None
    horizon: Duration | None = None


class TrainingWindow(NamedTuple):
    """The labelled window of a history: what a model may train on.

    Attributes
    ----------
    cutoff, horizon_end : int
        Microseconds since 1970 UTC.
    exponent : float
        Horizon / length of the window.
    summary : CustomerSummary
        At `cutoff`.
    bought : ndarray of bool
        Who of that population bought in the window.
    n_bought : int
    past : TrainingWindow or None
        The labelled window of the history at `cutoff`, where it is known.
    """

    cutoff: int
    horizon_end: int
    exponent: float
    summary: CustomerSummary
    bought: np.ndarray
    n_bought: int
    past: TrainingWindow | None = None


class History:
    """One company at one cutoff: its customers and their transactions strictly before it.

    The population is every customer with at least one purchase before the cutoff (within
    `lookback` of it, where one is given; the transactions of these customers reach back to the
    beginning all the same).

    A model that declares ``reads = "summary"`` is given a history of the summaries alone: asking it
    for `codes`, `timestamps`, `values`, `is_purchase`, `transactions` or `customers` raises
    `AttributeError`. It is many times as fast, for no row is copied.

    Attributes
    ----------
    company_id : str
    cutoff_us, horizon_end_us : int
        The question is who buys from the first until before the second: microseconds since
        1970-01-01 UTC. `cutoff` and `horizon_end` are the same as timestamps.
    first_us : int
        The company's first row.
    n_customers : int
        Size of the population.
    """

    _population: _Population | None = None  # its transactions, where the model reads them

    def __init__(
        self,
        company: Transactions,
        window: Window,
        *,
        purchase_rule: str = "non_negative",
        lookback: Duration | None = None,
        horizon: Duration | None = None,
    ) -> None:
        self.company_id = company.company_id
        self.cutoff_us, self.horizon_end_us = window.cutoff_us, window.horizon_end_us
        self._asked = PopulationRules(purchase_rule, lookback, horizon)
        self._known = company.before(window.cutoff_us)
        self._population = _Population(self._known, window.cutoff_us, self._asked)
        self.first_us = int(self._known.timestamps.min()) if len(self._known) else window.cutoff_us
        self.n_customers = len(self._population.ids)

    @classmethod
    def of_summary(
        cls,
        company_id: str,
        cutoff: int,
        horizon_end: int,
        first: int,
        summary: CustomerSummary,
        past: TrainingWindow | None = None,
    ) -> History:
        """A history of summaries alone, with what it may train on, if anything."""
        history = cls.__new__(cls)
        history.__dict__ = {
            "company_id": company_id,
            "cutoff_us": cutoff,
            "horizon_end_us": horizon_end,
            "first_us": first,
            "n_customers": summary.n_customers,
            "summary": summary,
            "_past": past,
        }
        return history

    def __repr__(self) -> str:
        told = f"cutoff={self.cutoff:%Y-%m-%d}, {self.n_customers} customers"
        return f"History({self.company_id!r}, {told})"

    @cached_property
    def cutoff(self) -> pd.Timestamp:
        """When the history ends, UTC."""
        return from_microseconds(self.cutoff_us)

    @cached_property
    def horizon_end(self) -> pd.Timestamp:
        """When the label window ends, UTC."""
        return from_microseconds(self.horizon_end_us)

    @property
    def horizon_days(self) -> float:
        """From the cutoff to the end of the horizon, in days."""
        return (self.horizon_end_us - self.cutoff_us) / DAY

    @property
    def first_timestamp(self) -> pd.Timestamp:
        """The company's first row, UTC."""
        return from_microseconds(self.first_us)

    @property
    def codes(self) -> np.ndarray:
        """The customer of each transaction, as a position in `customers`; never decreasing."""
        return self._rows.codes

    @property
    def timestamps(self) -> np.ndarray:
        """Of each transaction, microseconds since 1970-01-01 UTC, ascending within a customer."""
        return self._rows.timestamps

    @property
    def values(self) -> np.ndarray:
        """Of each transaction, float64."""
        return self._rows.values

    @property
    def is_purchase(self) -> np.ndarray:
        """False for refunds: they are here to be seen, but are no purchases."""
        return self._rows.is_purchase

    @cached_property
    def customers(self) -> np.ndarray:
        """Customer ids as strings, sorted; shape (n_customers,), dtype object."""
        return self._rows.ids.to_numpy(zero_copy_only=False)

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
        spans = window_bounds(((self.cutoff_us, self.horizon_end_us),), self._asked)
        return summarise([self._known], [spans], self._asked.purchase_rule).summary(0)

    def days_before_cutoff(self, timestamps: np.ndarray) -> np.ndarray:
        """Days, float64, from `timestamps` (microseconds since 1970 UTC) to the cutoff."""
        return (self.cutoff_us - timestamps) / DAY

    def labelled(self) -> LabelledHistory:
        """An earlier history of the same company with its outcomes, to train on.

        It goes back by h = min(horizon, half of the span from the company's first row to the
        cutoff); its outcomes lie entirely before the present cutoff.

        Raises
        ------
        Skipped
            ``history_too_short``: fewer than 10 customers had bought by then.
        """
        past = self._past
        if past is None:
            raise AttributeError(
                'the labelled history of a model that declares reads = "summary" leads no further '
                "back; take the declaration away from a model that wants to go there"
            )
        if self._population is None:
            history = History.of_summary(
                self.company_id,
                past.cutoff,
                past.horizon_end,
                self.first_us,
                past.summary,
                past.past,
            )
        else:
            window = Window(from_microseconds(past.cutoff), from_microseconds(past.horizon_end))
            history = History(self._known, window, **self._asked._asdict())
        if history.n_customers < MIN_CUSTOMERS:
            raise Skipped(
                "history_too_short",
                f"{history.n_customers} customers at {history.cutoff:%Y-%m-%d}, where training "
                f"would begin; {MIN_CUSTOMERS} are needed",
            )
        return LabelledHistory(history, past.bought, past.exponent, past.n_bought)

    @cached_property
    def _past(self) -> TrainingWindow | None:
        cutoff, horizon_end, exponent = labelled_window(
            self.cutoff_us, self.horizon_end_us, self.first_us, self._asked.horizon
        )
        spans = window_bounds(((cutoff, horizon_end),), self._asked)
        found = summarise([self._known], [spans], self._asked.purchase_rule)
        return TrainingWindow(
            cutoff,
            horizon_end,
            exponent,
            found.summary(0),
            found.known_bought(0),
            int(found.n_bought[0]),
        )

    @property
    def _rows(self) -> _Population:
        if self._population is None:
            raise AttributeError(
                'this history holds summaries only, for the model declares reads = "summary"; '
                "take the declaration away from a model that wants transactions or customer ids"
            )
        return self._population


class _Population:
    """The transactions of those who belong to a population, copied."""

    def __init__(self, known: Transactions, cutoff: int, asked: PopulationRules) -> None:
        purchases = is_purchase(known.values, asked.purchase_rule)
        recent = purchases
        if asked.lookback is not None:
            recent = purchases & (known.timestamps >= _back(cutoff, asked.lookback))
        belongs = np.zeros(known.n_customers, dtype=bool)
        belongs[known.codes[recent]] = True
        rows = belongs[known.codes]
        present, self.codes = compact_codes(known.codes[rows], known.n_customers)
        self.ids = known.customers.take(pa.array(present))
        self.timestamps = known.timestamps[rows]
        self.values = known.values[rows]
        self.is_purchase = purchases[rows]
        for array in (self.codes, self.timestamps, self.values, self.is_purchase):
            array.flags.writeable = False


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
    n_bought : int
        How many bought.
    """

    history: History
    bought: np.ndarray
    exponent: float
    n_bought: int

    @property
    def note(self) -> str:
        """What the evaluation's row says of the training window; empty where it was whole."""
        return training_note(self.history.horizon_days, self.exponent)

    def require_both_classes(self) -> LabelledHistory:
        """Itself, where some bought and some did not; else `Skipped` (``history_one_class``)."""
        if not 0 < self.n_bought < len(self.bought):
            who = "everybody" if self.n_bought else "nobody"
            raise Skipped("history_one_class", f"{who} bought in the window to train on")
        return self

    def to_horizon(self, probabilities: np.ndarray | float) -> np.ndarray:
        """Probabilities for the training window, carried to the horizon by constant hazard.

        ``1 - (1 - p) ** (horizon / h)``, the share that a constant hazard leaves unbought.
        """
        carried = np.array(probabilities, dtype=np.float64)
        carry_to_horizon(carried.reshape(-1), self.exponent)
        return carried


class Outcomes(NamedTuple):
    """What then happened to the customers of a history in ``[cutoff, horizon_end)``.

    Attributes
    ----------
    bought : ndarray of bool, shape (n_customers,)
        At least one purchase in the window.
    future_spend : ndarray of float64, shape (n_customers,)
        Sum of the positive values of purchases in the window, gross of refunds.
    n_positive : int
        How many bought.
    """

    bought: np.ndarray
    future_spend: np.ndarray
    n_positive: int


def training_note(days: float, exponent: float) -> str:
    """What is said of a training window of so many days; nothing where it was whole."""
    if exponent == 1.0:
        return ""
    return f"trained on {days:.1f} days, carried to the horizon by constant hazard"


@numba.njit(nogil=True, cache=True, error_model="numpy")
def carry_to_horizon(probabilities: np.ndarray, exponent: float) -> None:
    """``1 - (1 - p) ** exponent`` in place, shape (n,); 1 stays 1."""
    if exponent != 1.0:
        for i in range(len(probabilities)):
            probabilities[i] = -math.expm1(exponent * math.log1p(-probabilities[i]))


def labelled_window(
    cutoff: int, horizon_end: int, first: int, horizon: Duration | None
) -> tuple[int, int, float]:
    """Begin and end of the window to train on, and the exponent that carries it to the horizon.

    One horizon back where the company's past is twice as long, else half of its past. Microseconds
    since 1970 UTC; `first` is the company's first row.
    """
    half_span = max(cutoff - first, 0) // 2
    length = horizon_end - cutoff
    if length <= half_span:
        return *_one_horizon_back(cutoff, length, horizon), 1.0
    return cutoff - half_span, cutoff, length / half_span if half_span else 1.0


@lru_cache(maxsize=4096)
def window_bounds(
    windows: tuple[tuple[int, int], ...],
    asked: PopulationRules,
    lapsed_after: Duration | None = None,
) -> WindowBounds:
    """Windows, ascending, as `summarise` wants them; lapsed is who last bought that long before."""
    cutoff = [cutoff for cutoff, _ in windows]
    if asked.lookback is None:
        since = [BEGINNING_OF_TIME] * len(cutoff)
    else:
        since = [_back(instant, asked.lookback) for instant in cutoff]
    lapsed = since if lapsed_after is None else [_back(i, lapsed_after) for i in cutoff]
    ends = [horizon_end for _, horizon_end in windows]
    instants = np.array([cutoff, ends, since, lapsed], dtype=np.int64)
    instants.flags.writeable = False  # many companies share them
    return WindowBounds(*instants)


@lru_cache(maxsize=65_536)
def _back(instant: int, by: Duration) -> int:
    return microseconds(by.before(from_microseconds(instant)))


@lru_cache(maxsize=65_536)
def _one_horizon_back(cutoff: int, length: int, horizon: Duration | None) -> tuple[int, int]:
    if horizon is None:
        return cutoff - length, cutoff
    window = Window.at(horizon.before(from_microseconds(cutoff)), horizon)
    return window.cutoff_us, window.horizon_end_us
