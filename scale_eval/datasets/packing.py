"""The packed layout: many companies in a file, so that 100,000 of them are some dozen files.

A company's rows lie in one row group, beside those of others; one that is larger than a row group
has a file of its own. Companies go to files in the order of a hash of their id, so that each file
is a random sample of them; within a file they are in the order of their ids.

Up to `PACKED_FROM` companies each has a file of its own: that is found, replaced and looked at by
its name, and opening a thousand files takes a quarter of a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from scale_eval.datasets.dataset import rows_of, write_company, write_rows
from scale_eval.datasets.manifest import describe
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import ROWS_PER_ROW_GROUP, LocalStore

PACKED_FROM = 1_001
"""Companies from which those that are written together are packed."""

ROWS_PER_FILE = 1 << 22
"""Rows of a file, about: 40 MB, 32 row groups."""


@dataclass(frozen=True)
class Delivery:
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


def files_of(company_ids: Sequence[str], n_rows: Sequence[float]) -> list[list[int]]:
    """Divide companies into files of about `ROWS_PER_FILE` rows.

    Parameters
    ----------
    company_ids : sequence of str, shape (n,)
    n_rows : sequence of float, shape (n,)
        Rows that each is expected to have.

    Returns
    -------
    list of lists of int
        The positions of each file's companies, in the order in which `write_pack` takes them.
    """
    order = sorted(
        range(len(company_ids)), key=lambda i: hashlib.sha256(company_ids[i].encode()).digest()
    )
    before = np.cumsum([0.0, *(float(n_rows[i]) for i in order)])[:-1]
    file = (before // ROWS_PER_FILE).astype(int)
    bounds = np.flatnonzero(np.diff(file, prepend=-1, append=file[-1:] + 1))
    return [
        sorted(order[start:stop], key=lambda i: company_ids[i].encode())
        for start, stop in pairwise(bounds.tolist())
    ]


def write_deliveries(
    store: LocalStore, company_ids: Sequence[str], n_rows: Sequence[int],
    delivery: Callable[[int], Delivery],
) -> list[dict[str, Any]]:  # fmt: skip
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
    files = files_of(company_ids, n_rows)
    return [row for file in files for row in write_pack(store, map(delivery, file))]


def write_alone(store: LocalStore, each: Delivery) -> dict[str, Any]:
    """Write a company into a file of its own; returns its row for `commit`."""
    return write_company(store, each.company, dates_only=each.dates_only, sources=each.sources)


def write_pack(store: LocalStore, deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
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
                rows.append(write_alone(store, each))
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
        store, "transactions", row_groups(), name=lambda: f"{digest.hexdigest()[:16]}.parquet"
    )
    for row in packed:
        row["path"] = path
    return rows + packed
