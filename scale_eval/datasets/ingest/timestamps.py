"""Read timestamps: ISO 8601 or a given format, in a given time zone where none is written."""

from __future__ import annotations

import difflib
import zoneinfo
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.zone_names import zone_of
from scale_eval.datasets.instants import DAY, EARLIEST, ISO_8601, LATEST

_NONE = np.iinfo("int64").min  # NaT


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
        As for `strptime`. Without it, ISO 8601 (see `ISO_8601`). Where a format has a zone
        (``%z``, ``%Z``), only midnight UTC counts as midnight.

    Raises
    ------
    IngestError
        There is no such zone, or the format is invalid.
    """

    def __init__(self, timezone: str = "UTC", timestamp_format: str | None = None) -> None:
        try:
            zoneinfo.ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            near = difflib.get_close_matches(timezone, zoneinfo.available_timezones(), n=3)
            raise IngestError(
                f"there is no time zone {timezone!r}; give a name of the IANA database, such as "
                f"{' or '.join(near) or 'Europe/Berlin'}"
            ) from None
        self.timezone = timezone
        self.format = timestamp_format
        if timestamp_format is not None:
            try:
                if "%" not in timestamp_format:
                    raise ValueError("it has no directive")
                self._formatted(pa.array(["2017-03-26"]))
            except ValueError as error:
                raise IngestError(
                    f"timestamp format {timestamp_format!r}: {error}; write it as for strptime, "
                    "such as '%d.%m.%Y %H:%M'"
                ) from None

    def read(self, column: pa.Array) -> Instants:
        """Read the instants of `column`, an array of strings or of timestamps."""
        if pa.types.is_timestamp(column.type):
            wall, offset, naive = _typed(column)
        else:
            text = pc.utf8_trim_whitespace(column)
            wall, offset, naive = self._formatted(text) if self.format else _iso_8601(text)
        readable = _in_range(wall)
        instants = np.where(readable, wall - offset, wall)
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
            out_of_range=~(_in_range(wall) & _in_range(instants)) & ~unparsable & ~ambiguous,
            ambiguous=ambiguous,
            naive=naive,
            midnight=wall % DAY == 0,
        )

    def _formatted(self, text: pa.Array) -> _Wall:
        assert self.format is not None
        zoned = "%z" in self.format or "%Z" in self.format
        texts = text.to_numpy(zero_copy_only=False)
        times = self._strptime(texts, zoned)
        none = np.zeros(len(text), dtype="int64")
        return times, none, np.full(len(text), not zoned)

    def _strptime(self, texts: np.ndarray, zoned: bool) -> np.ndarray:
        """Return microseconds since 1970, of the clock that is written or, if `zoned`, of UTC."""

        def parsed(texts: np.ndarray) -> pd.DatetimeIndex:
            return pd.to_datetime(texts, format=self.format, errors="coerce", utc=zoned)

        times = parsed(texts)
        instants = times.as_unit("us").asi8
        if times.unit == "ns" and len(texts) > 1:  # for one with nanoseconds, which hold 584 years
            missing = np.flatnonzero(instants == _NONE)
            instants[missing] = [_only(parsed(texts[[i]])) for i in missing]
        return instants


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
