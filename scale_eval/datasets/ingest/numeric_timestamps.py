"""Timestamps that are numbers: unix time, and the days of spreadsheets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.number_readings import Reading, dates_as_numbers, either_reading
from scale_eval.datasets.ingest.records import option
from scale_eval.datasets.instants import DAY, EARLIEST, LATEST, from_microseconds

UNITS = {
    "s": "seconds since 1970-01-01 UTC",
    "ms": "milliseconds since 1970-01-01 UTC",
    "us": "microseconds since 1970-01-01 UTC",
    "ns": "nanoseconds since 1970-01-01 UTC",
    "excel": "days of a spreadsheet, which count from 1899-12-30",
}
"""What each `timestamp_unit` means."""

NUMBER = r"^-?\d{1,19}(?:[.]\d*)?$"
_ROUNDED = r"^-?\d+(?:[.]\d*)?[eE][+-]?\d+$"

_DIGITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_FIRST_SECOND, _LAST_SECOND = 1_000_000_000, 2_500_000_000  # 2001 to 2049, each of ten digits
_FIRST_DAY, _LAST_DAY = 61, 200_000  # before March 1900 spreadsheets have a day too many
_LIKELY_DAYS = 25_000, 65_000  # 1968 to 2077
_EXCEL_EPOCH = -25_569 * DAY


def unit_of(text: str) -> str | None:
    """Return the unit of unix time that a number has by its digits, if it is one of our time."""
    unit = _DIGITS.get(len(text)) if text.isascii() and text.isdigit() else None
    if unit and _FIRST_SECOND <= int(text) // _PER_SECOND[unit] < _LAST_SECOND:
        return unit
    return None


def unix_pattern(unit: str | None = None) -> str:
    """Return a pattern for unix time, or for that of one unit, by the number of its digits."""
    lengths = [n for n, each in _DIGITS.items() if unit in (None, each)]
    return "|".join(rf"^\d{{{n}}}$" for n in lengths)


def read_numbers(text: pa.Array, unit: str, none: int) -> np.ndarray:
    """Return microseconds since 1970-01-01, of UTC or (``excel``) of the clock; shape (n,).

    What is no number is `none`. Days are rounded to seconds, as spreadsheets show them.
    """
    is_number = pc.match_substring_regex(text, NUMBER).fill_null(False)
    numbers = pc.if_else(is_number, text, None)
    if unit == "excel":
        days = numbers.cast(pa.float64()).fill_null(0.0).to_numpy()
        seconds = np.rint(np.clip(days, 0, _LAST_DAY) * 86_400)
        times = _EXCEL_EPOCH + (seconds * 1_000_000).astype("int64")
        return np.where((days >= _FIRST_DAY) & (days < _LAST_DAY), times, none)
    parts = pc.extract_regex(numbers, r"^-?(?P<whole>\d+)(?:[.](?P<fraction>\d*))?$")
    whole = pc.struct_field(parts, "whole").cast(pa.uint64()).fill_null(0).to_numpy()
    factor = max(1, 1_000_000 // _PER_SECOND[unit])
    if unit == "ns":
        whole = whole // 1_000
    times = np.minimum(whole, 2**62 // factor).astype("int64") * factor
    if factor > 1:
        fraction = pc.fill_null(pc.struct_field(parts, "fraction"), "")
        padded = pc.utf8_rpad(fraction, 6, "0")
        below = pc.utf8_slice_codeunits(padded, 0, len(str(factor)) - 1)
        times = times + below.cast(pa.int64()).to_numpy()
    negative = pc.starts_with(numbers, "-").fill_null(False).to_numpy(zero_copy_only=False)
    times = np.where(negative, -times, times)
    return np.where(is_number.to_numpy(zero_copy_only=False), times, none)


def shown_number(text: str, unit: str) -> str:
    """Return the time that a number means in a unit, without fractions of a second."""
    time = int(read_numbers(pa.array([text], pa.large_string()), unit, LATEST)[0])
    if not EARLIEST <= time < LATEST:
        return "out of range"
    return f"{from_microseconds(time):%Y-%m-%d %H:%M:%S}"


def other_readings(text: pa.Array, unit: str | None = None) -> list[Reading]:
    """Return what the numbers among some texts may be beside `unit`: dates, or unix time."""
    numbers = text.filter(pc.match_substring_regex(text, NUMBER).fill_null(False))
    if not len(numbers):
        return []
    first = numbers[0].as_py()
    by_digits = unit_of(first)
    if by_digits is None or by_digits == unit:
        return dates_as_numbers(numbers)
    time = shown_number(first, by_digits)
    return [*dates_as_numbers(numbers), Reading("timestamp_unit", by_digits, first, time)]


@dataclass
class UnreadNumbers:
    """Numbers in a column of timestamps whose unit nobody has said.

    Attributes
    ----------
    count : int
    low, high : float
        The least and the largest of them.
    example : str
        The first of them.
    readings : list of Reading
        What they are if they are dates without marks, or unix time.
    n_rounded : int
        How many of them have lost their last digits, such as ``1.7E+09``.
    rounded : str
        The first of those.
    """

    count: int = 0
    low: float = np.inf
    high: float = -np.inf
    example: str = ""
    readings: list[Reading] = field(default_factory=list)
    n_rounded: int = 0
    rounded: str = ""

    def add(self, text: pa.Array) -> None:
        """Add those of some texts that are numbers."""
        found = text.filter(pc.match_substring_regex(text, NUMBER).fill_null(False))
        if len(found):
            bounds = pc.min_max(found.cast(pa.float64())).as_py()
            self.low, self.high = min(self.low, bounds["min"]), max(self.high, bounds["max"])
            if not self.example:
                self.example, self.readings = found[0].as_py(), other_readings(found)
        rounded = text.filter(pc.match_substring_regex(text, _ROUNDED).fill_null(False))
        if len(rounded):
            self.rounded = self.rounded or rounded[0].as_py()
        self.n_rounded += len(rounded)
        self.count += len(found) + len(rounded)

    def explanation(self, *, in_python: bool) -> str:
        """Say what the numbers may be, and what to do; empty where there are none."""
        may_be = ""
        if self.count > self.n_rounded and self.n_rounded * 2 <= self.count:
            may_be = self._may_be(in_python=in_python)
        if not self.n_rounded:
            return may_be
        return (
            f"{may_be}{may_be and '. '}{self.rounded} is a number without its last digits, as a "
            "spreadsheet shows it; write the column with all of them"
        )

    def _may_be(self, *, in_python: bool) -> str:
        """Say what the numbers with all of their digits may be, and what to do."""

        def spelled(unit: str) -> str:
            return option("timestamp_unit", unit, in_python=in_python)

        between = f"numbers from {self.low:.15g} to {self.high:.15g}"
        if self.readings:
            return (
                f"the timestamps are {between}: {self.readings[0].number} may be "
                f"{either_reading(self.readings, in_python=in_python)}; say so"
            )
        if _LIKELY_DAYS[0] <= self.low and self.high < _LIKELY_DAYS[1]:
            return (
                f"the timestamps are {between}: perhaps the days of a spreadsheet, in which "
                f"{self.example} is {shown_number(self.example, 'excel')}; if so, say "
                f"{spelled('excel')}"
            )
        if self.high < _LIKELY_DAYS[0]:
            return (
                f"the timestamps are {between}: numbers of days, weeks or hours do not say on "
                "which day they begin; add them to that day, and write dates such as 2017-12-31"
            )
        return (
            f"the timestamps are {between}, such as {self.example}; if they are unix time or days "
            f"of a spreadsheet, say their unit: {spelled('s')}, ms, us, ns or excel"
        )
