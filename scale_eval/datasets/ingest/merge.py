"""Merge the companies that files bring into a dataset: new, unchanged, replaced or appended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.file_layout import CompanyToWrite
from scale_eval.datasets.ingest.copies import COPY, count_copies, other_files
from scale_eval.datasets.ingest.plausible import OUTSIDE, implausible_rows
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.ingest.row_order import row_order
from scale_eval.datasets.ingest.shuffle import (
    BUFFERED_SCHEMA,
    SORTED_SCHEMA,
    RowRange,
    SortedPartitions,
)
from scale_eval.datasets.instants import DAY, EARLIEST, LATEST, from_microseconds, microseconds
from scale_eval.datasets.manifest import TRANSACTIONS_SCHEMA, content_hash, require_inside
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import Store, read_row_groups

_WRITTEN_SCHEMA = pa.schema(list(TRANSACTIONS_SCHEMA)[1:])
"""Columns of a company's rows in the dataset, without its id."""

OVERLAP = "overlap"
"""The reason for which rows are refused that are not later than those of the dataset."""

REFUSED_ROWS_SCHEMA = pa.schema([*BUFFERED_SCHEMA, ("reason", pa.string())])
"""Columns of the rows that a merge refuses."""


@dataclass(frozen=True, slots=True)
class CompanyUpdate:
    """A company update says which rows an ingest brings to a company, and what becomes of them.

    Attributes
    ----------
    company_id : str
    status : str
        ``new``, ``replaced``, ``appended`` or ``unchanged``.
    files : tuple of int
        Positions of the files whose rows are to be written; empty where it is unchanged.
    dates_only : bool
        All timestamps of the rows to be written are dates.
    rows : RowRange
        The place of these rows until they are written.
    """

    company_id: str
    status: str
    files: tuple[int, ...]
    dates_only: bool
    rows: RowRange

    @property
    def n_rows(self) -> int:
        """Return the number of rows to be written, without those that the company already has."""
        return self.rows.stop - self.rows.start


class Merge:
    """A merge decides what is done with each company that files bring.

    Parameters
    ----------
    store : Store
        The dataset.
    partitions : SortedPartitions
        Holds companies until they are written.
    sources : sequence of str
        The source of each file, by position.
    manifest : mapping
        The dataset's rows of the manifest, by company.
    refused_lines : mapping of str to mapping
        By reason: for each file, by its position, the lines that an earlier merge refused.
    append, replace : bool
    any_year : bool
        Take rows as they are that lie implausibly far from the others of their company.
    drop_copies : bool
        Refuse rows that another file of their company has too.
    timezone : str
    in_python : bool
        Whether messages name options as Python does.

    Attributes
    ----------
    span : tuple of (int, int)
        The first and the last timestamp of the rows that were not refused, in microseconds since
        1970-01-01 UTC.
    copies : Counter
        How many rows are to be written that another file of their company has too, by the positions
        of the two files.
    """

    def __init__(
        self,
        store: Store,
        partitions: SortedPartitions,
        sources: Sequence[str],
        manifest: Mapping[str, dict[str, Any]],
        refused_lines: Mapping[str, Mapping[int, Sequence[int]]],
        *,
        append: bool,
        replace: bool,
        any_year: bool = False,
        drop_copies: bool = False,
        timezone: str,
        in_python: bool = False,
    ) -> None:
        self._partitions, self._sources, self._manifest = partitions, sources, manifest
        self._store, self._existing = store, _ExistingRows(store)
        self._append, self._replace, self._timezone = append, replace, timezone
        self._in_python, self._any_year = in_python, any_year
        self._drop_copies = drop_copies
        self.span = (LATEST, EARLIEST)
        self.copies: Counter[tuple[int, int]] = Counter()
        self._refused_lines = {  # file and line in one integer
            reason: np.array([(i << 40) | line for i in by_file for line in by_file[i]], np.int64)
            for reason, by_file in refused_lines.items()
        }

    def updates(
        self, rows: pa.Table, company_ids: Sequence[str]
    ) -> tuple[list[CompanyUpdate], pa.Table]:
        """Return the update of each company in `rows`, which are all rows of these companies.

        A company is unchanged if its files are already among its sources, or if they bring just the
        rows that it already has; but if its file in the dataset was lost, it is written again.

        Parameters
        ----------
        rows : pyarrow.Table
            By BUFFERED_SCHEMA.
        company_ids : sequence of str
            The company of each code.

        Returns
        -------
        updates : list of CompanyUpdate
            Sorted by company.
        refused : pyarrow.Table
            Rows that are not later than those of the dataset, lie implausibly far from the others
            of their company, or are in another file too; by REFUSED_ROWS_SCHEMA.

        Raises
        ------
        IngestError
            The dataset has other rows of a company, and neither `append` nor `replace` is given.
        """
        refused = [REFUSED_ROWS_SCHEMA.empty_table()]
        for reason, refused_lines in self._refused_lines.items():
            lines = (rows["file"].to_numpy().astype(np.int64) << 40) | rows["line"].to_numpy()
            was_refused = np.isin(lines, refused_lines)
            refused.append(_refused(rows, was_refused, reason))
            rows = rows.filter(pa.array(~was_refused))
        rows = _sorted(rows, company_ids)
        names, bounds = _companies(rows, company_ids)
        if not self._any_year:
            known = [self._manifest.get(name) if self._append else None for name in names]
            implausible = implausible_rows(_instants(rows), bounds, known)
            if implausible.any():
                refused.append(_refused(rows, implausible, OUTSIDE))
                rows = rows.filter(pa.array(~implausible))
                names, bounds = _companies(rows, company_ids)
        if len(rows):
            times = _instants(rows)
            self.span = min(self.span[0], times.min()), max(self.span[1], times.max())
        file = rows["file"].to_numpy()
        files = _files_of(file, bounds)
        others = other_files(rows, bounds, [len(each) for each in files])
        dropped = (others >= 0) & self._drop_copies
        if dropped.any():
            refused.append(_refused(rows, dropped, COPY))
        kept, statuses, late = self._decide_all(rows, names, bounds, files, dropped)
        refused += late
        copies = kept & (others >= 0)
        self.copies += count_copies(file[copies], others[copies])
        if not kept.all():
            is_changed = np.repeat([each != "unchanged" for each in statuses], np.diff(bounds))
            brings = kept | (dropped & is_changed)
            files = _files_of(file[brings], _bounds_of(brings, bounds))
            rows, bounds = rows.filter(pa.array(kept)), _bounds_of(kept, bounds)
        partition = self._partitions.put(rows.select(SORTED_SCHEMA.names))
        updates = [
            CompanyUpdate(name, status, feeding, dates, RowRange(partition, start, stop))
            for name, status, feeding, dates, (start, stop) in zip(
                names,
                statuses,
                files,
                _dates_only(rows, bounds),
                pairwise(bounds.tolist()),
                strict=True,
            )
        ]
        return updates, pa.concat_tables(refused)

    def _decide_all(
        self,
        rows: pa.Table,
        names: Sequence[str],
        bounds: np.ndarray,
        files: Sequence[tuple[int, ...]],
        dropped: np.ndarray,
    ) -> tuple[np.ndarray, list[str], list[pa.Table]]:
        """Return which rows to write, without those `dropped`; companies' statuses; late rows."""
        kept, statuses, late = ~dropped, [], []
        for i, (start, stop) in enumerate(pairwise(bounds.tolist())):
            row = self._manifest.get(names[i])
            if row is None:
                statuses.append("new")
                continue
            places = start + np.flatnonzero(kept[start:stop])
            own = rows.slice(start, stop - start).filter(pa.array(kept[start:stop]))
            status, keeps, is_late = self._decide(row, own, files[i])
            statuses.append(status)
            kept[places] = keeps
            if is_late is not None and is_late.any():
                late.append(_refused(own, is_late, OVERLAP))
        return kept, statuses, late

    def _decide(
        self, row: Mapping[str, Any], rows: pa.Table, files: tuple[int, ...]
    ) -> tuple[str, np.ndarray | bool, np.ndarray | None]:
        """Return the status of a company of the dataset, the `rows` to write, and the late ones."""
        before, now = set(row["sources"]), {self._sources[i] for i in files}
        if now == before or _has_rows(row, rows):
            is_lost = not self._store.exists(row["path"])
            return ("replaced", True, None) if is_lost else ("unchanged", False, None)
        if now < before and not self._replace:
            return "unchanged", False, None
        if self._replace:
            return "replaced", True, None
        if not self._append:
            append, replace = (
                option(name, in_python=self._in_python) for name in ("append", "replace")
            )
            raise IngestError(
                f"company {row['company_id']!r} was ingested from {_names(before)}, and other "
                f"rows of it are in {_names(now - before)}; append later rows ({append}), put "
                f"these in the place of the old ones ({replace}), or give the company another name"
            )
        fresh = [i for i in files if self._sources[i] not in before]
        is_fresh = np.isin(rows["file"].to_numpy(), fresh)
        is_late = is_fresh & (_instants(rows) < _first_later_instant(row, self._timezone))
        keeps = is_fresh & ~is_late
        return ("appended" if keeps.any() else "unchanged"), keeps, is_late

    def company_to_write(self, update: CompanyUpdate) -> CompanyToWrite:
        """Return the company with all of its rows."""
        dates_only = update.dates_only
        sources = {self._sources[i] for i in update.files}
        rows = self._partitions.get(update.rows).cast(_WRITTEN_SCHEMA)
        if update.status == "appended":
            row = self._manifest[update.company_id]
            dates_only = dates_only and row["dates_only"]
            sources.update(row["sources"])
            rows = pa.concat_tables([self._existing.read(row), rows])
            rows = rows.take(pa.array(row_order(rows)))
        return CompanyToWrite(
            Transactions.from_arrow(update.company_id, rows),
            dates_only=dates_only,
            sources=sorted(sources),
        )


class _ExistingRows:
    """Read rows of the dataset; keep the last row group for the next companies in it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._location: tuple[Any, ...] = ()
        self._rows = _WRITTEN_SCHEMA.empty_table()

    def read(self, row: Mapping[str, Any]) -> pa.Table:
        """Read a company, given its row of the manifest; raise `IngestError` if it is damaged."""
        location = row["path"], row["first_row_group"], row["n_row_groups"]
        if location != self._location:
            require_inside(self._store, row["path"])
            groups = range(row["first_row_group"], row["first_row_group"] + row["n_row_groups"])
            try:
                self._rows = read_row_groups(
                    self._store, row["path"], groups, columns=_WRITTEN_SCHEMA.names
                )
            except (OSError, pa.ArrowInvalid) as error:
                raise IngestError(
                    f"company {row['company_id']!r}: {row['path']} is damaged ({error}); remove it "
                    "and ingest the company's files again"
                ) from error
            self._location = location
        return self._rows.slice(row["row_offset"], row["n_rows"])


def _sorted(rows: pa.Table, company_ids: Sequence[str]) -> pa.Table:
    """Sort `rows` (BUFFERED_SCHEMA) by company, and within a company as in a Dataset.

    Equal rows stay in the order in which they came: file by file.
    """
    codes = rows["company"].to_numpy()
    present = np.unique(codes)
    rank = np.zeros(len(company_ids), dtype=np.int32)
    by_name = sorted(present.tolist(), key=lambda code: company_ids[code].encode())
    rank[by_name] = np.arange(len(by_name))
    return rows.take(pa.array(row_order(rows, rank[codes])))


def _companies(rows: pa.Table, company_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the companies of sorted rows, and the bounds of their rows (n_companies + 1,)."""
    codes = rows["company"].to_numpy()
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    return [company_ids[code] for code in codes[bounds[:-1]].tolist()], bounds


def _refused(rows: pa.Table, which: np.ndarray, reason: str) -> pa.Table:
    """Return rows that are refused, by REFUSED_ROWS_SCHEMA."""
    refused = rows.filter(pa.array(which))
    return refused.append_column("reason", pa.repeat(pa.scalar(reason, pa.string()), len(refused)))


def _bounds_of(which: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the bounds of companies among those rows only; shape (n_companies + 1,)."""
    return np.concatenate([[0], np.cumsum(which)])[bounds]


def _files_of(file: np.ndarray, bounds: np.ndarray) -> list[tuple[int, ...]]:
    """Return the files of each company; shapes: `file` (n_rows,), `bounds` (n_companies + 1,)."""
    n_files = int(file.max(initial=0)) + 1
    company = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    pairs = np.unique(company * n_files + file)
    starts = np.searchsorted(pairs // n_files, np.arange(len(bounds))).tolist()
    files = (pairs % n_files).tolist()
    return [tuple(files[start:stop]) for start, stop in pairwise(starts)]


def _dates_only(rows: pa.Table, bounds: np.ndarray) -> list[bool]:
    """Return for each company whether all of its timestamps are midnight, as written or in UTC."""
    as_written = rows["midnight"].to_numpy()
    in_utc = _instants(rows) % DAY == 0
    # How many rows before each company are not midnight: equal bounds mean that all are.
    others = [np.concatenate([[0], np.cumsum(~each)])[bounds] for each in (as_written, in_utc)]
    return ((np.diff(others[0]) == 0) | (np.diff(others[1]) == 0)).tolist()


def _instants(rows: pa.Table) -> np.ndarray:
    return rows["timestamp"].cast(pa.int64()).to_numpy()


def _has_rows(row: Mapping[str, Any], rows: pa.Table) -> bool:
    if row["n_rows"] != len(rows):
        return False
    return row["content_hash"] == content_hash(Transactions.from_arrow(row["company_id"], rows))


def _first_later_instant(row: Mapping[str, Any], timezone: str) -> int:
    """Return the first instant, in microseconds, that is later than a company's last row."""
    if not row["dates_only"]:
        return row["last_timestamp"] + 1
    last = from_microseconds(row["last_timestamp"]).tz_convert(timezone)
    return microseconds(last + pd.DateOffset(days=1))


def _names(sources: Iterable[str]) -> str:
    """List the files of some sources, for a message."""
    names = sorted(source.rpartition("#")[0] for source in sources)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
