"""Read records of delimited text: plain, gzip or zip; comma, semicolon or tab.

A record knows the physical line on which it starts. A quote that is not closed costs its own line
and no other: the lines after it are read again, as records of their own.
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.records import (
    TEXT_LENGTH,
    IngestError,
    InputFormat,
    RecordBatch,
    Refusal,
    locate,
)

if TYPE_CHECKING:
    from _csv import Reader

LINES_PER_BATCH = 100_000

_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")  # first bytes of such files
_DELIMITERS = (",", ";", "\t")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python's `surrogateescape` writes such a byte
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)


@dataclass(frozen=True)
class _Header:
    delimiter: str
    n_fields: int
    positions: dict[str, int]


@dataclass(frozen=True)
class _Records:
    """The records of some lines: their columns, and the first line of each and the one after it."""

    columns: dict[str, pa.Array]
    starts: np.ndarray
    stops: np.ndarray
    refused: list[tuple[int, str]]  # line and reason
    n_lines: int  # lines that were read; the rest may be the beginning of a record


def read_csv(path: Path, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
    """Read the records of a delimited text in batches; `columns` are names by role.

    A record is refused with reason `wrong_number_of_fields`, `unclosed_quote`, `malformed_field`
    (text after a closing quote), `not_utf8` or `nul_byte`. An empty line is no record.

    Raises
    ------
    IngestError
        The file is empty, no text, UTF-16, a damaged archive, a zip of several files, or lacks a
        column.
    OSError
        It cannot be read.
    """
    with _open_text(path) as stream:
        n_before, header = _header_line(path, stream)
        layout = _read_header(path, header, columns)
        rest: list[str] = []
        while True:
            fresh = list(islice(stream, LINES_PER_BATCH))
            lines = rest + fresh
            if not lines:
                return
            records = _read(lines, layout, last=not fresh)
            yield _batch(records, lines, n_before)
            rest = lines[records.n_lines :]
            n_before += records.n_lines


def _read(lines: list[str], layout: _Header, *, last: bool) -> _Records:
    text = "".join(lines)
    clean = not _fault(text)
    if clean and '"' not in text:
        return _split(lines, layout)
    return _parse(lines, layout, clean=clean, last=last)


def _split(lines: list[str], layout: _Header) -> _Records:
    """Split lines without a quote: each is a record, and every delimiter divides it."""
    texts = pc.utf8_rtrim(pa.array(lines, pa.large_string()), "\n")
    fields = pc.split_pattern(texts, layout.delimiter)
    whole = pc.equal(pc.list_value_length(fields), layout.n_fields)
    wrong = pc.and_not(pc.not_equal(texts, ""), whole)
    fields = fields.filter(whole)
    starts = np.flatnonzero(whole)
    return _Records(
        columns={role: pc.list_element(fields, i) for role, i in layout.positions.items()},
        starts=starts,
        stops=starts + 1,
        refused=[(int(line), "wrong_number_of_fields") for line in np.flatnonzero(wrong)],
        n_lines=len(lines),
    )


def _parse(lines: list[str], layout: _Header, *, clean: bool, last: bool) -> _Records:
    """Parse any lines with the csv module.

    `clean` says that no line has a fault, `last` that none comes after these.
    """
    columns: dict[str, list[str]] = {role: [] for role in layout.positions}
    picks = [(columns[role].append, i) for role, i in layout.positions.items()]
    starts, stops, refused, n_lines = [], [], [], 0
    for start, stop, fields, malformed in _walk(lines, layout, last=last):
        n_lines = stop
        if malformed:
            refused.append((start, malformed))
        elif len(fields) != layout.n_fields:
            if fields:
                refused.append((start, "wrong_number_of_fields"))
        elif not clean and (fault := _fault("".join(lines[start:stop]))):
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


def _walk(
    lines: list[str], layout: _Header, *, last: bool
) -> Iterator[tuple[int, int, list[str], str]]:
    """Yield each record's first line, the line after it, its fields, and its fault.

    A fault costs the first line only: the next record begins on the second. The walk ends before a
    record that might go on after these lines, unless they are the `last`.
    """
    start, origin, reader = 0, 0, _reader(lines, 0, layout)
    while start < len(lines):
        try:
            fields = next(reader)
            stop = origin + reader.line_num
            sound = _is_sound(fields, lines[start:stop], layout)
        except csv.Error:
            stop = origin + reader.line_num
            sound = False
        if sound:
            yield start, stop, fields, ""
            start = stop
        elif stop == len(lines) and not last:
            return
        else:
            unclosed = stop > start + 1 or lines[start].count('"') % 2 == 1
            yield start, start + 1, [], "unclosed_quote" if unclosed else "malformed_field"
            start = origin = start + 1
            reader = _reader(lines, start, layout)


def _reader(lines: list[str], start: int, layout: _Header) -> Reader:
    return csv.reader(
        map(lines.__getitem__, range(start, len(lines))), delimiter=layout.delimiter, strict=True
    )


def _is_sound(fields: list[str], lines: list[str], layout: _Header) -> bool:
    """Return whether a record can be trusted: no line end and no odd quote in its used fields."""
    if len(fields) != layout.n_fields:
        return len(lines) == 1
    used = "".join([fields[i] for i in layout.positions.values()])
    if '"' in used and sum(line.count('"') for line in lines) % 2 == 1:
        return False
    return "\n" not in used


def _fault(text: str) -> str:
    """Return the fault of a text that no record may hold, or an empty string."""
    if not text.isascii() and _NOT_UTF8.search(text):
        return "not_utf8"
    return "nul_byte" if "\0" in text else ""


def _batch(records: _Records, lines: list[str], n_before: int) -> RecordBatch:
    def text(start: int, stop: int) -> str:
        record = "".join(lines[start:stop]).rstrip("\n")[:TEXT_LENGTH]
        return record.encode(errors="surrogateescape").decode(errors="backslashreplace")

    return RecordBatch(
        columns=records.columns,
        lines=n_before + 1 + records.starts,
        text=lambda i: text(records.starts[i], records.stops[i]),
        refused=[
            Refusal(n_before + 1 + line, reason, text(line, line + 1))
            for line, reason in records.refused
        ],
    )


def _header_line(path: Path, stream: TextIO) -> tuple[int, str]:
    """Return the number of the first line that is not empty, and the line."""
    for number, line in enumerate(stream, start=1):
        if line != "\n":
            if _fault(line):
                raise IngestError(
                    f"{path}: line {number} (the header) is not UTF-8; save the file as UTF-8, or "
                    f"convert it: iconv -f WINDOWS-1252 -t UTF-8"
                )
            return number, line
    raise IngestError(f"{path} is empty; give a file with a header and rows")


def _read_header(path: Path, header: str, columns: Mapping[str, str]) -> _Header:
    """Find the delimiter under which the header has all columns, and their positions.

    Raises `IngestError` where there is none; its message is about the delimiter that divides most.
    """
    try:
        headers = {
            delimiter: next(csv.reader([header], delimiter=delimiter)) for delimiter in _DELIMITERS
        }
    except csv.Error as error:
        raise IngestError(f"{path}: the first line is no header ({error}); give CSV") from error

    def fitness(delimiter: str) -> tuple[int, int]:
        names = {name.strip() for name in headers[delimiter]}
        return len(names.intersection(columns.values())), len(names)

    delimiter = max(_DELIMITERS, key=fitness)
    names = headers[delimiter]
    return _Header(delimiter, len(names), locate(path, names, columns))


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """Open `path` as text, unpacked; raise `IngestError` where it is no text or is damaged."""
    with ExitStack() as stack:
        try:
            content: io.BufferedIOBase = stack.enter_context(path.open("rb"))
            start = content.read(4)
            content.seek(0)
            if start.startswith(_GZIP):
                content = stack.enter_context(gzip.GzipFile(fileobj=content))
            elif start in _ZIP:
                content = stack.enter_context(_member(path, zipfile.ZipFile(content)))
            data = stack.enter_context(io.BufferedReader(content, 1 << 16))
            _check_is_text(path, data.peek())
            yield stack.enter_context(
                io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape")
            )
        except _DAMAGED as error:
            raise IngestError(
                f"{path} is a damaged archive ({error}); fetch it again, or unpack it"
            ) from error


def _member(path: Path, archive: zipfile.ZipFile) -> io.BufferedIOBase:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise IngestError(f"{path} is an Excel workbook; save its sheet as CSV in UTF-8")
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:10]) or "none"
        raise IngestError(
            f"{path}: a zip must hold one file, this one holds {len(members)} ({names}); "
            "unpack it and give the files"
        )
    try:
        return cast(io.BufferedIOBase, archive.open(members[0]))
    except (RuntimeError, NotImplementedError) as error:  # a password, a rare compression
        raise IngestError(f"{path}: {error}; unpack it and give the file") from error


def _check_is_text(path: Path, start: bytes) -> None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IngestError(
            f"{path} is UTF-16; save it as CSV in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8"
        )
    if b"\0" in start:
        raise IngestError(
            f"{path} is not text (byte {start.index(0) + 1} is NUL); give CSV in UTF-8, plain, "
            "gzip or zip, or Parquet"
        )


DELIMITED_TEXT = InputFormat(
    suffixes=frozenset({".csv", ".tsv", ".txt", ".gz", ".zip"}),
    recognizes=lambda start: True,  # its own checks say what is wrong with a file of no format
    expansion=lambda start: 6 if start.startswith(_GZIP) or start in _ZIP else 1,
    read=read_csv,
)
