"""Ingest files or tables of transactions into a new dataset or an existing one.

All files are parsed before a company is written: rows that do not fit into memory are spilled to
disk, divided by company, and then brought together partition by partition (see `ingest.shuffle`).
Companies' files are written under new names, and last the manifest that names them. Refused rows
are kept in the dataset too (see `ingest.refused`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from scale_eval.datasets.dataset import Dataset
from scale_eval.datasets.file_layout import CompanyToWrite, write_companies
from scale_eval.datasets.ingest.arguments import (
    listed_sources,
    listed_texts,
    require_names,
    require_share,
    zone_name,
)
from scale_eval.datasets.ingest.company_from import (
    check_companies_are_told,
    pattern_for_folders,
)
from scale_eval.datasets.ingest.company_parts import part_remarks
from scale_eval.datasets.ingest.copies import check_no_copies, copy_remarks
from scale_eval.datasets.ingest.default_columns import DEFAULT_COLUMNS
from scale_eval.datasets.ingest.ids import IdRemarks, company_remarks, not_met_remarks
from scale_eval.datasets.ingest.inputs import Input, InputFile, inputs_of
from scale_eval.datasets.ingest.merge import CompanyUpdate, Merge
from scale_eval.datasets.ingest.parse import ParsedInput, ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.ingest.refused import (
    all_refused,
    read_refused,
    refused_lines,
    rows_to_keep,
    write_refused,
)
from scale_eval.datasets.ingest.refused_share import (
    MAX_REFUSED,
    check_implausible_share,
    check_refused_share,
    share_remark,
)
from scale_eval.datasets.ingest.report import (
    IngestReport,
    replacement_remarks,
    summarize_companies,
    summarize_files,
    summarize_gaps,
    summarize_refused,
)
from scale_eval.datasets.ingest.shuffle import ShuffleBuffer, n_partitions_of
from scale_eval.datasets.ingest.text_options import TextOptions
from scale_eval.datasets.instants import from_microseconds
from scale_eval.datasets.manifest import (
    MANIFEST,
    TRANSACTIONS,
    commit,
    manifest_table,
    named_files,
    read_manifest_rows,
    require_place,
    require_readable,
)
from scale_eval.datasets.uncommitted import remove_uncommitted
from scale_eval.storage import Store, open_store

__all__ = ["IngestError", "IngestReport", "ingest"]

_REMEDIES = {
    errno.ENOSPC: "free space there or choose another place",
    errno.EDQUOT: "free space there or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may write, or ask for the permission",
    errno.EPERM: "choose a place that you may write, or ask for the permission",
    errno.ENOTDIR: "choose a place that is a directory, or does not exist yet",
}


def ingest(
    files: Any,
    into: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] = DEFAULT_COLUMNS,
    company_column: str | None = None,
    append: bool = False,
    replace: bool = False,
    timezone: str = "UTC",
    timestamp_format: str | None = None,
    decimal: str = ".",
    thousands: str | None = None,
    timestamp_unit: str | None = None,
    plausible: str | None = None,
    separator: str | None = None,
    skip_lines: int | None = None,
    encoding: str | None = None,
    company_from: str | None = None,
    max_refused: float = MAX_REFUSED,
    drop_copies: bool = False,
    ids: str | Sequence[str] = (),
    not_customers: str | Sequence[str] = (),
) -> IngestReport:
    """Read files or tables of transactions into the dataset at `into`; create it if need be.

    For each file, rows in = rows kept + rows refused. A refused row is listed in `refused.parquet`
    as long as the dataset holds other rows of its file. Ingesting the same file again changes
    nothing. If an error is raised, the dataset stays as it was. All of this holds for a table in
    memory as well.

    Parameters
    ----------
    files : path, sequence of paths, mapping of tables, table, or sequence of tables
        A file is delimited text (plain, gzip or zip) or Parquet; the content says which. It holds
        one company, named by the file's stem. A folder stands for all files in it, and a pattern
        such as ``"*.csv"`` for those that match. A table is a DataFrame of pandas, or one with the
        Arrow PyCapsule interface (pyarrow, polars); a mapping names the company of each table,
        ``{"shop": frame}``. The index of a DataFrame is ignored, and its rows are numbered from 1.
    into : path
    columns : mapping
        The names that the columns `customer_id`, `timestamp` and `value` have in the files.
    company_column : str, optional
        The files or tables are parts of one table, and this column names the company of each row.
    append : bool
        Add rows to companies of the dataset. Rows that are not later than a company's last (on a
        later day, where it has dates only) are refused with the reason `overlap`.
    replace : bool
        Replace the rows of companies that the dataset already has.
    timezone : str
        The zone of timestamps written without one.
    timestamp_format : str, optional
        As for `strptime`; ISO 8601 without it. ``%Z`` reads abbreviations such as ``CEST``; one
        that means several zones is an error, unless it is one of `timezone`.
    decimal : ``"."`` or ``","``
        The decimal mark of values.
    thousands : ``","``, ``"."``, ``"'"``, ``"space"`` or ``"none"``, optional
        The mark that divides thousands in values. By default any is read that leaves no doubt, and
        a file is an error whose values leave open whether ``1.234`` is more than a thousand.
        Currency signs and codes, brackets and a minus behind the number are read as well.
    timestamp_unit : ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or ``"excel"``, optional
        Timestamps are unix time in this unit, or the days of a spreadsheet (from 1899-12-30, in
        `timezone`, rounded to seconds). By default whole numbers of 10, 13, 16 or 19 digits are
        read as unix time, if the first timestamp of a file is one and they are no dates.
    plausible : str, optional
        ``"FROM..TO"``, such as ``"2015-01-01..2024-12-31"`` (UTC): rows outside are refused with
        the reason `outside_plausible_range`, and ``".."`` refuses none. Without it, rows are
        refused that lie more than five years from all others of their company, if these are ten
        times as many, or if the rows are of one day.
    separator : str, optional
        The character between the fields of text. Without it, the one under which the header has
        the columns: comma, semicolon, tab, ``|``, ``^`` or ``~``.
    skip_lines : int, optional
        The lines above the header. Without it, the header is the first line with all the columns.
    encoding : str, optional
        The encoding of text, such as ``"cp1252"``. Without it UTF-8, or UTF-16 where it is
        recognized, and any other text is an error.
    company_from : str, optional
        A path, or a part of one, with ``{company}`` where the company stands, such as
        ``"shop={company}/"`` or ``"{company}-????-??.csv"``; or a regular expression with one
        group. The files are parts of companies then.
    max_refused : float
        The share of the rows of a file that may be refused, from 0 to 1; rows that overlap with the
        dataset's do not count. Beyond it the rows that remain are hardly those of the same company,
        and that is an error.
    drop_copies : bool
        Refuse rows that another file of their company has too, with the reason `in_another_file`;
        copies within a file are kept. By default the report says how many there are.
    ids : sequence of str
        Differences between ids of customers and companies that are to be ignored: ``"blanks"``
        around them, ``"case"`` (they become small letters), leading ``"zeros"``, ``"unicode"``
        (composed and decomposed letters, full-width digits) and ``"invisible"`` (characters that
        nobody sees, such as a byte-order mark within). By default ids are what they are, and the
        report says where some differ in one of these only.
    not_customers : sequence of str
        Ids, such as ``"0"`` or ``"guest"``, that stand for people whom nobody knows; their rows are
        refused with the reason `not_a_customer`. An empty text means the rows without an id. They
        are made alike by `ids`, too.

    Raises
    ------
    IngestError
        An option is invalid; a file or table is missing, unreadable, empty, without the columns, or
        refused in all of its rows or in more than `max_refused` of them; a column can be read in
        two ways; nothing names the company of a table; two files hold one company; the dataset has
        other rows of a company, and neither `append` nor `replace` is given; `into` is no place for
        a dataset, or cannot be written.
    StoreLocked
        Another process is writing to the dataset.
    ValueError
        `into` is an address that no kind of store serves, or a dataset of another format than the
        one this version reads.
    """
    if append and replace:
        raise IngestError("append and replace exclude each other; choose one")
    require_share(max_refused)
    files, timezone = listed_sources(files), zone_name(timezone)
    require_names(columns, company_column)
    options = ReadOptions(
        columns,
        company_column,
        timezone,
        timestamp_format,
        decimal,
        thousands=thousands,
        timestamp_unit=timestamp_unit,
        plausible=plausible,
        ids=listed_texts("ids", ids, "case"),
        not_customers=listed_texts("not_customers", not_customers, "Total"),
        drop_copies=drop_copies,
    )
    text = TextOptions(separator, skip_lines, encoding)
    inputs = inputs_of(files, company_column, company_from, text)
    store = open_store(into)
    _check_place(store)
    _check_not_of_dataset(inputs, store)
    with (
        _lock_when_needed(store) as take_lock,
        ShuffleBuffer(store, lambda: n_partitions_of(inputs), take_lock) as buffer,
    ):
        parsed = [
            parse_input(each, options, keep_text=append, hand_over=_adding_to(buffer, store, i))
            for i, each in enumerate(inputs)
        ]
        _check_any_rows(parsed)
        _check_one_company_a_file(parsed, append)
        if not drop_copies:
            check_no_copies(parsed)
        check_refused_share(parsed, max_refused)
        with _explaining_errors(store):
            take_lock()
            if company_from is None and company_column is None:
                _check_companies_are_told(store, parsed)
            return _merge(
                store,
                parsed,
                buffer,
                append=append,
                replace=replace,
                any_year=plausible is not None,
                drop_copies=drop_copies,
                max_refused=max_refused,
                timezone=timezone,
            )


def _check_place(store: Store) -> None:
    """Raise `IngestError` where `store` holds something other than a dataset."""
    try:
        require_place(store)
    except OSError as error:
        raise IngestError(str(error)) from error
    if store.exists(MANIFEST):
        with _explaining_errors(store):
            require_readable(store)


def _check_not_of_dataset(inputs: Sequence[Input], store: Store) -> None:
    """Raise `IngestError` where an input is a file of the dataset itself, which may remove it."""
    root, named = Path(store.root).resolve(), named_files(store) | {MANIFEST}
    paths = [each.path for each in inputs if isinstance(each, InputFile)]
    for path in paths:
        real = path.resolve()
        if real.is_relative_to(root) and real.relative_to(root).as_posix() in named:
            raise IngestError(f"{path} is a file of the dataset itself; name another")


def _check_one_company_a_file(parsed: Sequence[ParsedInput], append: bool) -> None:
    """Raise `IngestError` where two files hold one company and cannot be appended."""
    by_company = defaultdict(list)
    for file in parsed:
        if not file.input.is_part and file.company_id is not None:
            by_company[file.company_id].append((*file.span, file.input.label))
    for company_id, parts in by_company.items():
        for (_, end, path), (begin, _, next_path) in pairwise(sorted(parts)):
            if not append:
                pattern = pattern_for_folders(path, next_path)
                asked = option("company_from", pattern)
                folders = f", or a folder does: {asked}" if pattern else ""
                raise IngestError(
                    f"{path} and {next_path} are both company {company_id!r}; rename one, append "
                    "one to the other (--append), or say which column has the company "
                    f"(--company-column){folders}"
                )
            if begin <= end:
                raise IngestError(
                    f"{path} and {next_path} are both company {company_id!r} and overlap: one "
                    f"ends at {from_microseconds(end)}, the other begins at "
                    f"{from_microseconds(begin)}; cut one of them"
                )


def _check_any_rows(parsed: Sequence[ParsedInput]) -> None:
    """Raise `IngestError` where all files are empty, as single parts of a table may be."""
    if not any(file.n_rows for file in parsed):
        raise IngestError(
            f"{parsed[0].input.label} has a header but no rows, and so have the others; give some "
            "with rows"
        )


def _check_companies_are_told(store: Store, parsed: Sequence[ParsedInput]) -> None:
    """Raise `IngestError` where a file is a part of a company of the dataset by its name."""
    labels = {
        each.company_id: each.input.label
        for each in parsed
        if each.company_id is not None and not each.input.in_python
    }
    check_companies_are_told(labels, read_manifest_rows(store))


@contextlib.contextmanager
def _lock_when_needed(store: Store) -> Iterator[Callable[[], None]]:
    """Yield a function whose first call locks `store` and deletes what a killed writer left."""
    with contextlib.ExitStack() as stack:
        is_locked = False

        def take_lock() -> None:
            nonlocal is_locked
            if not is_locked:
                stack.enter_context(store.lock())
                is_locked = True
                store.delete_unfinished([TRANSACTIONS])
                remove_uncommitted(store, named_files(store))

        yield take_lock


def _adding_to(buffer: ShuffleBuffer, store: Store, file: int) -> Callable[[pa.Table], None]:
    """Return a function that adds rows of the file at the position `file` to the buffer."""

    def add(rows: pa.Table) -> None:
        with _explaining_errors(store):
            buffer.add(rows, file)

    return add


@contextlib.contextmanager
def _explaining_errors(store: Store) -> Iterator[None]:
    """Turn errors of reading and writing the store into `IngestError`, with a remedy."""
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
    parsed: Sequence[ParsedInput],
    buffer: ShuffleBuffer,
    *,
    append: bool,
    replace: bool,
    any_year: bool,
    drop_copies: bool,
    max_refused: float,
    timezone: str,
) -> IngestReport:
    """Merge parsed files into the dataset, which this process has locked."""
    manifest = read_manifest_rows(store)
    refused_before = read_refused(store)
    merge = Merge(
        store,
        buffer.sorted_partitions(),
        [file.source for file in parsed],
        manifest,
        {} if replace else refused_lines(parsed, refused_before),
        append=append,
        replace=replace,
        any_year=any_year,
        drop_copies=drop_copies,
        timezone=timezone,
        in_python=any(file.input.in_python for file in parsed),
    )
    updates: list[CompanyUpdate] = []
    by_merge: list[pa.Table] = []
    for rows in buffer.partitions():
        new_updates, new_refused = merge.updates(rows, buffer.company_ids)
        updates += new_updates
        by_merge.append(rows_to_keep(new_refused, buffer.company_ids))
        del rows, new_refused  # the next partition takes their memory
    refused = all_refused(parsed, pa.concat_tables(by_merge))
    if not any_year:
        check_implausible_share(parsed, refused, merge.span, max_refused)
    files = summarize_files(parsed, refused, updates)
    changed = [update for update in updates if update.status != "unchanged"]
    names = [update.company_id for update in changed]
    in_python = any(file.input.in_python for file in parsed)
    id_remarks = IdRemarks()

    def company_to_write(i: int) -> CompanyToWrite:
        company = merge.company_to_write(changed[i])
        id_remarks.add(company.company)
        return company

    try:
        written = write_companies(
            store, names, [update.n_rows for update in changed], company_to_write
        )
        before = manifest
        manifest = {**before, **{row["company_id"]: row for row in written}}
        write_refused(store, refused_before, refused, updates, manifest)
    except BaseException:
        remove_uncommitted(store, named_files(store))
        raise
    commit(store, manifest_table(manifest.values()))
    return IngestReport(
        dataset=Dataset(store),
        files=files,
        companies=summarize_companies(updates, manifest),
        gaps=summarize_gaps(updates, manifest),
        refused=summarize_refused(refused),
        naive_timestamps=int(files["n_naive_timestamps"].sum()),
        timezone=timezone,
        remarks=(
            *(remark for file in parsed for remark in [*file.remarks, *share_remark(file)]),
            *not_met_remarks(
                frozenset.intersection(*(file.not_met for file in parsed)), in_python=in_python
            ),
            *id_remarks.sentences(in_python=in_python),
            *company_remarks(manifest, names, in_python=in_python),
            *copy_remarks(merge.copies, parsed, manifest, names),
            *replacement_remarks(updates, before, manifest),
            *part_remarks(manifest, names, parsed, Dataset(store)),
        ),
    )
