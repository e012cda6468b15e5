"""Records of a file: the columns that ingest reads from it, before they are parsed into rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.printable import as_typed

if TYPE_CHECKING:
    from scale_eval.datasets.ingest.text_options import TextOptions

TEXT_LENGTH = 500
"""Characters of a refused record that are kept."""


NO_ROWS = frozenset({"comment_line", "repeated_header"})
"""Reasons of records that were never rows: their share of a file does not matter."""


class IngestError(ValueError):
    """The input cannot be ingested; the message names it, the line or key, and the remedy."""


class Refusal(NamedTuple):
    """A refusal says why a record did not become a row.

    `line` is where it starts: physical lines of a text from 1 (the header, mostly), rows of a
    Parquet file or of a table in memory from 1.
    """

    line: int
    reason: str
    text: str
    company_id: str | None = None


@dataclass(frozen=True)
class RecordBatch:
    """A batch holds some records of a file, not yet parsed.

    Attributes
    ----------
    columns : dict of pyarrow.Array
        By role: `customer_id`, `timestamp`, `value` and, where it is read, `company_id`. Strings;
        from Parquet or a table a timestamp may be typed and a value float64.
    lines : ndarray of int64
        Where each record starts.
    text : callable
        Returns the i-th record as it is written in the file, cut at `TEXT_LENGTH`.
    refused : list of Refusal
        Further records, which could not be divided into columns.
    """

    columns: dict[str, pa.Array]
    lines: np.ndarray
    text: Callable[[int], str]
    refused: list[Refusal]


@dataclass(frozen=True)
class InputFormat:
    """An input format reads one kind of file; `ingest.formats` lists all of them.

    Attributes
    ----------
    suffixes : frozenset of str
        Endings of file names, in lower case, that are not part of a company's name.
    recognizes : callable
        Returns whether a file that begins with these four bytes is of this format.
    expansion : callable
        Returns roughly how many bytes of plain text a byte of such a file holds.
    read : callable
        Reads the records of a file in batches, given the path, the names of columns by role, and
        how text is written. Raises `IngestError` where the file cannot be read as a whole.
    is_text : bool
        Whether text options mean anything for it.
    """

    suffixes: frozenset[str]
    recognizes: Callable[[bytes], bool]
    expansion: Callable[[bytes], int]
    read: Callable[[Path, Mapping[str, str], TextOptions], Iterator[RecordBatch]]
    is_text: bool


def option(
    name: str, value: str | float | list[str] | None = None, *, in_python: bool = False
) -> str:
    """Return how an option is typed, in a terminal or in Python: ``--append``, ``append=True``.

    Examples
    --------
    >>> print(option("not_customers", ["Grand Total"]))
    --not-customers 'Grand Total'
    >>> print(option("not_customers", ["Grand Total"], in_python=True))
    not_customers=['Grand Total']
    """
    if in_python:
        return f"{name}={True if value is None else value!r}"
    typed = f"--{name.replace('_', '-')}"
    if value is None:
        return typed
    return f"{typed} {as_typed(','.join(value) if isinstance(value, list) else str(value))}"


def plain_name(name: str) -> str:
    """Return a column's name without blanks around it, and with one blank for several within."""
    return " ".join(name.split())


def locate(
    label: object, header: Sequence[str], columns: Mapping[str, str], *, in_python: bool = False
) -> dict[str, int]:
    """Find the `columns` (name by role) in `header`; return the position by role.

    Blanks around a name are ignored, and a line break in it is one blank. Raises `IngestError`
    where a column is missing, with the nearest name that the header has, or where it has the column
    twice; its message begins with `label`, and names options as Python does if `in_python`.
    """
    names = [plain_name(name) for name in header]
    columns = {role: plain_name(name) for role, name in columns.items()}
    missing = [name for name in columns.values() if name not in names]
    if missing:
        raise IngestError(
            f"{label}: the header has no column {_listed(missing)}; its columns are "
            f"{_listed(names)}. Say which is which: "
            f"{_suggestion(names, columns, in_python=in_python)}"
        )
    for name in columns.values():
        if names.count(name) > 1:
            raise IngestError(
                f"{label}: the header has column {name!r} {names.count(name)} times; rename all "
                "but one"
            )
    return {role: names.index(name) for role, name in columns.items()}


def _suggestion(names: Sequence[str], columns: Mapping[str, str], *, in_python: bool) -> str:
    """Suggest the options that would name the columns, with a guess for each missing one."""
    lowered = {name.lower(): name for name in names}

    def guess(role: str) -> str:
        wanted = columns[role]
        if wanted in names:
            return wanted
        near = [
            match
            for text in (wanted, role)
            for match in difflib.get_close_matches(text.lower(), lowered, n=1)
        ]
        return lowered[near[0]] if near else "..."

    guesses = {role: guess(role) for role in columns}
    company = guesses.pop("company_id", None)
    if in_python:
        return f"columns={guesses}" + (f", company_column={company!r}" if company else "")
    options = ",".join(f"{role}={name}" for role, name in guesses.items())
    column = f" {option('company_column', company)}" if company else ""
    return f"{option('columns', options)}{column}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
