"""Compute with instants and lengths of calendar time, always in UTC.

pandas is imported where it is needed, because the help of commands needs `Duration` alone.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Instants = TypeVar("Instants", "pd.Timestamp", "pd.DatetimeIndex")

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

    def after(self, instants: Instants, times: int = 1) -> Instants:
        """Add this length `times` over; where a month is too short, return its last day."""
        import pandas as pd

        return instants + pd.DateOffset(months=self.months * times, days=self.days * times)

    def before(self, instant: pd.Timestamp, times: int = 1) -> pd.Timestamp:
        """Subtract this length `times` over."""
        return self.after(instant, -times)


SIX_MONTHS = Duration(months=6)


ISO_8601 = (
    r"^(?P<date>\d{4}(?:-\d\d-\d\d|\d{4}))"
    r"(?:(?P<time>[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)"
    r"(?P<zone> ?(?:Z|UTC|[+-][01]\d(?::?[0-5]\d)?))?)?$"
)
"""``2017-03-26`` or ``20170326``, then ``T`` or a blank and ``02:30``, ``02:30:15`` or
``02:30:15.123456``, then ``Z``, ``UTC``, ``+01``, ``+0100`` or ``+01:00``."""

EARLIEST, LATEST = -9_214_560_000_000_000, 9_214_646_400_000_000
"""Instants in [EARLIEST, LATEST) are accepted, the years 1678 to 2261: pandas can hold these in
any unit."""


def as_utc(instant: str | date | np.datetime64) -> pd.Timestamp:
    """Return a timestamp in UTC with microseconds; one without a zone is taken as UTC.

    Text is read as ingest reads it, by `ISO_8601`: nothing is guessed.

    Raises `ValueError` where the text is anything else, where it is no text and no timestamp, or
    where the instant is not in the years 1678 to 2261.
    """
    import pandas as pd

    if isinstance(instant, str):
        stamp = _parsed(instant)
    elif isinstance(instant, date | np.datetime64):
        stamp = _timestamp(instant, instant)
    else:
        raise ValueError(f"{instant!r} is not a date or time; write '2017-12-01'")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    stamp = stamp.as_unit("us")
    if not EARLIEST <= microseconds(stamp) < LATEST:
        raise _out_of_range(instant)
    return pd.Timestamp(stamp)


def is_day(text: str) -> bool:
    """Return whether a text that `as_utc` reads is a day, without a time."""
    match = _iso_8601(text)
    return match is not None and match["time"] is None


def _iso_8601(text: str) -> re.Match[str] | None:
    return re.fullmatch(ISO_8601[1:-1], text.strip(), re.ASCII)


def _parsed(text: str) -> pd.Timestamp:
    match = _iso_8601(text)
    if match is None:
        raise ValueError(f"{text!r} is not a date or time in ISO 8601; write {_readings(text)}")
    day, time, zone = match["date"], match["time"] or "", (match["zone"] or "").strip()
    day = day if "-" in day else f"{day[:4]}-{day[4:6]}-{day[6:]}"
    clock, point, fraction = time.partition(".")
    return _timestamp(text, day + clock + point + fraction[:6] + zone)


def _timestamp(given: object, instant: str | date | np.datetime64) -> pd.Timestamp:
    import pandas as pd

    try:
        stamp = pd.Timestamp(instant)
        if stamp is not pd.NaT:
            return stamp.floor("us") if stamp.unit == "ns" else stamp.as_unit("us")
    except pd.errors.OutOfBoundsDatetime as error:
        raise _out_of_range(given) from error
    except ValueError as error:
        raise ValueError(
            f"{given!r} is not a date or time ({str(error).partition(':')[0]}); write 2017-12-01"
        ) from error
    raise ValueError(f"{given!r} is not a date or time; write 2017-12-01")


def _out_of_range(given: object) -> ValueError:
    shown = repr(given) if isinstance(given, str) else str(given)
    return ValueError(f"{shown} is out of range: the years 1678 to 2261 are read")


def _readings(text: str) -> str:
    """Return what may be meant by a text that is not ISO 8601, or an example."""
    match = re.match(r"\s*(\d{1,4})\s*[./-]\s*(\d{1,2})\s*[./-]\s*(\d{1,4})(?!\d)", text)
    if match is None:
        return "2017-12-01, or 2017-12-01T10:30+01:00"
    a, b, c = match.groups()
    readings = []
    for year, month, day in ((a, b, c), (c, b, a), (c, a, b)):
        if len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
            continue
        with contextlib.suppress(ValueError):
            reading = date(int(year) + 2000 * (len(year) == 2), int(month), int(day)).isoformat()
            readings += [reading] if reading not in readings else []
    if len(readings) > 1:
        return f"{', '.join(readings[:-1])} or {readings[-1]}, whichever is meant"
    return readings[0] if readings else "2017-12-01"


def as_utc_column(times: pd.Series) -> pd.Series:
    """Return a column of timestamps, or of what `as_utc` takes, in UTC with microseconds.

    Raises `ValueError` as `as_utc` does.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        in_utc = pd.to_datetime(times, utc=True)
        in_utc = (in_utc.dt.floor("us") if in_utc.dt.unit == "ns" else in_utc).dt.as_unit("us")
    else:
        codes, texts = pd.factorize(times, use_na_sentinel=False)
        each = pd.DatetimeIndex([as_utc(text) for text in texts], dtype="datetime64[us, UTC]")
        in_utc = pd.Series(each[codes], index=times.index, name=times.name)
    outside = ~in_utc.between(from_microseconds(EARLIEST), from_microseconds(LATEST - 1))
    if outside.any():
        raise _out_of_range(in_utc[outside].iloc[0])
    return in_utc


def microseconds(instant: pd.Timestamp) -> int:
    """Return the microseconds since 1970-01-01 UTC."""
    return int(instant.as_unit("us").asm8.astype("int64"))


def from_microseconds(instant: int) -> pd.Timestamp:
    """Return the UTC timestamp at `instant` microseconds since 1970."""
    import pandas as pd

    return pd.Timestamp(instant, unit="us", tz="UTC").as_unit("us")


NEVER = 2**63 - 1
"""The instant, in microseconds, that stands for an event that never happened."""


DAY = 86_400_000_000
"""Microseconds in a day."""
