"""Read timestamps: ISO 8601 or a given format, in a given time zone where none is written."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.number_readings import Reading, either_reading
from scale_eval.datasets.ingest.numeric_timestamps import (
    UNITS,
    UnreadNumbers,
    other_readings,
    read_numbers,
    shown_number,
    unit_of,
    unix_pattern,
)
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.ingest.timestamp_format import check_format, with_zone
from scale_eval.datasets.ingest.zone_abbreviations import meanings, offsets_of_abbreviations
from scale_eval.datasets.ingest.zone_names import zone_of
from scale_eval.datasets.instants import (
    DAY,
    EARLIEST,
    ISO_8601,
    LATEST,
)

_NONE = np.iinfo("int64").min  # NaT

_AMONG_OTHERS = r"(?i)(?P<before>^|[^a-z])(?P<zone>{})(?P<after>[^a-z]|$)"
"""A pattern for some abbreviations of zones, where no letter is beside them."""


_Wall: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Times as written, their offsets from UTC (both in microseconds), and which have no zone."""


@dataclass(frozen=True)
class Instants:
    """Instants are timestamps that were read, in arrays of equal length.

    Attributes
    ----------
    microseconds : ndarray of int64
        Since 1970-01-01 UTC; undefined where one of the next three is true.
    unparsable : ndarray of bool
        There is no such time, or it is not in the format.
    out_of_range : ndarray of bool
        It is outside the years 1678 to 2261.
    ambiguous : ndarray of bool
        It has no zone, and falls in an hour that `timezone` has twice or not at all.
    naive : ndarray of bool
        Written without a zone.
    midnight : ndarray of bool
        Midnight in the zone in which it was written.
    """

    microseconds: np.ndarray
    unparsable: np.ndarray
    out_of_range: np.ndarray
    ambiguous: np.ndarray
    naive: np.ndarray
    midnight: np.ndarray


class TimestampReader:
    """A timestamp reader turns text, or typed timestamps, into instants.

    Parameters
    ----------
    timezone : str
        The zone in which timestamps without a zone were written, as ``Europe/Berlin``.
    timestamp_format : str, optional
        As for `strptime`. Without it, ISO 8601 (see `ISO_8601`). A zone that is written out in it,
        such as the Z of ``%SZ``, is read as ``%Z``. Where a format has ``%z``, only midnight UTC
        counts as midnight.
    timestamp_unit : str, optional
        A key of `UNITS`: the timestamps are numbers.

    Raises
    ------
    IngestError
        There is no such zone or unit, the format is invalid, or both it and a unit are given.
    """

    def __init__(
        self,
        timezone: str = "UTC",
        timestamp_format: str | None = None,
        timestamp_unit: str | None = None,
    ) -> None:
        try:
            zoneinfo.ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            near = difflib.get_close_matches(timezone, zoneinfo.available_timezones(), n=3)
            raise IngestError(
                f"there is no time zone {timezone!r}; give a name of the IANA database, such as "
                f"{' or '.join(near) or 'Europe/Berlin'}"
            ) from None
        self.timezone = timezone
        self.format: str | None = None
        self.unit = timestamp_unit
        if timestamp_unit is not None and timestamp_unit not in UNITS:
            raise IngestError(
                f"timestamp unit {timestamp_unit!r} is none of {', '.join(map(repr, UNITS))}"
            )
        if timestamp_format is not None:
            if timestamp_unit is not None:
                raise IngestError(
                    "timestamp format and timestamp unit exclude each other: timestamps are text, "
                    "or numbers"
                )
            try:
                check_format(timestamp_format)
                self.format = with_zone(timestamp_format, self._abbreviations)
                self._formatted(pa.array(["2017-03-26"], pa.large_string()))
            except ValueError as error:
                raise IngestError(
                    f"timestamp format {timestamp_format!r}: {error}; write it as for strptime, "
                    "such as '%d.%m.%Y %H:%M'"
                ) from None

    def read(self, column: pa.Array) -> Instants:
        """Read the instants of `column`, an array of strings or of timestamps."""
        if pa.types.is_timestamp(column.type):
            return self._instants(*_typed(column))
        return self.read_text(pc.utf8_trim_whitespace(column), self.unit)

    def read_text(self, text: pa.Array, unit: str | None) -> Instants:
        """Read the instants of texts without blanks around them, as numbers if `unit` is one."""
        if unit is not None:
            wall = read_numbers(text, unit, _NONE)
            naive = np.full(len(text), unit == "excel")
            return self._instants(wall, np.zeros_like(wall), naive)
        return self._instants(*(self._formatted(text) if self.format else _iso_8601(text)))

    def _instants(self, wall: np.ndarray, offset: np.ndarray, naive: np.ndarray) -> Instants:
        readable = _in_range(wall)
        instants = wall - offset
        if not readable.all():
            instants[~readable] = wall[~readable]
        local = readable & naive
        instants[local] = (
            pd.DatetimeIndex(wall[local].view("M8[us]"))
            .tz_localize(self.timezone, ambiguous="NaT", nonexistent="NaT")
            .asi8
        )
        ambiguous = local & (instants == _NONE)
        unparsable = wall == _NONE
        return Instants(
            microseconds=instants,
            unparsable=unparsable,
            out_of_range=~(readable & _in_range(instants) | unparsable | ambiguous),
            ambiguous=ambiguous,
            naive=naive,
            midnight=wall % DAY == 0,
        )

    def ambiguous_zones(self, text: pa.Array) -> pa.Array:
        """Return the abbreviation of each text that means several zones, and null for others."""
        if self.format is None or "%Z" not in self.format:
            return pa.nulls(len(text), pa.large_string())
        names = [name for name, ahead in self._abbreviations.items() if ahead is None]
        pattern = _AMONG_OTHERS.format("|".join(names))
        return pc.utf8_upper(pc.struct_field(pc.extract_regex(text, pattern), "zone"))

    @property
    def _abbreviations(self) -> dict[str, int | None]:
        return offsets_of_abbreviations(self.timezone)

    def _formatted(self, text: pa.Array) -> _Wall:
        assert self.format is not None
        offset = np.zeros(len(text), dtype="int64")
        zoned = "%z" in self.format or "%Z" in self.format
        if "%Z" in self.format:  # pandas takes an abbreviation for the zone of that name, or none
            ahead = {name: each for name, each in self._abbreviations.items() if each is not None}
            pattern = _AMONG_OTHERS.format("|".join(ahead))
            zones = pc.struct_field(pc.extract_regex(text, pattern), "zone")
            encoded = pc.fill_null(pc.utf8_upper(zones), "UTC").dictionary_encode()
            offsets = [ahead[name] for name in encoded.dictionary.to_pylist()]
            offset = np.array(offsets, dtype="int64")[encoded.indices.to_numpy()]
            unnamed = re.sub(r"\(\?P<\w+>", "(", pattern).replace("(?:", "(")
            text = pc.replace_substring_regex(text, unnamed, r"\1+0000\3", max_replacements=1)
        elif self.format.endswith("%z"):  # pandas takes +0100, +01:00 and Z only
            text = pc.replace_substring_regex(text, r"(?i)(^|[^a-z])(UTC|GMT|UT)$", r"\1+0000")
            text = pc.replace_substring_regex(text, r"([+-]\d\d)$", r"\100")
        texts = text.to_numpy(zero_copy_only=False)
        return self._strptime(texts, zoned), offset, np.full(len(text), not zoned)

    def _strptime(self, texts: np.ndarray, zoned: bool) -> np.ndarray:
        """Return microseconds since 1970, of the clock that is written or, if `zoned`, of UTC."""

        form = str(self.format).replace("%Z", "%z")

        def parsed(texts: np.ndarray) -> pd.DatetimeIndex:
            return pd.to_datetime(texts, format=form, errors="coerce", utc=zoned)

        times = parsed(texts)
        instants = times.as_unit("us").asi8
        if times.unit == "ns" and len(texts) > 1:  # for one with nanoseconds, which hold 584 years
            missing = np.flatnonzero(instants == _NONE)
            instants[missing] = [_only(parsed(texts[[i]])) for i in missing]
        return instants


@dataclass
class TimestampColumn:
    """A timestamp column reads the timestamps of one column, batch by batch.

    Whether text is ISO 8601 or unix time is decided by its first value that is one of both, for the
    whole column: a number among dates, or a date among numbers, is refused.

    Attributes
    ----------
    reader : TimestampReader
    unit : str or None
        The unit of unix time, if that is what the column holds.
    unread_numbers : UnreadNumbers
        Numbers that were refused.
    readings : list of Reading
        What else the numbers may be that are read as unix time or days.
    ambiguous_zones : Counter of str
        How many values have each abbreviation that means several zones.
    """

    reader: TimestampReader
    unit: str | None = None
    unread_numbers: UnreadNumbers = field(default_factory=UnreadNumbers)
    readings: list[Reading] = field(default_factory=list)
    ambiguous_zones: Counter[str] = field(default_factory=Counter)
    _is_decided: bool = False
    _example: str = ""
    _first_ambiguous: tuple[int, str] = (0, "")

    def read(self, column: pa.Array, lines: np.ndarray) -> Instants:
        """Read the instants of `column`; `lines` say where each is in the file."""
        reader = self.reader
        if pa.types.is_timestamp(column.type):
            return reader.read(column)
        text = pc.utf8_trim_whitespace(column)
        if reader.unit is not None:
            times = reader.read_text(text, reader.unit)
            if not self._is_decided:
                self.readings = other_readings(text, reader.unit)
                self._is_decided = True
        elif self.unit is None:
            times = reader.read_text(text, None)
            if not self._is_decided and reader.format is None:
                self._decide(text, times)
        if self.unit is not None:
            # By the number of digits: no second is taken for a millisecond.
            matches = pc.match_substring_regex(text, unix_pattern(self.unit))
            times = reader.read_text(pc.if_else(matches, text, None), self.unit)
        if times.unparsable.any():
            self._note_unparsable(text, times, lines)
        return times

    def _decide(self, text: pa.Array, times: Instants) -> None:
        dates = np.flatnonzero(~times.unparsable)
        numbers = pc.match_substring_regex(text, unix_pattern()).fill_null(False)
        for i in np.flatnonzero(numbers.to_numpy(zero_copy_only=False)):
            if len(dates) and dates[0] < i:
                break
            self._example = text[i].as_py()
            self.unit = unit_of(self._example)
            if self.unit is not None:
                self.readings = other_readings(text.filter(numbers), self.unit)
                break
        self._is_decided = self.unit is not None or len(dates) > 0

    def _note_unparsable(self, text: pa.Array, times: Instants, lines: np.ndarray) -> None:
        positions = np.flatnonzero(times.unparsable)
        unparsable = text.take(pa.array(positions))
        self.unread_numbers.add(unparsable)
        zones = self.reader.ambiguous_zones(unparsable)
        if zones.null_count < len(zones):
            if not self.ambiguous_zones:
                i = int(np.flatnonzero(zones.is_valid().to_numpy(zero_copy_only=False))[0])
                self._first_ambiguous = int(lines[positions[i]]), unparsable[i].as_py()
            for count in pc.value_counts(zones.drop_null()).to_pylist():
                self.ambiguous_zones[count["values"]] += count["counts"]

    def check(self, label: object, name: str, row: str, *, in_python: bool) -> None:
        """Raise `IngestError` where an abbreviation means several zones, or a number two times.

        Its message begins with `label`, names the column, and counts in `row`, lines or rows.
        """
        if self.unit is not None and self.readings:
            number = self.readings[0].number
            time = shown_number(number, self.unit)
            readings = [Reading("timestamp_unit", self.unit, number, time), *self.readings]
            raise IngestError(
                f"{label}: column {name!r} can be read in {len(readings)} ways: {number} may be "
                f"{either_reading(readings, in_python=in_python)}; say which"
            )
        if not self.ambiguous_zones:
            return
        line, text = self._first_ambiguous
        zones = "; ".join(
            f"{zone} ({count:,} {'value' if count == 1 else 'values'}) may be {meanings(zone)}"
            for zone, count in self.ambiguous_zones.most_common()
        )
        clock = option("timezone", "Europe/London", in_python=in_python)
        raise IngestError(
            f"{label}: column {name!r}: {zones}; the first is {row} {line}: {text!r}. Say whose "
            f"clock it is, such as {clock}: abbreviations then mean what they mean there"
        )

    def remarks(self, label: object, name: str, *, in_python: bool) -> list[str]:
        """Return what was found out about the column, in sentences."""
        unit = self.unit or self.reader.unit
        number = self.readings[0].number if self.readings else self._example
        if unit is None or not number:
            return []
        may_be = either_reading(self.readings, in_python=in_python)
        return [
            f"{label}: column {name!r} was read as {UNITS[unit]}: {number} is "
            f"{shown_number(number, unit)}.{may_be and f' It may be {may_be}.'}"
        ]


def _only(time: pd.DatetimeIndex) -> int:
    return int(time.as_unit("us").asi8[0])


def _iso_8601(text: pa.Array) -> _Wall:
    parts = pc.extract_regex(text, ISO_8601)
    date, time, zone = (pc.struct_field(parts, name) for name in ("date", "time", "zone"))
    wall = pc.binary_join_element_wise(date, time, pa.scalar("", text.type))
    try:
        times = wall.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        # Dates without dashes, nanoseconds (cut off, not rounded), or a date that does not exist:
        # pandas reads the first, and marks the third.
        wall = pc.replace_substring_regex(wall, r"([.]\d{6})\d+$", r"\1")
        index = pd.to_datetime(
            wall.to_numpy(zero_copy_only=False), format="ISO8601", errors="coerce"
        )
        times = pa.array(index.as_unit("us"))
    zones = pc.fill_null(zone, "").dictionary_encode()
    offsets = np.array([_offset(name) for name in zones.dictionary.to_pylist()], dtype="int64")
    naive = pc.equal(zones, "").to_numpy(zero_copy_only=False)
    return _integers(times), offsets[zones.indices.to_numpy()], naive


def _offset(zone: str) -> int:
    """Return the microseconds that `zone`, as in ``ISO_8601``, is ahead of UTC."""
    digits = zone.strip().replace(":", "")
    if digits in ("", "Z", "UTC"):
        return 0
    minutes = int(digits[1:3]) * 60 + int(digits[3:] or 0)
    return minutes * 60_000_000 * (-1 if digits[0] == "-" else 1)


def _typed(column: pa.Array) -> _Wall:
    unit, zone = column.type.unit, column.type.tz
    times = _integers(column)
    if unit == "ns":
        times = times // 1000
    else:
        factor = {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
        times = np.clip(times, EARLIEST // factor - 1, LATEST // factor) * factor
    if zone is None:
        return times, np.zeros_like(times), np.ones(len(times), dtype=bool)
    readable = _in_range(times)
    instants = pd.DatetimeIndex(times[readable].view("M8[us]"), tz="UTC")
    wall = times.copy()
    wall[readable] = instants.tz_convert(zone_of(zone)).tz_localize(None).asi8
    return wall, wall - times, np.zeros(len(times), dtype=bool)


def _integers(times: pa.Array) -> np.ndarray:
    return pc.fill_null(times.cast(pa.int64()), _NONE).to_numpy()


def _in_range(microseconds: np.ndarray) -> np.ndarray:
    return (microseconds >= EARLIEST) & (microseconds < LATEST)
