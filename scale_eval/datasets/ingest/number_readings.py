"""What a number in a column of timestamps may be: a date without marks, such as 202301151030."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.ingest.records import option

_FORMATS = {
    6: ("%y%m%d", "%d%m%y", "%m%d%y"),
    8: ("%d%m%Y", "%m%d%Y"),  # 20230115 is ISO 8601
    10: ("%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S"),
    14: ("%Y%m%d%H%M%S",),
    16: ("%Y%m%d%H%M%S%f",),
    17: ("%Y%m%d%H%M%S%f",),
    20: ("%Y%m%d%H%M%S%f",),
}
"""Formats of dates without marks, by the number of their digits."""

_YEARS = 1900, 2099
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
        value = repr(self.value) if in_python else self.value
        return f"{self.time} ({option(self.option, value, in_python=in_python)})"


def dates_as_numbers(numbers: pa.Array) -> list[Reading]:
    """Return the formats by which nearly all of some numbers, given as texts, are dates."""
    places = np.unique(np.linspace(0, len(numbers) - 1, _SAMPLE).astype(int))
    sample = numbers.take(pa.array(places)).to_numpy(zero_copy_only=False)
    readings = []
    for form in _FORMATS.get(len(sample[0]), ()):
        times = pd.to_datetime(sample, format=form, errors="coerce")
        fits = (times.year >= _YEARS[0]) & (times.year <= _YEARS[1])
        if fits.mean() >= _NEARLY_ALL:
            i = int(np.argmax(fits))
            time = f"{times[i]:%Y-%m-%d %H:%M:%S}"
            readings.append(Reading("timestamp_format", form, sample[i], time))
    return readings


def either_reading(readings: Sequence[Reading], *, in_python: bool) -> str:
    """Return the readings of a number, each with its option."""
    return " or ".join(each.spelled(in_python=in_python) for each in readings)
