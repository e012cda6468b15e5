"""Bring together the rows of each company: a hash-partitioned external shuffle.

Files have rows in any order, and a company is written whole. Rows are divided by the hash of their
company, so that all rows of a company are in one partition and a partition fits into memory. A few
rows stay in memory; more are spilled to disk. Partitions are in the order in which companies share
files, so that the companies of a shared file are in one partition or two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from scale_eval.datasets.hash_order import N_SLICES, hash_of
from scale_eval.datasets.ingest.inputs import Input
from scale_eval.datasets.ingest.parse import ROWS_SCHEMA
from scale_eval.datasets.manifest import TRANSACTIONS_SCHEMA
from scale_eval.storage import Spill, Store

ROWS_HELD = 1 << 20
"""Rows in memory from which they are spilled: about 100 MB."""

TABLES_HELD = 1_000
"""Tables in memory from which they are joined: a small table takes more than its rows do."""

BYTES_PER_PARTITION = 32_000_000
"""Bytes of text in a partition: about 600,000 rows, which take 300 MB while they are sorted."""

MIN_PARTITIONS, MAX_PARTITIONS = 16, 256

BUFFERED_SCHEMA = pa.schema(
    [
        ("company", pa.int32()),  # a code
        *[field for field in ROWS_SCHEMA if field.name != "company_id"],
        ("file", pa.int32()),  # its position among those of the ingest
    ]
)
"""Columns of the rows of files, in any order."""

SORTED_SCHEMA = pa.schema(
    [(name, ROWS_SCHEMA.field(name).type) for name in TRANSACTIONS_SCHEMA.names[1:]]
)
"""Columns of the rows of one company after the other, sorted as in a Dataset."""


def n_partitions_of(inputs: Iterable[Input]) -> int:
    """Return the number of partitions for the rows of these inputs, if they are spilled."""
    n_bytes = sum(each.text_bytes() for each in inputs)
    return int(np.clip(n_bytes // BYTES_PER_PARTITION + 1, MIN_PARTITIONS, MAX_PARTITIONS))


class ShuffleBuffer:
    """A shuffle buffer takes rows file by file and gives them back company by company.

    Use it as a context manager.

    Parameters
    ----------
    store : Store
        Rows are spilled to its scratch directory.
    n_partitions : callable
        Returns the number of partitions; called only if the rows do not fit into memory.
    take_lock : callable
        Locks the store; called before anything is spilled.
    """

    def __init__(
        self, store: Store, n_partitions: Callable[[], int], take_lock: Callable[[], object]
    ) -> None:
        self.company_ids: list[str] = []  # by code
        self._codes: dict[str, int] = {}
        self._partition_of = np.zeros(0, dtype=np.int64)  # by code
        self._store, self._choose_n_partitions = store, n_partitions
        self._take_lock = take_lock
        self._n_partitions = 1
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
        """Return the number of rows in memory."""
        return self._n_held

    def add(self, rows: pa.Table, file: int) -> None:
        """Add `rows` (ROWS_SCHEMA) of the file at the position `file`.

        Raises `OSError` where they cannot be spilled.
        """
        position = pa.repeat(pa.scalar(file, pa.int32()), len(rows))
        self._held.append(rows.append_column("file", position))
        self._n_held += len(rows)
        self._n_loose += 1
        if self._n_held >= ROWS_HELD:
            self._spill_rows()
        elif self._n_loose >= TABLES_HELD:
            self._held = [pa.concat_tables(self._held).combine_chunks()]
            self._n_loose = 0

    def partitions(self) -> Iterator[pa.Table]:
        """Yield all rows by BUFFERED_SCHEMA, partition by partition; no partition is empty.

        Call it once, after all rows were added: it gives up the buffer's own copy of them.
        """
        if self._spill is None:
            rows, self._held, self._n_held = self._coded(), [], 0
            yield rows
            return
        if self._held:
            self._spill_rows()
        for partition in range(self._n_partitions):
            rows = self._spill.read(partition)
            self._spill.remove(partition)
            if len(rows):
                yield rows

    def sorted_partitions(self) -> SortedPartitions:
        """Return a place for companies until they are written: in memory, if the rows are."""
        if self._spill is None:
            return SortedPartitions(None, 1)
        spill = Spill(self._store.scratch(), "sorted", SORTED_SCHEMA, compressed=False)
        return SortedPartitions(
            self._files.enter_context(spill), 2 + self._n_partitions // N_SLICES
        )

    def _spill_rows(self) -> None:
        if self._spill is None:
            self._take_lock()
            self._n_partitions = self._choose_n_partitions()
            spill = Spill(self._store.scratch(), "buffered", BUFFERED_SCHEMA, compressed=True)
            self._spill = self._files.enter_context(spill)
        rows = self._coded()
        self._held, self._n_held, self._n_loose = [], 0, 0
        partition = self._partition_of[rows["company"].to_numpy()]
        rows = rows.take(pa.array(np.argsort(partition, kind="stable")))
        bounds = np.cumsum([0, *np.bincount(partition, minlength=self._n_partitions)]).tolist()
        for i, (start, stop) in enumerate(pairwise(bounds)):
            if start < stop:
                self._spill.append(i, rows.slice(start, stop - start))

    def _coded(self) -> pa.Table:
        """Return the rows in memory by BUFFERED_SCHEMA; companies that are new get codes."""
        rows = pa.concat_tables(self._held)
        ids = rows["company_id"].combine_chunks().dictionary_encode()
        names = ids.dictionary.to_pylist()
        new = [name for name in names if name not in self._codes]
        self._codes.update(
            zip(new, range(len(self._codes), len(self._codes) + len(new)), strict=True)
        )
        self.company_ids += new
        self._assign(new)
        codes = np.array([self._codes[name] for name in names], dtype=np.int32)
        company = pa.array(codes).take(ids.indices)
        return rows.set_column(0, "company", company).cast(BUFFERED_SCHEMA)

    def _assign(self, company_ids: list[str]) -> None:
        """Assign new companies to partitions, which are ranges of their hashes."""
        if self._spill is None:
            return
        partitions = [
            int.from_bytes(hash_of(name)[:8]) * self._n_partitions >> 64 for name in company_ids
        ]
        self._partition_of = np.append(self._partition_of, np.array(partitions, dtype=np.int64))


class RowRange(NamedTuple):
    """The rows of a company in `SortedPartitions`: `start` to before `stop` of a partition."""

    partition: int
    start: int
    stop: int


class SortedPartitions:
    """Sorted partitions keep companies, by SORTED_SCHEMA, until they are written.

    Parameters
    ----------
    spill : Spill or None
        Holds them on disk; None if they stay in memory.
    n_open : int
        Partitions that are kept open at the same time.
    """

    def __init__(self, spill: Spill | None, n_open: int) -> None:
        self._spill, self._n_open = spill, n_open
        self._n_partitions = 0
        self._open: dict[int, pa.Table] = {}  # the most recently read is the last

    def put(self, rows: pa.Table) -> int:
        """Keep `rows` as a partition; return its number."""
        partition, self._n_partitions = self._n_partitions, self._n_partitions + 1
        if self._spill is None:
            self._open[partition] = rows
        else:
            self._spill.append(partition, rows)
            self._spill.finish(partition)
        return partition

    def get(self, location: RowRange) -> pa.Table:
        """Return the rows of a range."""
        rows = self._open.pop(location.partition, None)
        if rows is None:
            assert self._spill is not None
            rows = self._spill.read(location.partition)
        self._open[location.partition] = rows
        if self._spill is not None and len(self._open) > self._n_open:
            del self._open[next(iter(self._open))]
        return rows.slice(location.start, location.stop - location.start)
