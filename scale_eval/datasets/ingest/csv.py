"""Read records of delimited text: plain, gzip or zip; comma, semicolon, tab or another separator.

A record knows the physical line on which it starts. A quote that is not closed costs its own line
and no other: the lines after it are read again, as records of their own.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.encoding import (
    NOT_DECODED,
    check_not_utf_8,
    explain_not_utf_8,
)
from scale_eval.datasets.ingest.header import (
    HEADER_LINES,
    Header,
    fields_of,
    find_header,
    why_no_row_divides,
)
from scale_eval.datasets.ingest.lines import LINE_LIMIT, is_cut, line_batches
from scale_eval.datasets.ingest.records import (
    TEXT_LENGTH,
    IngestError,
    InputFormat,
    RecordBatch,
    Refusal,
    plain_name,
)
from scale_eval.datasets.ingest.text_options import TextOptions
from scale_eval.datasets.ingest.unpack import is_packed, open_text

if TYPE_CHECKING:
    from _csv import Reader

LINES_PER_BATCH = 100_000

_NOT_DECODED, _WRONG_NUMBER = "not_in_encoding", "wrong_number_of_fields"


@dataclass(frozen=True)
class _Records:
    """The records of some lines: their columns, and the first line of each and the one after it."""

    columns: dict[str, pa.Array]
    starts: np.ndarray
    stops: np.ndarray
    refused: list[tuple[int, str]]  # line and reason
    n_lines: int  # lines that were read; the rest may be the beginning of a record


def read_csv(path: Path, columns: Mapping[str, str], options: TextOptions) -> Iterator[RecordBatch]:
    """Read the records of a delimited text in batches; `columns` are names by role.

    A record is refused with reason `wrong_number_of_fields`, `unclosed_quote`, `malformed_field`
    (text after a closing quote), `nul_byte`, `line_too_long`, `comment_line` or `repeated_header`,
    and where `options` name its encoding, `not_in_encoding`. An empty line is no record. Fields
    beyond those of the header do not count where they are empty.

    Raises
    ------
    IngestError
        The file is empty, no text, in an encoding that is not known, a damaged archive, a zip of
        several files, lacks a column, or none of its rows is divided as its header is.
    OSError
        It cannot be read.
    """
    with open_text(path, options) as (stream, codec):
        batches = line_batches(stream, LINES_PER_BATCH)
        sample: list[str] = []
        for batch in batches:
            sample += batch
            if len(sample) >= HEADER_LINES + (options.skip_lines or 0):
                break
        checks = _Checks(path, options, codec)
        header = checks.header(sample, columns)
        n_before, sample = header.n_lines, sample[header.n_lines :]
        chunks = (sample[i : i + LINES_PER_BATCH] for i in range(0, len(sample), LINES_PER_BATCH))
        rest: list[str] = []
        for fresh in chain(chunks, batches, [[]]):
            lines = rest + fresh
            if not lines:
                continue
            text = "".join(lines)
            records = _read(lines, text, header, last=not fresh)
            checks.records(records, lines, n_before, is_ascii=text.isascii())
            records = _without_headers(path, records, lines, header, n_before)
            yield _batch(records, lines, n_before, codec)
            rest = lines[records.n_lines :]
            n_before += records.n_lines
        checks.end()


class _Checks:
    """Checks of a whole file raise `IngestError`; they see its batches one after the other."""

    def __init__(self, path: Path, options: TextOptions, codec: str) -> None:
        self._path, self._options, self._codec = path, options, codec
        self._any_beyond_ascii = self._any_divided = False
        self._wrong: tuple[int, str] | None = None  # the first line with other fields

    def header(self, sample: Sequence[str], columns: Mapping[str, str]) -> Header:
        """Find the header in the first lines; its encoding must be the file's."""
        try:
            self._header = find_header(self._path, sample, columns, self._options)
            above = sample[: self._header.n_lines] if not self._header.text.isascii() else []
        except IngestError:
            above = sample[:HEADER_LINES]
            self._encoding(above, 0)
            raise
        self._encoding(above, 0)
        return self._header

    def records(
        self, records: _Records, lines: Sequence[str], n_before: int, *, is_ascii: bool
    ) -> None:
        """Check the encoding; remember whether any record was divided as the header is."""
        if not self._any_beyond_ascii and not is_ascii:
            if self._options.codec:
                check_not_utf_8(self._path, lines, n_before + 1, self._codec)
            self._any_beyond_ascii = any(
                not line.isascii() and not NOT_DECODED.search(line) for line in lines
            )
        if bad := [line for line, reason in records.refused if reason == _NOT_DECODED]:
            self._refuse(lines, n_before, bad)
        self._any_divided = self._any_divided or len(records.starts) > 0
        if self._wrong is None and not self._any_divided:
            wrong = [line for line, reason in records.refused if reason == _WRONG_NUMBER]
            self._wrong = (n_before + 1 + wrong[0], lines[wrong[0]].rstrip("\n")) if wrong else None

    def end(self) -> None:
        """Check at the file's end whether any record was divided as the header is."""
        if self._wrong and not self._any_divided:
            raise why_no_row_divides(self._path, self._header, *self._wrong)

    def _encoding(self, lines: Sequence[str], n_before: int) -> None:
        """Check the encoding of lines that hold the header."""
        if self._options.codec:
            check_not_utf_8(self._path, lines, n_before + 1, self._codec)
        if bad := [i for i, line in enumerate(lines) if NOT_DECODED.search(line)]:
            self._refuse(lines, n_before, bad)

    def _refuse(self, lines: Sequence[str], n_before: int, bad: Sequence[int]) -> None:
        if self._options.encoding is None:
            raise explain_not_utf_8(
                self._path, lines, n_before + 1, bad, other=self._any_beyond_ascii
            )


def _read(lines: list[str], text: str, header: Header, *, last: bool) -> _Records:
    clean = not _has_fault(text)
    if clean and '"' not in text and not header.skips_blanks:
        return _split(lines, header)
    return _parse(lines, header, clean=clean, last=last)


def _split(lines: list[str], header: Header) -> _Records:
    """Split lines without a quote: each is a record, and every separator divides it."""
    texts = pc.utf8_rtrim(pa.array(lines, pa.large_string()), "\n")
    fields = pc.split_pattern(texts, header.separator)
    n_fields = pc.list_value_length(fields)
    whole = pc.equal(n_fields, header.n_fields)
    longer = pc.greater(n_fields, header.n_fields)
    if pc.any(longer).as_py():
        more = np.flatnonzero(longer)
        beyond = pc.list_slice(fields.take(pa.array(more)), header.n_fields)
        empty = pc.equal(pc.binary_join(beyond, pa.scalar("", pa.large_string())), "").to_numpy(
            zero_copy_only=False
        )
        flags = whole.to_numpy(zero_copy_only=False).copy()
        flags[more[empty]] = True
        whole = pa.array(flags)
    wrong = pc.and_not(pc.not_equal(texts, ""), whole)
    fields = fields.filter(whole)
    starts = np.flatnonzero(whole)
    return _Records(
        columns={role: pc.list_element(fields, i) for role, i in header.positions.items()},
        starts=starts,
        stops=starts + 1,
        refused=[(int(i), _reason_of_wrong(lines[i])) for i in np.flatnonzero(wrong)],
        n_lines=len(lines),
    )


def _parse(lines: list[str], header: Header, *, clean: bool, last: bool) -> _Records:
    """Parse any lines with the csv module.

    `clean` says that no line has a fault, `last` that none comes after these.
    """
    columns: dict[str, list[str]] = {role: [] for role in header.positions}
    picks = [(columns[role].append, i) for role, i in header.positions.items()]
    starts, stops, refused, n_lines = [], [], [], 0
    for start, stop, fields, malformed in _walk(lines, header, last=last):
        n_lines = stop
        if malformed:
            refused.append((start, malformed))
        elif len(fields) != header.n_fields:
            if fields:
                refused.append((start, _reason_of_wrong(lines[start])))
        elif not clean and (fault := _fault_of_record(lines[start:stop], fields, header)):
            refused.append((start, fault))
        else:
            for pick, i in picks:
                pick(fields[i])
            starts.append(start)
            stops.append(stop)
    return _Records(
        columns={role: pa.array(texts, pa.large_string()) for role, texts in columns.items()},
        starts=np.array(starts, dtype="int64"),
        stops=np.array(stops, dtype="int64"),
        refused=refused,
        n_lines=n_lines,
    )


def _without_headers(
    path: Path, records: _Records, lines: list[str], header: Header, n_before: int
) -> _Records:
    """Refuse records that repeat the header, as files have that were joined.

    Raises `IngestError` where one is another header, which would give its columns other places.
    """
    is_name = pc.equal(records.columns["timestamp"], header.names["timestamp"])
    if not pc.any(is_name).as_py():
        return records
    kept, refused = np.ones(len(records.starts), dtype=bool), list(records.refused)
    wanted = {plain_name(name) for name in header.names.values()}
    for i in np.flatnonzero(is_name):
        start, stop = int(records.starts[i]), int(records.stops[i])
        used = {role: column[i].as_py() for role, column in records.columns.items()}
        names = {role: name.strip("\ufeff") for role, name in used.items()}
        if names == header.names:
            kept[i] = False
            refused.append((start, "repeated_header"))
        elif wanted <= {plain_name(name) for name in fields_of(lines[start:stop], header)}:
            raise IngestError(
                f"{path}: line {n_before + 1 + start} is another header, with the columns in other "
                f"places: {lines[start].strip()[:TEXT_LENGTH]!r}; divide the file there"
            )
    return replace(
        records,
        columns={role: column.filter(pa.array(kept)) for role, column in records.columns.items()},
        starts=records.starts[kept],
        stops=records.stops[kept],
        refused=refused,
    )


def _walk(
    lines: list[str], header: Header, *, last: bool
) -> Iterator[tuple[int, int, list[str], str]]:
    """Yield each record's first line, the line after it, its fields, and its fault.

    A fault costs the first line only: the next record begins on the second. The walk ends before a
    record that might go on after these lines, unless they are the `last`.
    """
    start, origin, reader = 0, 0, _reader(lines, 0, header)
    while start < len(lines):
        try:
            fields = next(reader)
            stop = origin + reader.line_num
            if len(fields) > header.n_fields and not any(fields[header.n_fields :]):
                del fields[header.n_fields :]
            sound = _is_sound(fields, lines[start:stop], header)
        except csv.Error:
            stop = origin + reader.line_num
            sound = False
        if sound:
            yield start, stop, fields, ""
            start = stop
        elif stop == len(lines) and not last and sum(map(len, lines[start:])) <= LINE_LIMIT:
            return
        else:
            yield start, start + 1, [], _why_unsound(lines[start], n_lines=stop - start)
            start = origin = start + 1
            reader = _reader(lines, start, header)


def _why_unsound(line: str, *, n_lines: int) -> str:
    """Return the fault of a record that begins with `line` and seemed to take `n_lines`."""
    if is_cut(line):
        return "line_too_long"
    return "unclosed_quote" if n_lines > 1 or line.count('"') % 2 else "malformed_field"


def _reader(lines: list[str], start: int, header: Header) -> Reader:
    return csv.reader(
        map(lines.__getitem__, range(start, len(lines))),
        delimiter=header.separator,
        strict=True,
        skipinitialspace=header.skips_blanks,
    )


def _is_sound(fields: list[str], lines: list[str], header: Header) -> bool:
    """Return whether a record can be trusted: no line end and no odd quote in its used fields.

    Nor is it one if its lines are rows by themselves, which two stray quotes have joined.
    """
    if len(fields) != header.n_fields:
        return len(lines) == 1
    if len(lines) > 1 and _are_rows(lines, fields, header):
        return False
    used = "".join([fields[i] for i in header.positions.values()])
    if '"' in used and sum(line.count('"') for line in lines) % 2 == 1:
        return False
    return "\n" not in used


def _are_rows(lines: list[str], fields: list[str], header: Header) -> bool:
    """Return whether most lines of a record, the first and last too, are rows by themselves.

    Such a line is divided as the record is, and has a timestamp written like the record's.
    """
    place, separator, n_fields = header.positions["timestamp"], header.separator, header.n_fields
    if min(lines[0].count(separator), lines[-1].count(separator)) < n_fields - 1:
        return False
    form = _form_of(fields[place])

    def is_row(line: str) -> bool:
        parts = line.split(separator)
        if len(parts) < n_fields or any(map(str.strip, parts[n_fields:])):
            return False
        return _form_of(parts[place]) == form

    return is_row(lines[0]) and is_row(lines[-1]) and 2 * sum(map(is_row, lines)) > len(lines)


def _form_of(timestamp: str) -> str:
    """Return a timestamp with one 0 for each number; equal for timestamps written alike."""
    return re.sub(r"\d+", "0", timestamp.strip(' "\n'))


def _has_fault(text: str) -> bool:
    """Return whether a text holds anything that no record may hold."""
    return "\0" in text or (not text.isascii() and NOT_DECODED.search(text) is not None)


def _fault_of_record(lines: Sequence[str], fields: Sequence[str], header: Header) -> str:
    """Return the fault of a record, or an empty string; bytes of other columns do not matter."""
    if any(map(is_cut, lines)):
        return "line_too_long"
    if any("\0" in line for line in lines):
        return "nul_byte"
    used = "".join([fields[i] for i in header.positions.values()])
    return _NOT_DECODED if NOT_DECODED.search(used) else ""


def _reason_of_wrong(line: str) -> str:
    """Return the reason of a record that has more or fewer fields than the header."""
    if is_cut(line):
        return "line_too_long"
    return "comment_line" if line.startswith("#") else _WRONG_NUMBER


def _batch(records: _Records, lines: list[str], n_before: int, codec: str) -> RecordBatch:
    def text(start: int, stop: int) -> str:
        record = "".join(lines[start:stop]).rstrip("\n")[:TEXT_LENGTH]
        return record.encode(errors="surrogateescape").decode(errors="backslashreplace")

    return RecordBatch(
        columns=records.columns,
        lines=n_before + 1 + records.starts,
        text=lambda i: text(records.starts[i], records.stops[i]),
        refused=[
            Refusal(n_before + 1 + line, _named(reason, codec), text(line, line + 1))
            for line, reason in records.refused
        ],
    )


def _named(reason: str, codec: str) -> str:
    return "not_utf8" if reason == _NOT_DECODED and codec.startswith("utf-8") else reason


DELIMITED_TEXT = InputFormat(
    suffixes=frozenset({".csv", ".tsv", ".txt", ".gz", ".zip"}),
    recognizes=lambda start: True,  # its own checks say what is wrong with a file of no format
    expansion=lambda start: 6 if is_packed(start) else 1,
    read=read_csv,
    is_text=True,
)
