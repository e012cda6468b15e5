"""Choose the cutoffs of each company, and refuse those for which it has too little data.

A label window is ``[cutoff, cutoff + horizon)``. It is evaluated only if all of it was observed,
and of as much time before the cutoff, from which models learn, all but a sixth (a month of a
half-year). All times are UTC; months are calendar months.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from scale_eval.datasets.instants import (
    NEVER,
    SIX_MONTHS,
    Duration,
    from_microseconds,
    microseconds,
)
from scale_eval.evaluation.windows import Window
from scale_eval.planning.company_gaps import CompanyGaps

REFUSALS = (
    "",
    "no_whole_window",
    "too_few_customers",
    "not_observed_whole",
    "no_customers",
    "gap_in_data",
)
"""Reasons for refusing a window, by code; "" where it is evaluated."""


@dataclass(frozen=True)
class ObservedSpans:
    """The spans over which companies were observed, from their manifest.

    Arrays of int64, shape (n_companies,), in microseconds since 1970-01-01 UTC.

    Attributes
    ----------
    first : ndarray
        The timestamp of a company's first row.
    until : ndarray
        The instant up to which its data are complete.
    first_customer_at, tenth_customer_at : ndarray
        When the first and the tenth customer made a first purchase; NEVER if that did not happen.
    gaps : CompanyGaps
        Silences in between that are probably missing data.
    """

    first: np.ndarray
    until: np.ndarray
    first_customer_at: np.ndarray
    tenth_customer_at: np.ndarray
    gaps: CompanyGaps = field(default_factory=CompanyGaps.none)

    def take(self, companies: np.ndarray) -> ObservedSpans:
        """Return the spans of the companies at these positions."""
        return ObservedSpans(
            self.first[companies],
            self.until[companies],
            self.first_customer_at[companies],
            self.tenth_customer_at[companies],
            self.gaps.take(companies),
        )


class PlannedWindow(NamedTuple):
    """One window of one company, as a batch holds it.

    Attributes
    ----------
    cutoff, horizon_end : int
        Microseconds since 1970 UTC.
    overlaps : bool
        Whether it shares time with another evaluated window of the company.
    """

    cutoff: int
    horizon_end: int
    overlaps: bool


@dataclass(frozen=True)
class PlannedWindows:
    """The windows of all companies, evaluated and refused; arrays of shape (n_windows,).

    Sorted by company and cutoff.

    Attributes
    ----------
    company : ndarray of int64
        Position of the company.
    cutoff, horizon_end : ndarray of int64
        Microseconds since 1970 UTC; NEVER where a company has no window at all.
    refusal : ndarray of int8
        Position in REFUSALS of the reason for which it is refused; 0 where it is not.
    overlaps : ndarray of bool
        Whether the label window shares time with another evaluated one of the same company.
    """

    company: np.ndarray
    cutoff: np.ndarray
    horizon_end: np.ndarray
    refusal: np.ndarray
    overlaps: np.ndarray

    def each(self) -> list[PlannedWindow]:
        """Return the windows one by one, in the order of the arrays."""
        columns = (self.cutoff.tolist(), self.horizon_end.tolist(), self.overlaps.tolist())
        return list(map(PlannedWindow, *columns))


def misses_much(
    gaps: CompanyGaps, company: np.ndarray, since: np.ndarray, cutoff: np.ndarray
) -> np.ndarray:
    """Return where more than a sixth of the time ``[since, cutoff)`` to learn from is missing."""
    return gaps.missing(company, since, cutoff) > (cutoff - since) // 6


def touches_gap(
    gaps: CompanyGaps, company: np.ndarray, cutoff: np.ndarray, horizon_end: np.ndarray
) -> np.ndarray:
    """Return which windows are not evaluated because of what is missing in or before them."""
    in_window = gaps.missing(company, cutoff, horizon_end) > 0
    return in_window | misses_much(gaps, company, 2 * cutoff - horizon_end, cutoff)


_Part: TypeAlias = tuple[np.ndarray, int, int]
"""Windows of some companies at one cutoff: their positions, the cutoff, the code of the refusal."""


@dataclass(frozen=True)
class Calendar:
    """A calendar says which cutoffs to evaluate.

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
        The number of cutoffs to keep, the latest; all of them by default.
    shared : bool
        Whether all companies have one calendar, from the latest month start that any of them has
        observed whole; for a company without enough data a cutoff is refused.
    """

    horizon: Duration = SIX_MONTHS
    cutoffs: tuple[pd.Timestamp, ...] = ()
    every: Duration = SIX_MONTHS
    last: int | None = None
    shared: bool = False

    def windows(self, companies: ObservedSpans) -> PlannedWindows:
        """Return the windows of all companies, the refused ones with their reason.

        Reasons: ``not_observed_whole``, ``no_customers``, ``gap_in_data`` and (unless cutoffs are
        explicit) ``too_few_customers``; ``no_whole_window`` for a company without any window.
        """
        if self.shared and len(companies.first):
            parts = self._explicit(companies, self._shared_by(companies))
        elif self.cutoffs:
            parts = self._explicit(companies, list(map(microseconds, self.cutoffs)))
        else:
            parts = self._own(companies)
        return self._planned(parts, companies.gaps)

    def _own(self, companies: ObservedSpans) -> list[_Part]:
        """Return the windows at each company's own month starts."""
        latest = self.latest_whole(companies.until)
        none = latest <= companies.first
        few = ~none & (companies.tenth_customer_at >= latest)
        too_few = REFUSALS.index("too_few_customers")
        parts: list[_Part] = [
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
        return parts

    def _explicit(self, companies: ObservedSpans, cutoffs: Sequence[int]) -> list[_Part]:
        """Return windows at the same cutoffs for all companies, some of them refused."""
        parts: list[_Part] = []
        for cutoff in cutoffs:
            refusal = np.zeros(len(companies.first), np.int8)
            if self.shared:
                refusal[companies.tenth_customer_at >= cutoff] = REFUSALS.index("too_few_customers")
            refusal[companies.first_customer_at >= cutoff] = REFUSALS.index("no_customers")
            refusal[companies.until < self.end_of(cutoff)] = REFUSALS.index("not_observed_whole")
            parts += [(np.flatnonzero(refusal == r), cutoff, r) for r in range(len(REFUSALS))]
        return parts

    def _planned(self, parts: Sequence[_Part], gaps: CompanyGaps) -> PlannedWindows:
        """Sort windows, refuse those that touch a gap, and mark those that overlap."""
        counts = [len(companies) for companies, _, _ in parts]
        company = np.concatenate([companies for companies, _, _ in parts])
        cutoff = np.repeat(np.array([c for _, c, _ in parts], np.int64), counts)
        horizon_end = np.repeat(np.array([self.end_of(c) for _, c, _ in parts], np.int64), counts)
        refusal = np.repeat(np.array([r for _, _, r in parts], np.int8), counts)
        order = np.lexsort((cutoff, company))
        company, cutoff = company[order], cutoff[order]
        horizon_end, refusal = horizon_end[order], refusal[order]
        whole = np.flatnonzero(refusal == 0)
        in_gap = touches_gap(gaps, company[whole], cutoff[whole], horizon_end[whole])
        refusal[whole[in_gap]] = REFUSALS.index("gap_in_data")
        overlaps = np.zeros(len(company), bool)
        kept = np.flatnonzero(refusal == 0)  # ascending within a company: neighbours overlap first
        shared = (company[kept[1:]] == company[kept[:-1]]) & (
            cutoff[kept[1:]] < horizon_end[kept[:-1]]
        )
        overlaps[kept[1:][shared]] = overlaps[kept[:-1][shared]] = True
        return PlannedWindows(company, cutoff, horizon_end, refusal, overlaps)

    def _shared_by(self, companies: ObservedSpans) -> list[int]:
        """Return the cutoffs that all companies share."""
        latest = int(self.latest_whole(companies.until).max())
        return self._back_from(latest, int(companies.tenth_customer_at.min())) or [latest]

    def latest_whole(self, until: np.ndarray) -> np.ndarray:
        """Return the latest month start whose window ends by `until`; both in microseconds."""
        instants = until.astype("datetime64[us]") - np.timedelta64(self.horizon.days, "D")
        months = instants.astype("datetime64[M]") - np.timedelta64(self.horizon.months, "M")
        return months.astype("datetime64[us]").astype(np.int64)

    def _back_from(self, latest: int, after: int) -> list[int]:
        """Return cutoffs later than `after`, going back from `latest`, at most `last` of them."""
        cutoffs: list[int] = []
        start = from_microseconds(latest)
        while self.last is None or len(cutoffs) < self.last:
            cutoff = microseconds(self.every.before(start, len(cutoffs)))
            if cutoff <= after:
                break
            cutoffs.append(cutoff)
        return cutoffs

    def end_of(self, cutoff: int) -> int:
        """Return when the horizon of a cutoff ends; both in microseconds since 1970 UTC."""
        return (
            NEVER
            if cutoff == NEVER
            else Window.at(from_microseconds(cutoff), self.horizon).horizon_end_us
        )
