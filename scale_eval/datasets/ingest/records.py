"""Between a file and its rows: the columns that ingest asks for, and records as they stand."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

TEXT_LENGTH = 500
"""Characters of a refused record that are kept."""


class IngestError(ValueError):
    """Input that cannot be ingested; the message names the file, line or key, and the remedy."""


class Refusal(NamedTuple):
    """A record that did not become a row, and why.

    `line` is where it starts: physical lines of a text from 1 (the header, mostly), rows of a
    Parquet file from 1.
    """

    line: int
    reason: str
    text: str
    company_id: str | None = None


@dataclass(frozen=True)
class Batch:
    """Some records of a file, not yet parsed.

    Attributes
    ----------
    columns : dict of pyarrow.Array
        By role: `customer_id`, `timestamp`, `value` and, where asked for, `company_id`. Strings;
        from Parquet a timestamp may be typed and a value float64.
    lines : ndarray of int64
        Where each record starts.
    text : callable
        The i-th record as it stands in the file, cut at `TEXT_LENGTH`.
    refused : list of Refusal
        Records beside these that have no such columns.
    """

    columns: dict[str, pa.Array]
    lines: np.ndarray
    text: Callable[[int], str]
    refused: list[Refusal]


def locate(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Where `header` has the `columns` (name by role): position by role. Blanks around are nothing.

    Raises `IngestError` where a column is missing, with the nearest there is, or is there twice.
    """
    names = [name.strip() for name in header]
    missing = [name for name in columns.values() if name not in names]
    if missing:
        raise IngestError(
            f"{path}: the header has no column {_listed(missing)}; its columns are "
            f"{_listed(names)}. Say which is which: {_suggestion(names, columns)}"
        )
    for name in columns.values():
        if names.count(name) > 1:
            raise IngestError(
                f"{path}: column {name!r} is there {names.count(name)} times; rename all but one"
            )
    return {role: names.index(name) for role, name in columns.items()}


def _suggestion(names: Sequence[str], columns: Mapping[str, str]) -> str:
    """The options that would name the columns, as far as they can be guessed."""
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

    options = ",".join(f"{role}={guess(role)}" for role in columns if role != "company_id")
    company = f" --company-column {guess('company_id')}" if "company_id" in columns else ""
    return f"--columns {options}{company}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
