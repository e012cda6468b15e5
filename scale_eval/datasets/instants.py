"""Compute with instants and lengths of calendar time, always in UTC.

pandas is imported where it is needed, because the help of commands needs `Duration` alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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
        """Add this length `times` over; where a month is too short, return its last day."""
        import pandas as pd

        return instant + pd.DateOffset(months=self.months * times, days=self.days * times)

    def before(self, instant: pd.Timestamp, times: int = 1) -> pd.Timestamp:
        """Subtract this length `times` over."""
        return self.after(instant, -times)


SIX_MONTHS = Duration(months=6)


def as_utc(instant: str | pd.Timestamp) -> pd.Timestamp:
    """Return a timestamp in UTC with microseconds; one without a zone is taken as UTC.

    Raises `ValueError` where the text is not a date or time.
    """
    import pandas as pd

    try:
        stamp = pd.Timestamp(instant)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{instant!r} is not a date or time; write 2017-12-01") from error
    if stamp is pd.NaT:
        raise ValueError(f"{instant!r} is not a date or time; write 2017-12-01")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.as_unit("us")


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
