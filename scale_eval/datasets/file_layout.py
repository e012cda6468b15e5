"""The packed layout: many companies in a file, so that 100,000 of them are some dozen files.

A company's rows lie in one row group, beside those of others; one that is larger than a row group
has a file of its own. Companies go to files in the order of a hash of their id, so that each file
is a random sample of them; within a file they are in the order of their ids. More than `MAX_UNCUT`
companies are cut into `N_RUNS` runs of that order, each with a directory of its own: who reads in
the order of the disk meets run after run.

Up to `PACKED_FROM` companies each has a file of its own: that is found, replaced and looked at by
its name, and opening a thousand files takes a quarter of a second.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.datasets.dataset import rows_of, write_company, write_rows
from scale_eval.datasets.hash_order import MAX_UNCUT, ranks_of, runs_of
from scale_eval.datasets.manifest import describe
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import ROWS_PER_ROW_GROUP, Store

PACKED_FROM = 1_001
"""Companies from which those that are written together are packed."""

ROWS_PER_FILE = 1 << 22
"""Rows of a file, about: 40 MB, 32 row groups."""


@dataclass(frozen=True)
class CompanyToWrite:
    """A company that is to be written.

    Attributes
    ----------
    company : Transactions
    dates_only : bool
        All of its timestamps are dates.
    sources : sequence of str
        Where its rows come from.
    """

    company: Transactions
    dates_only: bool
    sources: Sequence[str]


class FileAssignment(NamedTuple):
    """Companies that go into one file.

    Attributes
    ----------
    directory : str
        Where the file goes, and the files of those that are too large for it.
    companies : list of int
        Positions of the companies, in the order in which `write_pack` takes them.
    """

    directory: str
    companies: list[int]


def parcels_of(company_ids: Sequence[str], n_rows: Sequence[float]) -> list[FileAssignment]:
    """Divide companies into files of `ROWS_PER_FILE` rows at most, about, none of two runs.

    Parameters
    ----------
    company_ids : sequence of str, shape (n,)
    n_rows : sequence of float, shape (n,)
        Rows that each is expected to have.
    """
    order = np.argsort(ranks_of(company_ids))
    if len(order) <= MAX_UNCUT:
        return _parcels("transactions", order, company_ids, n_rows)
    runs = runs_of(company_ids)[order]
    bounds = np.flatnonzero(np.diff(runs, prepend=-1, append=runs[-1] + 1))
    return [
        parcel
        for run, (start, stop) in enumerate(pairwise(bounds.tolist()))
        for parcel in _parcels(f"transactions/run-{run:02}", order[start:stop], company_ids, n_rows)
    ]


def _parcels(
    directory: str, order: np.ndarray, company_ids: Sequence[str], n_rows: Sequence[float]
) -> list[FileAssignment]:
    """Companies, at the positions `order`, as few files of about equally many rows."""
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


def write_deliveries(
    store: Store,
    company_ids: Sequence[str],
    n_rows: Sequence[int],
    delivery: Callable[[int], CompanyToWrite],
) -> list[dict[str, Any]]:
    """Write companies in the layout that their number asks for; returns their rows for `commit`.

    Parameters
    ----------
    company_ids : sequence of str, shape (n,)
    n_rows : sequence of int, shape (n,)
        Rows that each has, about.
    delivery : callable
        The company at a position; asked for once, when its turn has come.
    """
    if len(company_ids) < PACKED_FROM:
        return [write_alone(store, delivery(i)) for i in range(len(company_ids))]
    return [
        row
        for directory, companies in parcels_of(company_ids, n_rows)
        for row in write_pack(store, map(delivery, companies), directory)
    ]


def write_alone(
    store: Store, each: CompanyToWrite, directory: str = "transactions"
) -> dict[str, Any]:
    """Write a company into a file of its own; returns its row for `commit`."""
    return write_company(
        store, each.company, dates_only=each.dates_only, sources=each.sources, beneath=directory
    )


def write_pack(
    store: Store, deliveries: Iterable[CompanyToWrite], directory: str = "transactions"
) -> list[dict[str, Any]]:
    """Write companies, sorted by id, into one file as they come; returns their rows for `commit`.

    No more than a row group and a company are held at a time. Like any file of a dataset this one
    is named after its content.
    """
    rows: list[dict[str, Any]] = []
    packed: list[dict[str, Any]] = []
    digest = hashlib.sha256()

    def row_groups() -> Iterator[pa.Table]:
        waiting: list[pa.Table] = []
        n_waiting = n_groups = 0
        for each in deliveries:
            company = each.company
            if len(company) > ROWS_PER_ROW_GROUP:
                rows.append(write_alone(store, each, directory))
                continue
            if n_waiting + len(company) > ROWS_PER_ROW_GROUP:
                yield pa.concat_tables(waiting)
                waiting, n_waiting, n_groups = [], 0, n_groups + 1
            row = describe(company, dates_only=each.dates_only, sources=list(each.sources))
            row["first_row_group"], row["n_row_groups"] = n_groups, 1
            row["row_offset"] = n_waiting
            packed.append(row)
            digest.update(f"{company.company_id}\n{row['content_hash']}\n".encode())
            waiting.append(rows_of(company))
            n_waiting += len(company)
        if waiting:
            yield pa.concat_tables(waiting)

    path = write_rows(
        store, directory, row_groups(), name=lambda: f"{digest.hexdigest()[:16]}.parquet"
    )
    for row in packed:
        row["path"] = path
    return rows + packed
