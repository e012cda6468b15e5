"""Rows on their way from files to companies: in memory while they are few, else on disk in parts.

Files bring rows in any order, and a company is written whole. What arrives is divided by the hash
of the company, so that all rows of a company are in one part, and a part fits into memory. Parts
follow the order in which companies are packed: who packs them finds neighbours in a part or two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.datasets.hash_order import N_RUNS, hash_of
from scale_eval.datasets.ingest.parse import ROWS_SCHEMA
from scale_eval.datasets.manifest import TRANSACTIONS_SCHEMA
from scale_eval.storage import Spill, Store

ROWS_HELD = 1 << 20
"""Rows that are held before they go to disk: about 100 MB."""

TABLES_HELD = 1_000
"""Tables that are held before they become one: of a few rows, a table is larger than they are."""

BYTES_PER_PART = 32_000_000
"""Of the files: about 600,000 rows, which take 300 MB while they are sorted."""

MIN_PARTS, MAX_PARTS = 16, 256

ARRIVING_SCHEMA = pa.schema(
    [
        ("company", pa.int32()),  # a code
        *[field for field in ROWS_SCHEMA if field.name != "company_id"],
        ("file", pa.int32()),  # its position among those of the ingest
    ]
)

SORTED_SCHEMA = pa.schema(
    [(name, ROWS_SCHEMA.field(name).type) for name in TRANSACTIONS_SCHEMA.names[1:]]
)
"""Rows of companies that have arrived, one company after the other, sorted as in a Dataset."""


def n_parts_of(paths: Iterable[Path]) -> int:
    """Into how many parts the rows of these files should be divided, should they be many."""
    n_bytes = 0
    for path in paths:
        with path.open("rb") as file:
            packed = file.read(2) in (b"\x1f\x8b", b"PK", b"PA")
        n_bytes += path.stat().st_size * (6 if packed else 1)
    return int(np.clip(n_bytes // BYTES_PER_PART + 1, MIN_PARTS, MAX_PARTS))


class ShuffleBuffer:
    """Rows of files, as they come; use it as a context manager.

    Parameters
    ----------
    store : Store
        Where they are put aside.
    n_parts : callable
        Says how many parts there are to be; asked only if they do not fit into memory.
    hold : callable
        Takes the store's lock; called before anything is put aside.
    """

    def __init__(
        self, store: Store, n_parts: Callable[[], int], hold: Callable[[], object]
    ) -> None:
        self.company_ids: list[str] = []  # by code
        self._codes: dict[str, int] = {}
        self._part_of = np.zeros(0, dtype=np.int64)  # by code
        self._store, self._ask, self._hold = store, n_parts, hold
        self._n_parts = 1
        self._spill: Spill | None = None
        self._held: list[pa.Table] = []
        self._n_held = self._n_loose = 0
        self._files = ExitStack()

    def __enter__(self) -> ShuffleBuffer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()

    @property
    def n_held(self) -> int:
        """Rows in memory."""
        return self._n_held

    def add(self, rows: pa.Table, file: int) -> None:
        """Take `rows` (ROWS_SCHEMA) of the file at a position.

        Raises `OSError` where they cannot be put aside.
        """
        position = pa.repeat(pa.scalar(file, pa.int32()), len(rows))
        self._held.append(rows.append_column("file", position))
        self._n_held += len(rows)
        self._n_loose += 1
        if self._n_held >= ROWS_HELD:
            self._put_aside()
        elif self._n_loose >= TABLES_HELD:
            self._held = [pa.concat_tables(self._held).combine_chunks()]
            self._n_loose = 0

    def parts(self) -> Iterator[pa.Table]:
        """All rows by ARRIVING_SCHEMA, part by part; each is forgotten when the next is asked for.

        No part is empty; some rows must have come.
        """
        if self._spill is None:
            rows, self._held, self._n_held = self._coded(), [], 0
            yield rows
            return
        if self._held:
            self._put_aside()
        for part in range(self._n_parts):
            rows = self._spill.read(part)
            self._spill.remove(part)
            if len(rows):
                yield rows

    def shelf(self) -> SortedPartitions:
        """Where companies that have arrived can be kept: in memory if these rows were there."""
        if self._spill is None:
            return SortedPartitions(None, 1)
        spill = Spill(self._store.scratch(), "sorted", SORTED_SCHEMA, compressed=False)
        return SortedPartitions(self._files.enter_context(spill), 2 + self._n_parts // N_RUNS)

    def _put_aside(self) -> None:
        if self._spill is None:
            self._hold()
            self._n_parts = self._ask()
            spill = Spill(self._store.scratch(), "arriving", ARRIVING_SCHEMA, compressed=True)
            self._spill = self._files.enter_context(spill)
        rows = self._coded()
        self._held, self._n_held, self._n_loose = [], 0, 0
        part = self._part_of[rows["company"].to_numpy()]
        rows = rows.take(pa.array(np.argsort(part, kind="stable")))
        bounds = np.cumsum([0, *np.bincount(part, minlength=self._n_parts)]).tolist()
        for i, (start, stop) in enumerate(pairwise(bounds)):
            if start < stop:
                self._spill.append(i, rows.slice(start, stop - start))

    def _coded(self) -> pa.Table:
        """What is held, by ARRIVING_SCHEMA; companies that are new get codes."""
        rows = pa.concat_tables(self._held)
        ids = rows["company_id"].combine_chunks().dictionary_encode()
        names = ids.dictionary.to_pylist()
        new = [name for name in names if name not in self._codes]
        self._codes.update(
            zip(new, range(len(self._codes), len(self._codes) + len(new)), strict=True)
        )
        self.company_ids += new
        self._place(new)
        codes = np.array([self._codes[name] for name in names], dtype=np.int32)
        company = pa.array(codes).take(ids.indices)
        return rows.set_column(0, "company", company).cast(ARRIVING_SCHEMA)

    def _place(self, company_ids: list[str]) -> None:
        """Say in which part the next companies are: a run of the order of their hashes."""
        if self._spill is None:
            return
        parts = [int.from_bytes(hash_of(name)[:8]) * self._n_parts >> 64 for name in company_ids]
        self._part_of = np.append(self._part_of, np.array(parts, dtype=np.int64))


class Shelved(NamedTuple):
    """Where a company's rows are in `SortedPartitions`: in a part, from a row to before another."""

    part: int
    start: int
    stop: int


class SortedPartitions:
    """Companies that have arrived and are not yet written, by SORTED_SCHEMA.

    Parameters
    ----------
    spill : Spill or None
        Where they are put; None if they are held in memory.
    n_open : int
        Parts that are looked at together.
    """

    def __init__(self, spill: Spill | None, n_open: int) -> None:
        self._spill, self._n_open = spill, n_open
        self._n_parts = 0
        self._open: dict[int, pa.Table] = {}  # the one that was asked for last is the last

    def put(self, rows: pa.Table) -> int:
        """Keep `rows` as a part; its number."""
        part, self._n_parts = self._n_parts, self._n_parts + 1
        if self._spill is None:
            self._open[part] = rows
        else:
            self._spill.append(part, rows)
            self._spill.finish(part)
        return part

    def get(self, place: Shelved) -> pa.Table:
        """The rows at a place."""
        rows = self._open.pop(place.part, None)
        if rows is None:
            assert self._spill is not None
            rows = self._spill.read(place.part)
        self._open[place.part] = rows
        if self._spill is not None and len(self._open) > self._n_open:
            del self._open[next(iter(self._open))]
        return rows.slice(place.start, place.stop - place.start)
