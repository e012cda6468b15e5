"""Decide which companies share a file of transactions, and write the files.

Fewer than `SHARED_FROM` companies have a file each, which can be found, looked at and replaced by
its name; opening a thousand files takes a quarter of a second. From `SHARED_FROM` companies on many
share a file, so that 100,000 companies take a few dozen files.

In a shared file the rows of a company lie in one row group, together with those of others; a
company that is larger than a row group has a file of its own. Companies are assigned to files in
the order of a hash of their ids, so that each file holds a random sample of them; within a file
they are in the order of their ids. More than `MAX_UNCUT` companies are cut into `N_SLICES` slices
of the hash order, each in its own directory, so that reading in the order of the disk takes one
slice after the other.
"""

from __future__ import annotations

import hashlib
import math
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.datasets.hash_order import MAX_UNCUT, ranks_of, slices_of
from scale_eval.datasets.manifest import TRANSACTIONS, TRANSACTIONS_SCHEMA, describe, named_files
from scale_eval.datasets.transactions import Transactions
from scale_eval.datasets.uncommitted import note
from scale_eval.storage import ROWS_PER_ROW_GROUP, Store, read_table, write_row_groups
from scale_eval.storage.columns import TIME

SHARED_FROM = 1_001
"""Number of companies, written together, from which they share files."""

ROWS_PER_FILE = 1 << 22
"""Rows of a shared file, approximately: 40 MB, 32 row groups."""


@dataclass(frozen=True)
class CompanyToWrite:
    """A company to write, with what the manifest says of it beyond its rows.

    Attributes
    ----------
    company : Transactions
    dates_only : bool
        All of its timestamps are dates.
    sources : sequence of str
        Files that its rows come from, as in the manifest.
    """

    company: Transactions
    dates_only: bool
    sources: Sequence[str]


class FileAssignment(NamedTuple):
    """A file assignment lists the companies that go into one shared file.

    Attributes
    ----------
    directory : str
        The directory of the file, and of the files of companies that are too large for it.
    companies : list of int
        Positions of the companies, in the order in which `write_shared_file` takes them.
    """

    directory: str
    companies: list[int]


def assign_files(company_ids: Sequence[str], n_rows: Sequence[float]) -> list[FileAssignment]:
    """Divide companies into files of about `ROWS_PER_FILE` rows at most, each of one slice.

    Parameters
    ----------
    company_ids : sequence of str, shape (n,)
    n_rows : sequence of float, shape (n,)
        Rows that each is expected to have.
    """
    order = np.argsort(ranks_of(company_ids))
    if len(order) <= MAX_UNCUT:
        return _divide(TRANSACTIONS, order, company_ids, n_rows)
    slices = slices_of(company_ids)[order]
    bounds = np.flatnonzero(np.diff(slices, prepend=-1, append=slices[-1] + 1))
    return [
        assignment
        for i, (start, stop) in enumerate(pairwise(bounds.tolist()))
        for assignment in _divide(
            f"{TRANSACTIONS}/slice-{i:02}", order[start:stop], company_ids, n_rows
        )
    ]


def _divide(
    directory: str, order: np.ndarray, company_ids: Sequence[str], n_rows: Sequence[float]
) -> list[FileAssignment]:
    """Divide the companies at the positions `order` into files of about equally many rows."""
    rows = np.array([n_rows[i] for i in order.tolist()], dtype=np.float64)
    total = max(float(rows.sum()), 1.0)
    n_files = math.ceil(total / ROWS_PER_FILE)
    file = np.floor((np.cumsum(rows) - rows) * n_files / total)
    bounds = np.flatnonzero(np.diff(file, prepend=-1.0, append=np.inf))
    return [
        FileAssignment(
            directory,
            sorted(order[start:stop].tolist(), key=lambda i: company_ids[i].encode()),
        )
        for start, stop in pairwise(bounds.tolist())
    ]


def write_companies(
    store: Store,
    company_ids: Sequence[str],
    n_rows: Sequence[int],
    company_at: Callable[[int], CompanyToWrite],
) -> list[dict[str, Any]]:
    """Write companies: each to a file of its own or, from `SHARED_FROM` on, to shared files.

    Parameters
    ----------
    store : Store
    company_ids : sequence of str, shape (n,)
    n_rows : sequence of int, shape (n,)
        Approximate number of rows of each.
    company_at : callable
        Returns the company at a position; called once for each, just before it is written.

    Returns
    -------
    list of dict
        Their rows of the manifest. The files are not read before a manifest names them.
    """
    if len(company_ids) < SHARED_FROM:
        return [write_company(store, company_at(i)) for i in range(len(company_ids))]
    return [
        row
        for directory, companies in assign_files(company_ids, n_rows)
        for row in write_shared_file(store, map(company_at, companies), directory)
    ]


def write_company(
    store: Store, to_write: CompanyToWrite, directory: str = TRANSACTIONS
) -> dict[str, Any]:
    """Write a company to a file of its own; return its row of the manifest.

    The file goes into the company's own directory below `directory`. It is named after its content,
    so that writing the same rows again changes nothing.
    """
    company = to_write.company
    row = describe(company, dates_only=to_write.dates_only, sources=list(to_write.sources))
    directory = f"{directory}/{_directory_of(company.company_id)}"
    name = f"{row['content_hash'][:16]}.parquet"
    starts = range(0, len(company), ROWS_PER_ROW_GROUP)
    table = _rows_of(company)
    if not (store.exists(f"{directory}/{name}") and _holds(store, f"{directory}/{name}", table)):
        row_groups = (table.slice(start, ROWS_PER_ROW_GROUP) for start in starts)
        _write_rows(store, directory, row_groups, name=lambda: name)
    row["path"] = f"{directory}/{name}"
    row["first_row_group"], row["n_row_groups"], row["row_offset"] = 0, len(starts), 0
    return row


def write_shared_file(
    store: Store, companies: Iterable[CompanyToWrite], directory: str = TRANSACTIONS
) -> list[dict[str, Any]]:
    """Write companies, sorted by id, to one file; return their rows of the manifest.

    At most a row group and a company are in memory at a time. A company that is larger than a row
    group gets a file of its own. The file is named after its content.
    """
    own_file: list[dict[str, Any]] = []
    shared: list[dict[str, Any]] = []
    digest = hashlib.sha256()

    def row_groups() -> Iterator[pa.Table]:
        waiting: list[pa.Table] = []
        n_waiting = n_groups = 0
        for to_write in companies:
            company = to_write.company
            if len(company) > ROWS_PER_ROW_GROUP:
                own_file.append(write_company(store, to_write, directory))
                continue
            if n_waiting + len(company) > ROWS_PER_ROW_GROUP:
                yield pa.concat_tables(waiting)
                waiting, n_waiting, n_groups = [], 0, n_groups + 1
            row = describe(company, dates_only=to_write.dates_only, sources=list(to_write.sources))
            row["first_row_group"], row["n_row_groups"] = n_groups, 1
            row["row_offset"] = n_waiting
            shared.append(row)
            digest.update(f"{company.company_id}\n{row['content_hash']}\n".encode())
            waiting.append(_rows_of(company))
            n_waiting += len(company)
        if waiting:
            yield pa.concat_tables(waiting)

    path = _write_rows(
        store, directory, row_groups(), name=lambda: f"{digest.hexdigest()[:16]}.parquet"
    )
    for row in shared:
        row["path"] = path
    return own_file + shared


def _holds(store: Store, path: str, table: pa.Table) -> bool:
    """Return whether a file holds these rows, of a company with whatever id.

    Companies whose ids differ in case alone have one directory on some disks.
    """
    rows = table.schema.names[1:]
    try:
        return bool(read_table(store, path, columns=rows).equals(table.select(rows)))
    except (OSError, ValueError):
        return False


def _rows_of(company: Transactions) -> pa.Table:
    """Return a company's rows by TRANSACTIONS_SCHEMA."""
    columns = [
        pa.repeat(company.company_id, len(company)),
        company.customers.take(pa.array(company.codes)),
        pa.array(company.timestamps).cast(TIME),
        pa.array(company.values),
    ]
    return pa.table(columns, schema=TRANSACTIONS_SCHEMA)


def _write_rows(
    store: Store, directory: str, row_groups: Iterable[pa.Table], *, name: Callable[[], str]
) -> str | None:
    """Write a file of transactions; see `storage.write_row_groups`.

    Raises `FileExistsError` where the name is taken by a file that is not the dataset's.
    """

    def new_name() -> str:
        file = name()
        path = f"{directory}/{file}"
        if store.exists(path) and path not in named_files(store):
            raise FileExistsError(
                f"{store.root}/{path} is in the way, and no file of this dataset; move it away"
            )
        note(store, [path])
        return file

    return write_row_groups(
        store,
        directory,
        TRANSACTIONS_SCHEMA,
        row_groups,
        name=new_name,
        repeating=["company_id", "customer_id", "value"],
        ascending=["timestamp"],
    )


def _directory_of(company_id: str) -> str:
    """Name a company's directory: no ``/``, no ``key=value``, no leading dot, and not too long."""
    quoted = urllib.parse.quote(company_id, safe=" ")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) > 200:
        quoted = f"{quoted[:180]}~{hashlib.sha256(company_id.encode()).hexdigest()[:16]}"
    return quoted
