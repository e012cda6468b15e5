"""What a number in a column of timestamps may be: a date without marks, such as 202301151030."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import pyarrow as pa

from scale_eval.datasets.ingest.records import option

_FORMATS = {
    6: ("%y%m%d", "%d%m%y", "%m%d%y"),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    10: ("%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S"),
    14: ("%Y%m%d%H%M%S",),
    16: ("%Y%m%d%H%M%S%f",),
    17: ("%Y%m%d%H%M%S%f",),
}
"""Formats of dates without marks, by the number of their digits."""

_PATTERNS = {
    "%Y": "(?:19|20)[0-9]{2}",
    "%y": "[0-9]{2}",
    "%m": "(?:0[1-9]|1[0-2])",
    "%d": "(?:0[1-9]|[12][0-9]|3[01])",
    "%H": "(?:[01][0-9]|2[0-3])",
    "%M": "[0-5][0-9]",
    "%S": "[0-5][0-9]",
    "%f": "[0-9]+",
}
_SAMPLE = 100  # numbers that are looked at
_NEARLY_ALL = 0.9  # the share of them that are dates; of unix time, 1 % are so by chance


@dataclass(frozen=True)
class Reading:
    """A reading of a number is the time that it means with an option of ingest.

    Attributes
    ----------
    option, value : str
        The name and the value of the option.
    number, time : str
        One of the numbers, and the time that it means.
    """

    option: str
    value: str
    number: str
    time: str

    def spelled(self, *, in_python: bool) -> str:
        """Return the time and the option."""
        return f"{self.time} ({option(self.option, self.value, in_python=in_python)})"


def dates_as_numbers(numbers: pa.Array) -> list[Reading]:
    """Return the formats by which nearly all of some numbers, given as texts, are dates."""
    step = -(-len(numbers) // _SAMPLE)
    sample = [numbers[i].as_py() for i in range(0, len(numbers), step)]
    readings = []
    for form in _FORMATS.get(len(sample[0]), ()):
        fitting = list(filter(_pattern(form).fullmatch, sample))
        if len(fitting) >= _NEARLY_ALL * len(sample):
            readings += _reading(fitting, form)
    return readings


@lru_cache
def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.sub("%.", lambda directive: _PATTERNS[directive[0]], form))


def _reading(numbers: Sequence[str], form: str) -> list[Reading]:
    """Return the reading of the first of some numbers that is a date; none where all are 30-02."""
    for number in numbers:
        with contextlib.suppress(ValueError):
            time = datetime.strptime(number, form)
            return [Reading("timestamp_format", form, number, f"{time:%Y-%m-%d %H:%M:%S}")]
    return []


def either_reading(readings: Sequence[Reading], *, in_python: bool) -> str:
    """Return the readings of a number, each with its option."""
    return " or ".join(each.spelled(in_python=in_python) for each in readings)
