"""Abbreviations of time zones, as ``CET`` and ``EDT``: what each means, and which mean several."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from functools import lru_cache

_HOURS_AHEAD = {
    "UTC": 0, "UT": 0, "Z": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1,
    "MESZ": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "MST": -7,
    "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "NST": -3.5, "NDT": -2.5,
    "BRT": -3, "WAT": 1, "CAT": 2, "SAST": 2, "EAT": 3, "PKT": 5, "WIB": 7, "WITA": 8, "HKT": 8,
    "SGT": 8, "AWST": 8, "JST": 9, "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11,
    "NZST": 12, "NZDT": 13,
}  # fmt: skip

MEANINGS = {
    # With what belongs together, so that no half of a year is read alone.
    "CST": ("America/Chicago", "Asia/Shanghai", "America/Havana"),
    "CDT": ("America/Chicago", "America/Havana"),
    "IST": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "IDT": ("Asia/Jerusalem",),
    "BST": ("Europe/London", "Asia/Dhaka"),
    "AST": ("America/Halifax", "Asia/Riyadh"),
    "ADT": ("America/Halifax", "Asia/Baghdad"),
    "SST": ("Pacific/Pago_Pago", "Asia/Singapore"),
    "GST": ("Asia/Dubai", "Atlantic/South_Georgia"),
    "AMT": ("America/Manaus", "Asia/Yerevan"),
    "ECT": ("America/Guayaquil", "America/Puerto_Rico"),
    "WST": ("Australia/Perth", "Pacific/Apia"),
    "ET": ("America/New_York",),
    "CT": ("America/Chicago",),
    "MT": ("America/Denver",),
    "PT": ("America/Los_Angeles",),
}
"""Abbreviations that are not read by themselves, and zones that are meant by each."""

_HOUR = 3_600_000_000  # microseconds


@lru_cache
def offsets_of_abbreviations(timezone: str) -> dict[str, int | None]:
    """Return how many microseconds each abbreviation is ahead of UTC; None for one in `MEANINGS`.

    The names that the clocks of `timezone` go by mean what they mean there.
    """
    offsets: dict[str, int | None] = dict.fromkeys(MEANINGS)
    offsets |= {name: round(hours * _HOUR) for name, hours in _HOURS_AHEAD.items()}
    here = defaultdict(set)
    zone = zoneinfo.ZoneInfo(timezone)
    for year in range(1990, 2038):
        for month in range(1, 13):
            time = dt.datetime(year, month, 1, tzinfo=zone)
            ahead = time.utcoffset()
            if (name := time.tzname()) and name.isalpha() and ahead is not None:
                here[name.upper()].add(ahead // dt.timedelta(microseconds=1))
    return offsets | {name: each.pop() for name, each in here.items() if len(each) == 1}


def meanings(name: str) -> str:
    """Return the zones that an abbreviation may mean, for a message."""
    zones = MEANINGS[name]
    return " or ".join([", ".join(zones[:-1]), zones[-1]]) if len(zones) > 1 else zones[0]
