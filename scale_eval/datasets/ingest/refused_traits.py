"""Find what the refused records of a file have in common, and the others have not.

Rows that are refused at random cost precision; rows that are refused because they are large, or of
the summer, or of customers with accents, bend every figure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.datasets.ingest.amounts import MINUS
from scale_eval.datasets.ingest.records import RecordBatch, Refusal

PER_BATCH = 200
"""Records of a batch that became rows and are looked at, evenly spaced; and of those refused."""

AT_MOST = 20_000
"""Records of a file of either kind that are compared."""

_CHANCE = 1e-3
"""A trait is told if all refused records have it with less than this probability by chance."""

_ALL = 0.95
"""The share of refused records that count as all of them."""

_AT_MOST_OF_OTHERS = 0.5
"""The share of the other records that may have a trait which is told."""

_N_TRAITS = 4
"""Traits that are told."""

_MONTHS = "January February March April May June July August September October November December"
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")  # a byte that is not UTF-8
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")


class Record(NamedTuple):
    """A record as it is written; its fields are empty where it could not be divided."""

    line: int
    company: str
    customer: str
    timestamp: str
    value: str
    text: str


class RecordSample:
    """A record sample holds some refused records of a file and some that became rows."""

    def __init__(self) -> None:
        self.largest_value = 0.0  # absolute, of the rows
        self.n_lines = 0
        self._parts: dict[bool, list[tuple[np.ndarray, dict[str, pa.Array]]]] = defaultdict(list)
        self._undivided: list[Refusal] = []

    def add(self, batch: RecordBatch, *, refused: np.ndarray, kept: np.ndarray) -> None:
        """Add records of a batch; `refused` and `kept` say which are compared, as bool."""
        for is_refused, which in ((True, refused), (False, kept)):
            chosen = _evenly(np.flatnonzero(which), PER_BATCH)
            if len(chosen):
                taken = {role: c.take(pa.array(chosen)) for role, c in batch.columns.items()}
                self._parts[is_refused].append((batch.lines[chosen], taken))
        self._undivided += batch.refused[:: max(1, len(batch.refused) // PER_BATCH)]
        last = [int(lines) for lines in batch.lines[-1:]]
        self.n_lines = max([self.n_lines, *last, *(each.line for each in batch.refused[-1:])])

    def add_values(self, values: np.ndarray) -> None:
        """Add the values of rows."""
        self.largest_value = max(self.largest_value, float(np.abs(values).max(initial=0.0)))

    def traits(self, names: Mapping[str, str], row: str) -> list[str]:
        """Return what the refused records have in common, each as ``are ...`` or ``have ...``.

        Parameters
        ----------
        names : mapping
            The names of the columns by role.
        row : str
            What a record's number counts: ``line`` or ``row``.
        """
        if not self._parts[True] and not self._undivided:
            return []
        refused = [record for part in self._parts[True] for record in _records(*part)]
        refused += [Record(each.line, "", "", "", "", each.text) for each in self._undivided]
        kept = [record for part in self._parts[False] for record in _records(*part)]
        if len(refused) < 2 or not kept:
            return []
        refused, kept = (each[:: -(-len(each) // AT_MOST)] for each in (refused, kept))
        return _Comparison(refused, kept, self.largest_value, self.n_lines).traits(names, row)


@dataclass(frozen=True)
class _Comparison:
    """Refused records and others, and the largest value and the last line of the file."""

    refused: list[Record]
    kept: list[Record]
    largest_value: float
    n_lines: int

    def traits(self, names: Mapping[str, str], row: str) -> list[str]:
        found = [
            self._large_values(),
            self._negative_values(),
            *(self._marks(role, names[column]) for role, column in _FIELDS.items()),
            self._letters_beyond_ascii(),
            self._months(),
            self._dates(),
            self._lines(row),
            self._one("company", "company"),
            self._one("customer", "customer"),
        ]
        return [trait for trait in found if trait][:_N_TRAITS]

    def _is_striking(self, has: Callable[[Record], bool]) -> bool:
        """Return whether all refused records have a trait, and hardly by chance."""
        n = sum(map(has, self.refused))
        if n < max(2, _ALL * len(self.refused)):
            return False
        share = sum(map(has, self.kept)) / len(self.kept)
        by_chance = max(share, 1 / (1 + len(self.kept))) ** n
        return share <= _AT_MOST_OF_OTHERS and by_chance < _CHANCE

    def _large_values(self) -> str:
        amounts = [abs(_rough_amount(each.value)) for each in self.refused]
        readable = [amount for amount in amounts if not np.isnan(amount)]
        enough = len(readable) >= max(2, _ALL * len(amounts))
        by_chance = (1 / (1 + len(self.kept))) ** len(readable)
        if enough and min(readable) > self.largest_value and by_chance < _CHANCE:
            return f"are larger than every value that was read (up to {self.largest_value:,.2f})"
        return ""

    def _negative_values(self) -> str:
        signs = re.compile(rf"[{re.escape(MINUS)}(].*\d|\d.*[{re.escape(MINUS)}]")
        found = self._is_striking(lambda each: bool(signs.search(each.value)))
        return "are negative" if found else ""

    def _marks(self, role: str, name: str) -> str:
        """Return the sign or word that is in a column of all refused records only."""

        def marks(record: Record) -> set[str]:
            return set(re.findall(r"[^\W\d_]+|[^\w\s]", getattr(record, role)))

        counts = Counter(mark for each in self.refused for mark in marks(each))
        enough = [mark for mark, n in counts.items() if n >= _ALL * len(self.refused)]

        def is_striking(mark: str) -> bool:
            return self._is_striking(lambda record: mark in marks(record))

        striking = list(filter(is_striking, sorted(enough)))
        if not striking or (role == "customer" and len(set(_of(self.refused, role))) == 1):
            return ""
        return f"have {' and '.join(map(repr, striking[:3]))} in the column {name!r}"

    def _letters_beyond_ascii(self) -> str:
        def has(record: Record) -> bool:
            return not record.text.isascii() or bool(_ESCAPED.search(record.text))

        example = next((each.text for each in self.refused if has(each)), "")
        return (
            f"have letters beyond ASCII, as in {example[:60]!r}" if self._is_striking(has) else ""
        )

    def _months(self) -> str:
        present = {_month(each) for each in self.refused} - {0}
        if not present or len(present) > 9 or not self._is_striking(lambda r: _month(r) in present):
            return ""
        names = _MONTHS.split()
        first = next((m for m in present if (m - 2) % 12 + 1 not in present), 0)
        run = [(first - 1 + i) % 12 + 1 for i in range(len(present))]
        if len(run) > 2 and set(run) == present:
            return f"are of the months from {names[run[0] - 1]} to {names[run[-1] - 1]}"
        return f"are of {' or '.join(names[m - 1] for m in sorted(present))}"

    def _dates(self) -> str:
        days = sorted(day for day in map(_day, self.refused) if day)
        if len(days) < _ALL * len(self.refused):
            return ""
        low, high = days[0], days[-1]
        if self._is_striking(lambda r: low <= _day(r) <= high):
            return f"are dated from {low} to {high}"
        return ""

    def _lines(self, row: str) -> str:
        lines = _of(self.refused, "line")
        low, high = min(lines), max(lines)
        if not self._is_striking(lambda r: low <= r.line <= high):
            return ""
        where = ", the end of the file" if high == self.n_lines else ""
        return f"are in {row}s {low} to {high}{where}"

    def _one(self, role: str, word: str) -> str:
        counts = Counter(_of(self.refused, role)).most_common(1)
        thing = counts[0][0]
        if thing and self._is_striking(lambda r: getattr(r, role) == thing):
            return f"are of {word} {thing!r}"
        return ""


_FIELDS = {"customer": "customer_id", "timestamp": "timestamp", "value": "value"}
"""Fields of a record and the roles of their columns."""


def _evenly(positions: np.ndarray, n: int) -> np.ndarray:
    return positions[:: max(1, -(-len(positions) // n))]


def _records(lines: np.ndarray, columns: Mapping[str, pa.Array]) -> list[Record]:
    roles = ("company_id", "customer_id", "timestamp", "value")
    none = [""] * len(lines)
    fields = [_texts(columns[role]) if role in columns else none for role in roles]
    return [
        Record(
            line, company, customer, time, value, " ".join((company, customer, time, value)).strip()
        )
        for line, company, customer, time, value in zip(lines.tolist(), *fields, strict=True)
    ]


def _texts(column: pa.Array) -> list[str]:
    if pa.types.is_timestamp(column.type):  # in UTC: Arrow looks for zones on the machine, not here
        column = column.cast(pa.timestamp(column.type.unit))
    return [text or "" for text in column.cast(pa.large_string()).to_pylist()]


def in_common(traits: Iterable[str]) -> str:
    """Return traits as a sentence about all refused rows, or an empty string."""
    joined = "; they ".join(traits)
    return f"All of them {joined}." if joined else ""


def _of(records: list[Record], role: str) -> list[Any]:
    return [getattr(each, role) for each in records]


def _rough_amount(text: str) -> float:
    """Return the size of an amount in any spelling; NaN where it has no digits."""
    digits = re.sub(r"[^\d.,]", "", text)
    whole, _, fraction = re.sub(r"[.,](\d{1,2})$", r"|\1", digits).partition("|")
    number = re.sub(r"\D", "", whole)
    return float(f"{number or 0}.{fraction or 0}") if number or fraction else float("nan")


def _day(record: Record) -> str:
    match = _DATE.search(record.timestamp)
    return "-".join(match.groups()) if match else ""


def _month(record: Record) -> int:
    match = _DATE.search(record.timestamp)
    month = int(match[2]) if match else 0
    if not match:
        name = re.search(r"[A-Za-z]{3,}", record.timestamp)
        short = [each[:3].lower() for each in _MONTHS.split()]
        words = re.findall(r"[A-Za-z]{3,}", record.timestamp) if name else []
        month = next((short.index(w[:3].lower()) + 1 for w in words if w[:3].lower() in short), 0)
    return month if 1 <= month <= 12 else 0
