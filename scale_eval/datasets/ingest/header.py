"""Find the header of delimited text: the line that has the columns, and what divides it.

Lines above it are titles, comments (``#``) or the ``sep=;`` of a spreadsheet.
"""

from __future__ import annotations

import csv
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from scale_eval.datasets.ingest.records import IngestError, locate, plain_name
from scale_eval.datasets.ingest.text_options import TextOptions

HEADER_LINES = 100
"""Lines among which the header is looked for."""

_SEPARATORS = (",", ";", "\t", "|", "^", "~", "\x01", "\x1f")
_SPAN = 10  # lines of a header whose cells have line breaks
_SEP_LINE = re.compile(r'"?sep=(?:(\\t)|([^\n"]))"?[,;\t|]*\s*$', re.IGNORECASE)
_QUOTES = re.compile("['`‘’‚“”„«»]")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b|\b(?:19|20)\d{6}\b|\b1\d{9}(?:\d{3})?\b")
_NUMBER = re.compile(r"[^\w]*\d[\d., ]*[^\w]*$")


@dataclass(frozen=True)
class Header:
    """A header says how the records below it are divided.

    Attributes
    ----------
    separator : str
    n_fields : int
    positions : dict of int
        Of the columns that are read, by role.
    names : dict of str
        The names of these columns as the header has them, by role.
    n_lines : int
        Lines of the file down to the header's last.
    line : int
        The number of the header's first line.
    text : str
        The header as it stands there.
    skips_blanks : bool
        Whether blanks after a separator do not count: a quote stands behind one.
    """

    separator: str
    n_fields: int
    positions: dict[str, int]
    names: dict[str, str]
    n_lines: int
    line: int
    text: str
    skips_blanks: bool = False


def find_header(
    path: Path, lines: Sequence[str], columns: Mapping[str, str], options: TextOptions
) -> Header:
    """Find the first of `lines` that has all `columns`, names by role.

    Raises
    ------
    IngestError
        No line has them, or lines above it look like rows.
    """
    first = _first_line(path, lines, options)
    separators: Sequence[str] = _SEPARATORS
    if declared := _SEP_LINE.match(lines[first]):
        separators = ["\t" if declared[1] else declared[2]]
        first = next((i for i in range(first + 1, len(lines)) if lines[i].strip()), first)
    if options.separator is not None:
        separators = [options.separator]
    candidates = range(first, min(first + HEADER_LINES, len(lines)))
    if options.skip_lines is not None:
        candidates = candidates[:1]
    wanted = {plain_name(name) for name in columns.values()}
    for at in candidates:
        for separator in separators:
            for names, stop in _readings(lines, at, separator):
                if wanted <= {plain_name(name) for name in names}:
                    label = path if at == 0 else f"{path}, line {at + 1}"
                    positions = locate(label, names, columns)
                    header = Header(
                        separator,
                        len(names),
                        positions,
                        {role: names[i] for role, i in positions.items()},
                        stop,
                        at + 1,
                        "".join(lines[at:stop]).rstrip("\n"),
                        _has_blank_before_quote(lines[at], lines[stop : stop + 1], separator),
                    )
                    _check_no_rows_above(path, lines[first:at], first, header)
                    return header
    if options.skip_lines is not None:
        found = None
        with suppress(IngestError):
            found = find_header(path, lines, columns, replace(options, skip_lines=None))
        if found is not None:
            raise IngestError(
                f"{path}: with --skip-lines {options.skip_lines} the header would be line "
                f"{first + 1}, {lines[first].strip()[:200]!r}, but line {found.line} has the "
                f"columns; give --skip-lines {found.line - 1}, or leave it out"
            )
    raise _no_header(path, lines, candidates, columns, separators)


def why_no_row_divides(path: Path, header: Header, line: int, text: str) -> IngestError:
    """Return the error for a text none of whose first rows has as many fields as the header.

    `text` is the first of them, at the line `line`.
    """
    fields = next(csv.reader([text], delimiter=header.separator))
    found = f"{len(fields)} {'field' if len(fields) == 1 else 'fields'}"
    others = [
        separator
        for separator in _SEPARATORS
        if len(next(csv.reader([text], delimiter=separator))) == header.n_fields > 1
    ]
    if len(fields) == 1 and header.separator in fields[0]:
        cause = f"Each line is quoted as a whole; {_unquoting(path, header.separator)}"
    elif others:
        cause = (
            f"The header is divided by {header.separator!r} and the rows by {others[0]!r}; write "
            "the header as the rows are"
        )
    elif len(fields) > header.n_fields and _has_comma_decimals(fields, header):
        cause = (
            "A value such as 31,54 has the comma that also divides the fields; quote it, or "
            "divide the fields by ';'"
        )
    elif len(fields) == header.n_fields + 1:
        cause = (
            "The rows have a column more than the header names, as row names have that R writes; "
            "name every column in the header"
        )
    else:
        cause = "Say what divides the fields (--separator), or correct the rows"
    return IngestError(
        f"{path}: no row has as many fields as the header. Line {header.line} has "
        f"{header.n_fields}, divided by {header.separator!r}; line {line} has {found}: "
        f"{text[:200]!r}. {cause}"
    )


def _first_line(path: Path, lines: Sequence[str], options: TextOptions) -> int:
    """Return the position of the first line that is not empty, after those to be skipped."""
    if not any(line.strip() for line in lines):
        raise IngestError(f"{path} is empty; give a file with a header and rows")
    skipped = options.skip_lines or 0
    for i in range(skipped, len(lines)):
        if lines[i].strip("\n\r \ufeff"):
            return i
    raise IngestError(
        f"{path} has {len(lines)} lines, and {skipped} are to be skipped (--skip-lines); give the "
        "number of lines above the header"
    )


def _readings(lines: Sequence[str], at: int, separator: str) -> Iterator[tuple[list[str], int]]:
    """Yield the fields of the record that begins at a line, and the line after it.

    A line that is a comment is read as the record behind its mark, too.
    """
    texts = [lines[at]]
    if lines[at].startswith("#"):
        texts.append(lines[at].lstrip("# "))
    for text in texts:
        for skips in (False, True) if f"{separator} " in text and '"' in text else (False,):
            reader = csv.reader(
                iter([text.lstrip("\ufeff"), *islice(lines, at + 1, at + _SPAN)]),
                delimiter=separator,
                skipinitialspace=skips,
            )
            with suppress(csv.Error, StopIteration):
                yield next(reader), at + reader.line_num


def fields_of(lines: Sequence[str], header: Header) -> list[str]:
    """Return the fields of the record on `lines`."""
    return next((fields for fields, _ in _readings(lines, 0, header.separator)), [])


def _fields(line: str, separator: str) -> list[str]:
    return next((fields for fields, _ in _readings([line], 0, separator)), [])


def _has_blank_before_quote(header: str, below: Sequence[str], separator: str) -> bool:
    """Return whether the header or the line below it has a quote behind a separator and blanks."""
    return separator.strip() != "" and any(
        field.startswith(" ") and field.lstrip().startswith('"')
        for line in (header, *below)
        for field in _fields(line, separator)
    )


def _check_no_rows_above(path: Path, lines: Sequence[str], first: int, header: Header) -> None:
    """Raise `IngestError` where one of the lines above the header could be a row."""
    for i, line in enumerate(lines):
        fields = [] if line.startswith("#") else _fields(line, header.separator)
        if len(fields) >= header.n_fields:
            used = {role: fields[at] for role, at in header.positions.items()}
            if _looks_like_row(list(used.values())) and all(map(str.strip, used.values())):
                raise IngestError(
                    f"{path}: line {header.line} is the header, but line {first + i + 1} above it "
                    f"looks like a row: {line.strip()[:200]!r}. Put the header first; if there are "
                    f"only titles above it, say so: --skip-lines {header.line - 1}"
                )


def _no_header(
    path: Path,
    lines: Sequence[str],
    candidates: Sequence[int],
    columns: Mapping[str, str],
    separators: Sequence[str],
) -> IngestError:
    """Return the error for a text without a header, which names the likeliest cause."""
    first = candidates[0]
    found = {(at, sep): _fields(lines[at], sep) for at in candidates for sep in separators}
    whole = _fields(lines[first], separators[0])
    wanted = {plain_name(name) for name in columns.values()}
    if len(whole) == 1 and any(
        wanted <= set(map(plain_name, _fields(whole[0], each))) for each in separators
    ):
        return IngestError(
            f"{path}: each line is quoted as a whole, as line {first + 1}: "
            f"{lines[first].strip()[:200]!r}; {_unquoting(path, separators[0])}"
        )
    for separator in set(_SEPARATORS) - set(separators):
        if wanted <= set(map(plain_name, _fields(lines[first], separator))):
            return IngestError(
                f"{path}: line {first + 1} has the columns if it is divided by {separator!r}, not "
                f"by {separators[0]!r}: {lines[first].strip()[:200]!r}; give --separator "
                f"{_shown(separator)}"
            )
    marks = _QUOTES.findall(lines[first])
    if marks and wanted <= {
        plain_name(_QUOTES.sub("", name)) for name in found[first, separators[0]]
    }:
        expression = f's/[{"".join(sorted(set(marks)))}]/"/g'
        return IngestError(
            f'{path}: line {first + 1} quotes its fields with {marks[0]}, and CSV does with ": '
            f"{lines[first].strip()[:200]!r}; write the file with other quotes: mkdir quoted; "
            f"sed {shlex.quote(expression)} {shlex.quote(str(path))} > "
            f"{shlex.quote(f'quoted/{path.name}')}"
        )
    if wanted <= set(map(plain_name, lines[first].split())):
        return IngestError(
            f"{path}: the columns are divided by blanks, as in line {first + 1}: "
            f"{lines[first].strip()[:200]!r}; write a comma or a tab between them"
        )

    def fitness(place: tuple[int, str]) -> tuple[int, int, int]:
        names = {plain_name(name) for name in found[place]}
        return len(wanted & names), n_alike[place[1], len(found[place])], len(names)

    n_alike = Counter(
        (separator, len(fields)) for (_, separator), fields in found.items() if len(fields) > 1
    )
    at, separator = max(found, key=fitness)
    names = found[at, separator]
    if not wanted & set(map(plain_name, names)) and len(names) > 1 and _looks_like_row(names):
        return _rows_only(path, at, lines[at], names, separator, columns)
    try:
        locate(path if at == 0 else f"{path}, line {at + 1}", names, columns)
    except IngestError as error:
        return error
    raise AssertionError("a line that has all columns is a header")


def _rows_only(
    path: Path,
    at: int,
    line: str,
    fields: Sequence[str],
    separator: str,
    columns: Mapping[str, str],
) -> IngestError:
    """Return the error for a file that has rows and no header."""
    names = [f"column{i + 1}" for i in range(len(fields))]
    free = list(range(len(fields)))
    for role, fits in (("timestamp", _DATE.search), ("value", _NUMBER.match), ("customer_id", str)):
        place = next((i for i in free if fits(fields[i])), None)
        if place is not None:
            names[place] = columns[role]
            free.remove(place)
    header = shlex.quote(separator.join(names))
    return IngestError(
        f"{path} has no header with the columns: line {at + 1} looks like a row: "
        f"{line.strip()[:200]!r}. Write the names of the columns above the first row, such as "
        f"(check the order): mkdir named; (echo {header}; cat {shlex.quote(str(path))}) > "
        f"{shlex.quote(f'named/{path.name}')}"
    )


def _looks_like_row(fields: Sequence[str]) -> bool:
    """Return whether one field is like a date, and another one like a number."""
    dates = [i for i, field in enumerate(fields) if _DATE.search(field)]
    numbers = [i for i, field in enumerate(fields) if _NUMBER.match(field.strip())]
    return any(i != j for i in dates for j in numbers)


def _has_comma_decimals(fields: Sequence[str], header: Header) -> bool:
    at = header.positions["value"]
    pair = fields[at : at + 2]
    return header.separator == "," and len(pair) == 2 and all(each.isdigit() for each in pair)


def _unquoting(path: Path, separator: str) -> str:
    code = (
        f"import csv, sys; sys.stdout.writelines({separator!r}.join(row) + '\\n' for row in "
        f"csv.reader(sys.stdin, delimiter={separator!r}))"
    )
    return (
        f'take those quotes away: mkdir unquoted; python -c "{code}" < {shlex.quote(str(path))} > '
        f"{shlex.quote(f'unquoted/{path.name}')}"
    )


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else f"'{separator}'"
