"""Ingest: files of transactions become a Dataset, or more of one.

All files are parsed before anything is written: what is too much for memory is put aside on disk,
divided by company, and then brought together part by part (see `ingest.shuffle`).
Companies' files are written under names that nobody reads yet, and the manifest last. What is
refused is kept beside the rows, with its file, line and reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.dataset import (
    MANIFEST,
    REFUSED,
    Dataset,
    commit,
    read_manifest_rows,
    remove_unnamed,
)
from scale_eval.datasets.file_layout import write_deliveries
from scale_eval.datasets.ingest.merge import CompanyUpdate, Merging
from scale_eval.datasets.ingest.parse import (
    DEFAULT_COLUMNS,
    REFUSED_SCHEMA,
    ParsedFile,
    Reading,
    parse_file,
)
from scale_eval.datasets.ingest.records import IngestError, Refusal
from scale_eval.datasets.ingest.shuffle import ShuffleBuffer, n_parts_of
from scale_eval.datasets.instants import from_microseconds
from scale_eval.storage import Store, open_store, read_table, write_table

__all__ = ["DEFAULT_COLUMNS", "IngestError", "IngestReport", "ingest"]

_REMEDIES = {
    errno.ENOSPC: "free space there or choose another place",
    errno.EDQUOT: "free space there or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may write, or ask for the permission",
    errno.EPERM: "choose a place that you may write, or ask for the permission",
    errno.ENOTDIR: "choose a place that is a directory, or does not exist yet",
}


@dataclass(frozen=True)
class IngestReport:
    """What an ingest read, kept and refused.

    Attributes
    ----------
    dataset : Dataset
    files : DataFrame
        One row a file: `file, rows_in, rows_kept, rows_refused, n_naive_timestamps, status`;
        `status` is ``ingested``, or ``unchanged`` where the dataset already had its rows.
    companies : DataFrame
        One row a company of these files: `company_id, status, rows, customers, first, last,
        refunds, zero_values, duplicates, one_time_buyers`, as the dataset now has it; `status` is
        ``new``, ``appended``, ``replaced`` or ``unchanged``.
    refused : DataFrame
        One row a reason for which rows of these files were refused: `reason, count, first_file,
        first_line`.
    naive_timestamps : int
        Timestamps of kept rows that were written without a time zone; taken to be in `timezone`.
    timezone : str
    """

    dataset: Dataset
    files: pd.DataFrame
    companies: pd.DataFrame
    refused: pd.DataFrame
    naive_timestamps: int
    timezone: str


def ingest(
    files: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] = DEFAULT_COLUMNS,
    company_column: str | None = None,
    append: bool = False,
    replace: bool = False,
    timezone: str = "UTC",
    timestamp_format: str | None = None,
    decimal: str = ".",
) -> IngestReport:
    """Read files of transactions into the dataset at `into`, which is made if it is not there.

    Of each file, rows in = rows kept + rows refused; a refused row is kept in `refused.parquet` as
    long as its file feeds a company. The same file again changes nothing. Whatever is raised, the
    dataset stays as it was.

    Parameters
    ----------
    files : sequence of paths
        Delimited text (comma, semicolon or tab; plain, gzip or zip) or Parquet; the content says
        which. A file is a company, named by its stem.
    into : path
    columns : mapping
        What the columns `customer_id`, `timestamp` and `value` are called in the files.
    company_column : str, optional
        The files are parts of one table, and this column says whose each row is.
    append : bool
        Add rows to companies that are known. Those not later than a company's last (a later day
        where it has dates only) are refused with reason `overlap`.
    replace : bool
        These rows take the place of those that a known company has.
    timezone : str
        Of timestamps written without one.
    timestamp_format : str, optional
        As for `strptime`; ISO 8601 without it.
    decimal : ``"."`` or ``","``
        The decimal mark of values.

    Raises
    ------
    IngestError
        An option is none; a file is missing, unreadable, empty, without the columns, or refused in
        all of its rows; two files are one company; a company is known with other rows, and neither
        `append` nor `replace` is given; `into` is no place for a dataset, or cannot be written.
    StoreLocked
        Another process is writing to the dataset.
    ValueError
        `into` is an address that no kind of store serves.
    """
    if append and replace:
        raise IngestError("append and replace exclude each other; choose one")
    reading = Reading(columns, company_column, timezone, timestamp_format, decimal)
    paths = [Path(file) for file in ([files] if isinstance(files, str | os.PathLike) else files)]
    if not paths:
        raise IngestError("no files are given; name at least one")
    store = open_store(into)
    _check_place(store)
    with _held(store) as hold, ShuffleBuffer(store, lambda: n_parts_of(paths), hold) as arriving:
        parsed = [
            parse_file(path, reading, keep_text=append, hand_over=_taking(store, arriving, i))
            for i, path in enumerate(paths)
        ]
        if company_column is None:
            _check_one_company_a_file(parsed, append)
        else:
            _check_no_copies(parsed)
        with _explained(store):
            hold()
            return _merge(
                store, parsed, arriving, append=append, replace=replace, timezone=timezone
            )


def _check_place(store: Store) -> None:
    """Raise `IngestError` where `store` holds something else than a dataset."""
    try:
        names = store.names("*")
    except NotADirectoryError as error:
        raise IngestError(str(error)) from error
    # What an ingest leaves behind that was interrupted before its first manifest.
    others = set(names) - {"transactions", REFUSED}
    if others and not store.exists(MANIFEST):
        raise IngestError(
            f"{store.root} is not a dataset and holds other things ({min(others)!r}); choose "
            "an empty directory, or a name that is free"
        )


def _check_one_company_a_file(parsed: Sequence[ParsedFile], append: bool) -> None:
    """Raises `IngestError` where two files are one company, but for parts that can be appended."""
    by_company = defaultdict(list)
    for file in parsed:
        by_company[file.company_id].append((*file.span, file.path))
    for company_id, parts in by_company.items():
        for (_, end, path), (begin, _, next_path) in pairwise(sorted(parts)):
            if not append:
                raise IngestError(
                    f"{path} and {next_path} are both company {company_id!r}; rename one, append "
                    "one to the other (--append), or say which column has the company "
                    "(--company-column)"
                )
            if begin <= end:
                raise IngestError(
                    f"{path} and {next_path} are both company {company_id!r} and overlap: one "
                    f"ends at {from_microseconds(end)}, the other begins at "
                    f"{from_microseconds(begin)}; cut one of them"
                )


def _check_no_copies(parsed: Sequence[ParsedFile]) -> None:
    """Raises `IngestError` where two parts of a table are the same bytes."""
    by_content: dict[str, ParsedFile] = {}
    for file in parsed:
        other = by_content.setdefault(file.source.rpartition("#")[2], file)
        if other is not file:
            raise IngestError(f"{other.path} and {file.path} are the same rows; give one of them")


@contextlib.contextmanager
def _held(store: Store) -> Iterator[Callable[[], None]]:
    """Gives what takes the lock of `store` when first called, and removes what others left."""
    with contextlib.ExitStack() as stack:
        is_held = False

        def hold() -> None:
            nonlocal is_held
            if not is_held:
                stack.enter_context(store.lock())
                is_held = True
                store.delete_unfinished()

        yield hold


def _taking(store: Store, arriving: ShuffleBuffer, file: int) -> Callable[[pa.Table], None]:
    """What takes the rows of a file, at its position."""

    def take(rows: pa.Table) -> None:
        with _explained(store):
            arriving.add(rows, file)

    return take


@contextlib.contextmanager
def _explained(store: Store) -> Iterator[None]:
    """Turns the errors of a place that cannot be read or written into `IngestError`."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        number = getattr(error, "errno", None)
        if number in _REMEDIES:
            fault = f"{os.strerror(number)}; {_REMEDIES[number]}"
        else:
            fault = f"{error}; check the place, then run the same command again"
        raise IngestError(f"{store.root}: {fault}. The dataset is as it was before") from error


def _merge(
    store: Store,
    parsed: Sequence[ParsedFile],
    arriving: ShuffleBuffer,
    *,
    append: bool,
    replace: bool,
    timezone: str,
) -> IngestReport:
    """Bring parsed files into the dataset whose lock is held."""
    known = read_manifest_rows(store)
    before = _read_refused(store)
    late_lines = {} if replace else _late_lines(parsed, before)
    merging = Merging(
        store,
        arriving.shelf(),
        [file.source for file in parsed],
        known,
        late_lines,
        append=append,
        replace=replace,
        timezone=timezone,
    )
    arrived: list[CompanyUpdate] = []
    refused_late: list[pa.Table] = []
    for rows in arriving.parts():
        of_part, late = merging.arrivals(rows, arriving.company_ids)
        arrived += of_part
        refused_late.append(_late(late, arriving.company_ids))
        del rows, late
    refused = _refused(parsed, pa.concat_tables(refused_late))
    files = _file_summary(parsed, refused, arrived)
    after = dict(known)
    changed = [each for each in arrived if each.status != "unchanged"]
    try:
        written = write_deliveries(
            store,
            [each.company_id for each in changed],
            [each.n_rows for each in changed],
            lambda i: merging.delivery(changed[i]),
        )
        after.update((row["company_id"], row) for row in written)
        _write_refused(store, before, refused, arrived, after)
    except BaseException:
        remove_unnamed(store, {row["path"] for row in known.values()})
        raise
    commit(store, after.values())
    return IngestReport(
        dataset=Dataset(store),
        files=files,
        companies=_company_summary(arrived, after),
        refused=_refused_summary(refused),
        naive_timestamps=int(files["n_naive_timestamps"].sum()),
        timezone=timezone,
    )


def _read_refused(store: Store) -> pa.Table:
    if not store.exists(REFUSED):
        return REFUSED_SCHEMA.empty_table()
    return read_table(store, REFUSED, schema=REFUSED_SCHEMA)


def _late_lines(parsed: Sequence[ParsedFile], before: pa.Table) -> dict[int, list[int]]:
    """Lines that an earlier ingest of the same file refused as overlapping, by position of file.

    They are refused again: the same file again changes nothing.
    """
    lines = defaultdict(list)
    for row in before.filter(pc.equal(before["reason"], "overlap")).to_pylist():
        lines[row["source"]].append(row["line"])
    return {i: lines[file.source] for i, file in enumerate(parsed) if file.source in lines}


def _late(rows: pa.Table, company_ids: Sequence[str]) -> pa.Table:
    """Of late rows (ARRIVING_SCHEMA) what is told of them, with their companies by name."""
    names = [company_ids[code] for code in rows["company"].to_pylist()]
    told = rows.select(["file", "line", "text"])
    return told.append_column("company_id", pa.array(names, pa.string()))


def _refused(parsed: Sequence[ParsedFile], late: pa.Table) -> pd.DataFrame:
    """The refused rows of this ingest, by file and line."""
    records = [(i, *refusal) for i, file in enumerate(parsed) for refusal in file.refused]
    for row in late.to_pylist():
        refusal = Refusal(row["line"], "overlap", row["text"], row["company_id"])
        records.append((row["file"], *refusal))
    frame = pd.DataFrame(records, columns=["position", *Refusal._fields])
    frame["file"] = [parsed[i].path.name for i in frame["position"]]
    frame["source"] = [parsed[i].source for i in frame["position"]]
    return frame.sort_values(["position", "line"], ignore_index=True)


def _write_refused(
    store: Store,
    before: pa.Table,
    refused: pd.DataFrame,
    arrived: Sequence[CompanyUpdate],
    after: Mapping[str, dict[str, Any]],
) -> None:
    """Keep the refused rows of every file that feeds a company; each once."""
    feeding = {source for row in after.values() for source in row["sources"]}
    replaced = [each.company_id for each in arrived if each.status == "replaced"]
    old = before.to_pandas()
    old = old[~old["company_id"].isin(replaced)]
    frame = pd.concat([old, refused[REFUSED_SCHEMA.names]])
    frame = frame[frame["source"].isin(feeding)].drop_duplicates(["source", "line"])
    table = pa.Table.from_pandas(
        frame.sort_values(["file", "source", "line"]), schema=REFUSED_SCHEMA, preserve_index=False
    ).replace_schema_metadata()
    if not store.exists(REFUSED) or not table.equals(before):
        write_table(store, REFUSED, table)


def _file_summary(
    parsed: Sequence[ParsedFile], refused: pd.DataFrame, arrived: Sequence[CompanyUpdate]
) -> pd.DataFrame:
    """One row a file; raises `IngestError` where nothing of a file is left."""
    n_refused = refused["position"].value_counts()
    feeding = {i for each in arrived if each.status != "unchanged" for i in each.files}
    summary = []
    for i, file in enumerate(parsed):
        rows_in = file.n_rows + len(file.refused)
        rows_refused = int(n_refused.get(i, 0))
        if rows_refused == rows_in:
            raise IngestError(
                f"{file.path}: every row is refused or overlaps what is known of its company; "
                "append files whose rows are later, or replace the company (--replace)"
            )
        summary.append(
            {
                "file": str(file.path),
                "rows_in": rows_in,
                "rows_kept": rows_in - rows_refused,
                "rows_refused": rows_refused,
                "n_naive_timestamps": file.n_naive_timestamps,
                "status": "ingested" if i in feeding else "unchanged",
            }
        )
    return pd.DataFrame(summary)


def _company_summary(
    arrived: Sequence[CompanyUpdate], after: Mapping[str, dict[str, Any]]
) -> pd.DataFrame:
    summary = []
    for each in sorted(arrived, key=lambda each: each.company_id):
        row = after[each.company_id]
        summary.append(
            {
                "company_id": each.company_id,
                "status": each.status,
                "rows": row["n_rows"],
                "customers": row["n_customers"],
                "first": from_microseconds(row["first_timestamp"]),
                "last": from_microseconds(row["last_timestamp"]),
                "refunds": row["n_refunds"],
                "zero_values": row["n_zero_values"],
                "duplicates": row["n_duplicates"],
                "one_time_buyers": row["n_one_time_buyers"],
            }
        )
    return pd.DataFrame(summary)


def _refused_summary(refused: pd.DataFrame) -> pd.DataFrame:
    """One row a reason, the most frequent first."""
    summary = refused.groupby("reason", as_index=False).agg(
        count=("line", "size"), first_file=("file", "first"), first_line=("line", "first")
    )
    return summary.sort_values("count", ascending=False, kind="stable", ignore_index=True)
