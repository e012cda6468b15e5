"""Windows: cutoffs, the ends of their horizons, and which of them a company's data can bear.

A label window is ``[cutoff, cutoff + horizon)``. It is evaluated only if it was observed whole.
All times are UTC; months are calendar months.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

MIN_CUSTOMERS = 10
"""Customers from which a default cutoff, and a labelled window to train on, is worth having."""

_UNITS = {"day": (0, 1), "week": (0, 7), "month": (1, 0), "year": (12, 0)}


@dataclass(frozen=True)
class Duration:
    """A length of calendar time: whole months, or whole days. ``Duration.parse("6 months")``."""

    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str | Duration) -> Duration:
        """Read ``"6 months"``, ``"26 weeks"``, ``"90 days"``, ``"1 year"``.

        Raises `ValueError` for anything else, for a length of zero, and for more than a century.
        """
        if isinstance(text, Duration):
            return text
        match = re.fullmatch(r"\s*(\d+)\s*(day|week|month|year)s?\s*", text.lower())
        if match is None or int(match[1]) == 0:
            raise ValueError(
                f"{text!r} is not a length of time; write a number and a unit, "
                "such as '6 months', '26 weeks' or '90 days'"
            )
        months, days = _UNITS[match[2]]
        length = cls(int(match[1]) * months, int(match[1]) * days)
        if length.months > 1_200 or length.days > 36_500:
            raise ValueError(f"{text!r} is longer than a century")
        return length

    def __str__(self) -> str:
        count, unit = (self.months, "month") if self.months else (self.days, "day")
        return f"{count} {unit}{'' if count == 1 else 's'}"

    def after(self, instant: pd.Timestamp, times: int = 1) -> pd.Timestamp:
        """`instant` plus this length, `times` over; a month too short clips to its last day."""
        return instant + pd.DateOffset(months=self.months * times, days=self.days * times)

    def before(self, instant: pd.Timestamp, times: int = 1) -> pd.Timestamp:
        """`instant` minus this length, `times` over."""
        return self.after(instant, -times)


SIX_MONTHS = Duration(months=6)


def as_utc(instant: str | pd.Timestamp) -> pd.Timestamp:
    """A timestamp in UTC with microseconds; one without a zone is taken as UTC.

    Raises `ValueError` where the text is not a date or time.
    """
    try:
        stamp = pd.Timestamp(instant)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{instant!r} is not a date or time; write 2017-12-01") from error
    if stamp is pd.NaT:
        raise ValueError(f"{instant!r} is not a date or time; write 2017-12-01")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.as_unit("us")


def microseconds(instant: pd.Timestamp) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return int(instant.as_unit("us").asm8.astype("int64"))


def from_microseconds(instant: int) -> pd.Timestamp:
    """The UTC timestamp at `instant` microseconds since 1970."""
    return pd.Timestamp(instant, unit="us", tz="UTC").as_unit("us")


@dataclass(frozen=True)
class Window:
    """A cutoff and the end of its horizon: what is known before, what is asked after."""

    cutoff: pd.Timestamp
    horizon_end: pd.Timestamp

    @classmethod
    def at(cls, cutoff: pd.Timestamp, horizon: Duration = SIX_MONTHS) -> Window:
        """The window that `horizon` opens at `cutoff`."""
        return cls(cutoff, horizon.after(cutoff))

    @cached_property
    def begin(self) -> int:
        """The cutoff in microseconds since 1970 UTC."""
        return microseconds(self.cutoff)

    @cached_property
    def end(self) -> int:
        """The end of the horizon in microseconds since 1970 UTC."""
        return microseconds(self.horizon_end)


NEVER = 2**63 - 1
"""In place of an instant, in microseconds, for what never happened."""


@dataclass(frozen=True)
class Observed:
    """What companies' data can bear, as their manifest tells it; int64 of shape (n_companies,).

    All in microseconds since 1970-01-01 UTC.

    Attributes
    ----------
    first : ndarray
        Of a company's first row.
    until : ndarray
        The instant up to which its data are complete.
    first_customer_at, tenth_customer_at : ndarray
        When the first and the tenth customer made a first purchase; NEVER if that did not happen.
    """

    first: np.ndarray
    until: np.ndarray
    first_customer_at: np.ndarray
    tenth_customer_at: np.ndarray


@dataclass(frozen=True)
class PlannedWindows:
    """The windows that companies are asked for; arrays of shape (n_windows,).

    Sorted by company and cutoff.

    Attributes
    ----------
    company : ndarray of int64
        Position of the company.
    begin, end : ndarray of int64
        Cutoff and end of the horizon, microseconds since 1970 UTC; NEVER where a company has no
        window at all.
    refusal : ndarray of int8
        Position in REFUSALS of why it is refused; 0 where it is not.
    overlaps : ndarray of bool
        The label window shares time with another evaluated one of the same company.
    """

    company: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    refusal: np.ndarray
    overlaps: np.ndarray


REFUSALS = ("", "no_whole_window", "too_few_customers", "not_observed_whole", "no_customers")


@dataclass(frozen=True)
class Calendar:
    """Which cutoffs to evaluate.

    Parameters
    ----------
    horizon : Duration
    cutoffs : sequence of Timestamp, optional
        Explicit cutoffs, for every company. Without them each company has its own: month starts
        (UTC), the latest whose window is observed whole, then back by `every` to the first with
        at least 10 customers.
    every : Duration
        The step between cutoffs that are not explicit.
    last : int, optional
        Only the latest so many.
    shared : bool
        One calendar for all companies, from the latest month start that any of them has observed
        whole; a company refuses those of them that it cannot bear.
    """

    horizon: Duration = SIX_MONTHS
    cutoffs: tuple[pd.Timestamp, ...] = ()
    every: Duration = SIX_MONTHS
    last: int | None = None
    shared: bool = False

    def windows(self, companies: Observed) -> PlannedWindows:
        """The windows of all companies, the refused ones with their reason.

        Refusals: ``not_observed_whole``, ``no_customers`` and (cutoffs that are not explicit)
        ``too_few_customers``; ``no_whole_window`` where not even one window can be named.
        """
        if self.shared and len(companies.first):
            return self._explicit(companies, self._shared_by(companies))
        if self.cutoffs:
            return self._explicit(companies, list(map(microseconds, self.cutoffs)))
        return self._own(companies)

    def _own(self, companies: Observed) -> PlannedWindows:
        """Each company's own month starts."""
        latest = self._latest_whole(companies.until)
        none = latest <= companies.first
        few = ~none & (companies.tenth_customer_at >= latest)
        too_few = REFUSALS.index("too_few_customers")
        parts = [
            (np.flatnonzero(none), NEVER, REFUSALS.index("no_whole_window")),
            *(
                (np.flatnonzero(few & (latest == start)), int(start), too_few)
                for start in np.unique(latest[few])
            ),
        ]
        rest = ~none & ~few
        for start in np.unique(latest[rest]):
            group = np.flatnonzero(rest & (latest == start))
            tenth = companies.tenth_customer_at[group]
            for cutoff in self._back_from(int(start), int(tenth.min())):
                parts.append((group[tenth < cutoff], cutoff, 0))
        return self._planned(parts)

    def _explicit(self, companies: Observed, cutoffs: Sequence[int]) -> PlannedWindows:
        """The same cutoffs for all companies, each refused by those that cannot bear it."""
        parts = []
        for begin in cutoffs:
            refusal = np.zeros(len(companies.first), np.int8)
            if self.shared:
                refusal[companies.tenth_customer_at >= begin] = REFUSALS.index("too_few_customers")
            refusal[companies.first_customer_at >= begin] = REFUSALS.index("no_customers")
            refusal[companies.until < self._end_of(begin)] = REFUSALS.index("not_observed_whole")
            parts += [(np.flatnonzero(refusal == r), begin, r) for r in range(len(REFUSALS))]
        return self._planned(parts)

    def _planned(self, parts: Sequence[tuple[np.ndarray, int, int]]) -> PlannedWindows:
        """From (companies, cutoff, refusal) in any order."""
        counts = [len(companies) for companies, _, _ in parts]
        company = np.concatenate([companies for companies, _, _ in parts])
        begin = np.repeat(np.array([b for _, b, _ in parts], np.int64), counts)
        end = np.repeat(np.array([self._end_of(b) for _, b, _ in parts], np.int64), counts)
        refusal = np.repeat(np.array([r for _, _, r in parts], np.int8), counts)
        order = np.lexsort((begin, company))
        company, begin = company[order], begin[order]
        end, refusal = end[order], refusal[order]
        overlaps = np.zeros(len(company), bool)
        kept = np.flatnonzero(refusal == 0)  # of one company ascending, so that neighbours tell
        shared = (company[kept[1:]] == company[kept[:-1]]) & (begin[kept[1:]] < end[kept[:-1]])
        overlaps[kept[1:][shared]] = overlaps[kept[:-1][shared]] = True
        return PlannedWindows(company, begin, end, refusal, overlaps)

    def _shared_by(self, companies: Observed) -> list[int]:
        """The cutoffs that all companies share."""
        latest = int(self._latest_whole(companies.until).max())
        return self._back_from(latest, int(companies.tenth_customer_at.min())) or [latest]

    def _latest_whole(self, until: np.ndarray) -> np.ndarray:
        """The latest month start whose window ends by `until`; microseconds, as it is."""
        instants = until.astype("datetime64[us]") - np.timedelta64(self.horizon.days, "D")
        months = instants.astype("datetime64[M]") - np.timedelta64(self.horizon.months, "M")
        return months.astype("datetime64[us]").astype(np.int64)

    def _back_from(self, latest: int, after: int) -> list[int]:
        """Cutoffs later than `after`, from `latest` back by `every`, at most `last` of them."""
        cutoffs: list[int] = []
        start = from_microseconds(latest)
        while self.last is None or len(cutoffs) < self.last:
            cutoff = microseconds(self.every.before(start, len(cutoffs)))
            if cutoff <= after:
                break
            cutoffs.append(cutoff)
        return cutoffs

    def _end_of(self, begin: int) -> int:
        return NEVER if begin == NEVER else Window.at(from_microseconds(begin), self.horizon).end
