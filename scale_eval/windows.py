"""Windows: cutoffs, the ends of their horizons, and which of them a company's data can bear.

A label window is ``[cutoff, cutoff + horizon)``. It is evaluated only if it was observed whole.
All times are UTC; months are calendar months.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Observed:
    """What a company's data can bear, as its manifest tells it.

    Attributes
    ----------
    first_timestamp : Timestamp
        Of the company's first row.
    until : Timestamp
        The instant up to which the data are complete.
    first_customer_at, tenth_customer_at : Timestamp or None
        When the first and the tenth customer made a first purchase; None if that never happened.
    """

    first_timestamp: pd.Timestamp
    until: pd.Timestamp
    first_customer_at: pd.Timestamp | None
    tenth_customer_at: pd.Timestamp | None


@dataclass(frozen=True)
class PlannedWindow:
    """A window that a company is asked for, and why it is refused (``""`` where it is not).

    `window` is None where a company has no window at all. `overlaps` says that the label window
    shares time with another evaluated one of the same company.
    """

    window: Window | None
    refusal: str = ""
    note: str = ""
    overlaps: bool = False


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

    def windows(self, company: Observed) -> list[PlannedWindow]:
        """The windows of one company in order of time, the refused ones with their reason.

        Refusals: ``not_observed_whole``, ``no_customers`` and (cutoffs that are not explicit)
        ``too_few_customers``; ``no_whole_window`` where not even one window can be named.
        """
        if self.cutoffs:
            planned = [self._judge(Window.at(c, self.horizon), company) for c in self.cutoffs]
        else:
            planned = self._own_windows(company)
        return _mark_overlaps(planned)

    def shared_by(self, companies: Sequence[Observed]) -> Calendar:
        """This calendar with the cutoffs that all `companies` share spelled out."""
        latest = self._latest_whole(max(c.until for c in companies))
        tenths = [c.tenth_customer_at for c in companies if c.tenth_customer_at is not None]
        cutoffs = self._back_from(latest, min(tenths)) if tenths else []
        return replace(self, cutoffs=tuple(reversed(cutoffs or [latest])))

    def _own_windows(self, company: Observed) -> list[PlannedWindow]:
        latest = self._latest_whole(company.until)
        if latest <= company.first_timestamp:
            note = (
                f"observed from {company.first_timestamp:%Y-%m-%d} until {company.until:%Y-%m-%d}"
            )
            return [PlannedWindow(None, "no_whole_window", note)]
        tenth = company.tenth_customer_at
        if tenth is None or tenth >= latest:
            note = (
                f"fewer than {MIN_CUSTOMERS} customers at the latest cutoff observed whole; "
                "name the cutoff to evaluate it all the same"
            )
            return [PlannedWindow(Window.at(latest, self.horizon), "too_few_customers", note)]
        cutoffs = self._back_from(latest, tenth)
        return [PlannedWindow(Window.at(c, self.horizon)) for c in reversed(cutoffs)]

    def _judge(self, window: Window, company: Observed) -> PlannedWindow:
        if window.horizon_end > company.until:
            note = f"ends {window.horizon_end:%Y-%m-%d}, observed until {company.until:%Y-%m-%d}"
            return PlannedWindow(window, "not_observed_whole", note)
        first = company.first_customer_at
        if first is None or first >= window.cutoff:
            return PlannedWindow(window, "no_customers", "nobody had bought before the cutoff")
        tenth = company.tenth_customer_at
        if self.shared and (tenth is None or tenth >= window.cutoff):
            note = f"fewer than {MIN_CUSTOMERS} customers at a cutoff of the shared calendar"
            return PlannedWindow(window, "too_few_customers", note)
        return PlannedWindow(window)

    def _latest_whole(self, until: pd.Timestamp) -> pd.Timestamp:
        return self.horizon.before(until).normalize().replace(day=1)

    def _back_from(self, latest: pd.Timestamp, after: pd.Timestamp) -> list[pd.Timestamp]:
        """Cutoffs later than `after`, from `latest` back by `every`, at most `last` of them."""
        cutoffs: list[pd.Timestamp] = []
        while self.last is None or len(cutoffs) < self.last:
            cutoff = self.every.before(latest, len(cutoffs))
            if cutoff <= after:
                break
            cutoffs.append(cutoff)
        return cutoffs


def _mark_overlaps(planned: list[PlannedWindow]) -> list[PlannedWindow]:
    """Mark the evaluated windows whose label windows share time with another evaluated one."""
    evaluated = [p.window for p in planned if p.window is not None and not p.refusal]

    def overlaps(window: Window | None) -> bool:
        return window is not None and any(
            other is not window
            and other.cutoff < window.horizon_end
            and window.cutoff < other.horizon_end
            for other in evaluated
        )

    return [
        PlannedWindow(p.window, p.refusal, p.note, not p.refusal and overlaps(p.window))
        for p in planned
    ]
