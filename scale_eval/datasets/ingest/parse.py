"""Parse a file or table into rows and refused rows: every record becomes one or the other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.amounts import AmountColumn, AmountFormat
from scale_eval.datasets.ingest.arguments import require_text
from scale_eval.datasets.ingest.default_columns import DEFAULT_COLUMNS
from scale_eval.datasets.ingest.ids import make_alike, require_spellings
from scale_eval.datasets.ingest.inputs import Input
from scale_eval.datasets.ingest.number_readings import either_reading
from scale_eval.datasets.ingest.plausible import OUTSIDE
from scale_eval.datasets.ingest.records import NO_ROWS, IngestError, RecordBatch, Refusal
from scale_eval.datasets.ingest.refused_share import remedy
from scale_eval.datasets.ingest.refused_traits import RecordSample
from scale_eval.datasets.ingest.timestamps import TimestampColumn, TimestampReader
from scale_eval.datasets.instants import EARLIEST, LATEST
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.storage.columns import TIME

ROWS_SCHEMA = pa.schema(
    [
        ("company_id", pa.large_string()),
        ("customer_id", pa.large_string()),
        ("timestamp", TIME),
        ("value", pa.float64()),
        ("midnight", pa.bool_()),  # in the zone in which it was written
        ("line", pa.int64()),
        ("text", pa.large_string()),  # of the record; null unless `keep_text`
    ]
)

NOT_A_CUSTOMER = "not_a_customer"

REFUSED_HELD = 2_000_000
"""Rows of a file that may be refused: they stay in memory, and take some 500 MB."""

_NO_ROWS = ROWS_SCHEMA.empty_table()


@dataclass(frozen=True)
class ReadOptions:
    """Read options say how files are written; `ingest.ingest` explains each.

    Raises
    ------
    IngestError
        A key of `columns` is unknown, `decimal` is neither ``.`` nor ``,``, `thousands` is no key
        of `THOUSANDS` or the decimal mark, there is no such `timezone` or `timestamp_unit`,
        `timestamp_format` is invalid, `plausible` is no span of time, or one of `ids` is no key of
        `SPELLINGS`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    company_column: str | None = None
    timezone: str = "UTC"
    timestamp_format: str | None = None
    decimal: str = "."
    thousands: str | None = None
    timestamp_unit: str | None = None
    plausible: str | None = None
    ids: Sequence[str] = ()
    not_customers: Sequence[str] = ()
    drop_copies: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.columns) - set(DEFAULT_COLUMNS)
        if unknown:
            raise IngestError(
                f"columns: {min(unknown)!r} is not a key; the keys are "
                f"{', '.join(DEFAULT_COLUMNS)} (a column of companies is the option "
                "--company-column)"
            )
        require_spellings(self.ids)
        for name in ("timestamp_format", "timestamp_unit", "thousands", "plausible"):
            require_text(name, getattr(self, name))
        _ = self.timestamps, self.amounts, self.plausible_span

    @cached_property
    def plausible_span(self) -> TimeSpan | None:
        """Return the span outside of which rows are refused; None where none was given."""
        if self.plausible is None:
            return None
        try:
            return TimeSpan.parse(self.plausible)
        except ValueError as error:
            raise IngestError(f"plausible: {error}") from error

    @cached_property
    def timestamps(self) -> TimestampReader:
        """Return the reader of timestamps."""
        return TimestampReader(self.timezone, self.timestamp_format, self.timestamp_unit)

    @cached_property
    def amounts(self) -> AmountFormat:
        """Return how amounts are written."""
        return AmountFormat(self.decimal, self.thousands)

    @cached_property
    def nobody(self) -> pa.Array:
        """Return the ids in `not_customers`, made alike as those of the files are."""
        return make_alike(pa.array(self.not_customers, pa.large_string()), self.ids)

    @cached_property
    def names_by_role(self) -> dict[str, str]:
        """Return the name of every column that is read, by its role."""
        company = {} if self.company_column is None else {"company_id": self.company_column}
        return {**company, **DEFAULT_COLUMNS, **self.columns}

    def source_of(self, each: Input) -> str:
        """Return the input's name and a hash of its content and of these options."""
        content = each.content_hash(self.names_by_role)
        options: tuple[object, ...] = (
            self.names_by_role,
            self.timezone,
            self.timestamp_format,
            self.decimal,
        )
        # Options that came later count only where they are given, so that sources stay the same.
        later = {
            "drop_copies": self.drop_copies or None,
            "thousands": self.thousands,
            "timestamp_unit": self.timestamp_unit,
            "plausible": self.plausible_span,
            "ids": tuple(sorted(self.ids)) or None,
            "not_customers": tuple(sorted(self.nobody.to_pylist())) or None,
        }
        options += tuple((name, value) for name, value in later.items() if value is not None)
        return f"{each.name}#{hashlib.sha256(repr((content, options)).encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class ParsedInput:
    """A parsed input: each of its records is either a row or refused.

    Attributes
    ----------
    input : Input
    source : str
        Its name and a hash of its content as read, as in the manifest's `sources`.
    company_id : str or None
        The company of all its rows; None where a column names companies.
    rows : pyarrow.Table
        By ROWS_SCHEMA, in their order; empty if `parse_input` handed them over.
    span : tuple of (int, int)
        The first and the last timestamp of its rows, in microseconds since 1970-01-01 UTC.
    n_rows : int
        Number of its rows, handed over or not.
    refused : list of Refusal
        By line.
    n_naive_timestamps : int
        Number of its rows that were written without a time zone.
    remarks : tuple of str
        What is odd about it, in sentences.
    traits : tuple of str
        What the refused records have in common, see `RecordSample.traits`.
    remedy : str
        What can be done about them.
    n_left_out : int
        Number of refused records that an option leaves out.
    not_met : frozenset of str
        The ids in `not_customers` that none of its records has.
    """

    input: Input
    source: str
    company_id: str | None
    rows: pa.Table
    span: tuple[int, int]
    n_rows: int
    refused: list[Refusal]
    n_naive_timestamps: int
    remarks: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    remedy: str = ""
    n_left_out: int = 0
    not_met: frozenset[str] = frozenset()

    @property
    def refused_share(self) -> float:
        """Return the share of its records that are refused, without those to be left out."""
        return (len(self.refused) - self.n_left_out) / max(1, self.n_rows + len(self.refused))


@dataclass
class _FileColumns:
    """What is found out about the columns of a file while it is parsed."""

    options: ReadOptions
    timestamps: TimestampColumn
    amounts: AmountColumn
    sample: RecordSample = field(default_factory=RecordSample)
    refused: list[Refusal] = field(default_factory=list)
    met: set[str] = field(default_factory=set)

    def remarks(self, each: Input, names: Mapping[str, str]) -> list[str]:
        """Return what is odd about them; raise `IngestError` where one has two readings."""
        timestamp, value = names["timestamp"], names["value"]
        self.timestamps.check(each.label, timestamp, each.row, in_python=each.in_python)
        self.amounts.check(each.label, value, each.row, in_python=each.in_python)
        return [
            *self.timestamps.remarks(each.label, timestamp, in_python=each.in_python),
            *self.amounts.remarks(each.label, value),
        ]

    @property
    def left_out(self) -> set[str]:
        """Return the reasons for which the caller wants rows to be refused."""
        nobody = {"customer_id_empty"} if "" in self.options.nobody.to_pylist() else set()
        return {NOT_A_CUSTOMER, OUTSIDE} | nobody

    @property
    def not_met(self) -> frozenset[str]:
        """Return the ids in `not_customers` that no record has, but for the empty one."""
        options = self.options
        pairs = zip(options.not_customers, options.nobody.to_pylist(), strict=True)
        return frozenset(name for name, alike in pairs if alike.strip() and alike not in self.met)

    def is_nobody(self, customers: pa.Array) -> np.ndarray:
        """Return which ids are in `not_customers`, and take note of them."""
        if not len(self.options.nobody):
            return np.zeros(len(customers), dtype=bool)
        found = pc.is_in(customers, value_set=self.options.nobody)
        self.met.update(customers.filter(found).unique().to_pylist())
        return found.to_numpy(zero_copy_only=False)

    def explanation(self, each: Input) -> str:
        """Say what refused timestamps may be if most are numbers; otherwise return nothing."""
        if readings := self.timestamps.readings:
            may_be = either_reading(readings, in_python=each.in_python)
            return f"{readings[0].number} may be {may_be}; say so"
        numbers = self.timestamps.unread_numbers
        n_unparsable = sum(refusal.reason == "timestamp_unparsable" for refusal in self.refused)
        return (
            numbers.explanation(in_python=each.in_python)
            if numbers.count * 2 > n_unparsable
            else ""
        )


def parse_input(
    each: Input,
    options: ReadOptions,
    *,
    keep_text: bool = False,
    hand_over: Callable[[pa.Table], object] | None = None,
) -> ParsedInput:
    """Parse a file or a table into rows and refused rows.

    Parameters
    ----------
    each : Input
    options : ReadOptions
    keep_text : bool
        Keep each row's text, for a caller that may refuse some of the rows.
    hand_over : callable, optional
        Takes the rows, by ROWS_SCHEMA, up to a hundred thousand at a time as they are read;
        `ParsedInput.rows` is then empty.

    Raises
    ------
    IngestError
        There is no such file, it cannot be read as a whole (see `read_csv`, `read_parquet`,
        `InputFrame`), it has no rows, or all of its rows are refused.
    """
    try:
        return _parse_input(each, options, keep_text, hand_over)
    except OSError as error:
        raise IngestError(
            f"{each.label} cannot be read: {error.strerror or error}; check the path and its "
            "permissions"
        ) from error


def _parse_input(
    each: Input,
    options: ReadOptions,
    keep_text: bool,
    hand_over: Callable[[pa.Table], object] | None,
) -> ParsedInput:
    source = options.source_of(each)
    company_id = None
    if options.company_column is None:
        named = pa.array([each.company_id], pa.large_string())
        company_id = make_alike(named, options.ids)[0].as_py()
    tables = [_NO_ROWS]
    n_rows = n_naive = 0
    first, last = LATEST, EARLIEST
    columns = _FileColumns(
        options, TimestampColumn(options.timestamps), AmountColumn(options.amounts)
    )
    for batch in each.batches(options.names_by_role):
        rows, naive = _parse_batch(batch, columns, company_id, keep_text)
        n_naive += naive
        _check_memory(each, columns.refused)
        if len(rows):
            times = rows["timestamp"].cast(pa.int64()).to_numpy()
            first, last = min(first, int(times.min())), max(last, int(times.max()))
            n_rows += len(rows)
            (hand_over or tables.append)(rows)
    remarks = columns.remarks(each, options.names_by_role)
    refused = sorted(columns.refused)
    numbers = columns.explanation(each)
    if not n_rows and (refused or not each.may_be_empty):
        raise IngestError(_why_no_rows(each, refused, numbers))
    return ParsedInput(
        input=each,
        source=source,
        company_id=company_id,
        rows=pa.concat_tables(tables),
        span=(first, last),
        n_rows=n_rows,
        refused=refused,
        n_naive_timestamps=n_naive,
        remarks=tuple(remarks),
        traits=tuple(columns.sample.traits(options.names_by_role, each.row)),
        remedy=remedy(each, refused, numbers) if refused else "",
        n_left_out=sum(refusal.reason in columns.left_out | NO_ROWS for refusal in refused),
        not_met=columns.not_met,
    )


def _parse_batch(
    batch: RecordBatch,
    found: _FileColumns,
    company_id: str | None,
    keep_text: bool,
) -> tuple[pa.Table, int]:
    """Return the rows of `batch` and the number of naive timestamps; note in `found` the rest."""
    n_records, columns = len(batch.lines), batch.columns
    if company_id is None:
        companies = make_alike(columns["company_id"], found.options.ids)
    else:
        companies = pa.repeat(pa.scalar(company_id, pa.large_string()), n_records)
    customers = make_alike(columns["customer_id"], found.options.ids)
    times = found.timestamps.read(columns["timestamp"], batch.lines)
    values, is_number = found.amounts.read(columns["value"], batch.lines)
    faults = {
        "customer_id_empty": _is_blank(customers),
        NOT_A_CUSTOMER: found.is_nobody(customers),
        "company_id_empty": _is_blank(companies),
        "timestamp_empty": _is_blank(columns["timestamp"]),
        "timestamp_unparsable": times.unparsable,
        "timestamp_out_of_range": times.out_of_range,
        "timestamp_ambiguous": times.ambiguous,
        OUTSIDE: _is_outside(times.microseconds, found.options.plausible_span),
        "value_empty": _is_blank(columns["value"]),
        "value_unparsable": ~is_number,
        "value_not_finite": ~np.isfinite(values),
    }
    reasons = list(faults)
    fault = np.select(list(faults.values()), range(len(faults)), default=-1)
    found.refused += batch.refused
    for i in np.flatnonzero(fault >= 0).tolist():
        company = None if faults["company_id_empty"][i] else companies[i].as_py()
        found.refused.append(
            Refusal(int(batch.lines[i]), reasons[fault[i]], batch.text(i), company)
        )
    kept = fault < 0
    left_out = [code for code, reason in enumerate(reasons) if reason in found.left_out]
    found.sample.add(batch, refused=~kept & ~np.isin(fault, left_out), kept=kept)
    found.sample.add_values(values[kept])
    rows = [
        companies,
        customers,
        pa.array(times.microseconds).cast(TIME),
        pa.array(values),
        pa.array(times.midnight),
        pa.array(batch.lines),
        [batch.text(i) for i in range(n_records)] if keep_text else pa.nulls(n_records),
    ]
    n_naive = int(np.count_nonzero(times.naive & kept))
    return pa.table(rows, schema=ROWS_SCHEMA).filter(pa.array(kept)), n_naive


def _is_outside(times: np.ndarray, span: TimeSpan | None) -> np.ndarray:
    if span is None:
        return np.zeros(len(times), dtype=bool)
    return (times < span.start) | (times >= span.end)


def _is_blank(column: pa.Array) -> np.ndarray:
    if pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
    return column.is_null().to_numpy(zero_copy_only=False)


def _check_memory(each: Input, refused: list[Refusal]) -> None:
    """Raise `IngestError` where more rows are refused than memory should hold."""
    if len(refused) > REFUSED_HELD:
        first = min(refused)
        raise IngestError(
            f"{each.label}: more than {REFUSED_HELD:,} rows are refused; the first is {each.row} "
            f"{first.line} ({first.reason}): {first.text!r}. Correct the file, or say how it is "
            "written"
        )


def _why_no_rows(each: Input, refused: list[Refusal], numbers: str) -> str:
    if not refused:
        return f"{each.label} has a header but no rows; give one with rows"
    counts = Counter(refusal.reason for refusal in refused).most_common()
    return (
        f"{each.label}: all {len(refused)} rows are refused ("
        + ", ".join(f"{reason} {count}" for reason, count in counts)
        + f"); the first is {each.row} {refused[0].line}: {refused[0].text!r}. "
        + remedy(each, refused, numbers)
    )
