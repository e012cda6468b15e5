"""Buffer results from workers until enough of them can be written together."""

from __future__ import annotations

import time

from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution.tasks import TaskResult
from scale_eval.results.evaluation_parts import write_part
from scale_eval.storage import Store

WRITE_ROWS = 1_000
WRITE_SECONDS = 2.0
"""Rows in memory, and seconds, after which they are written; a kill -9 loses no more."""


class ResultBuffer:
    """A result buffer keeps rows in memory for a while, then writes them to the run together.

    Use it as a context manager: it writes the rest at the end of the block, also after an error.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._results: list[TaskResult] = []
        self._n_rows = 0
        self._written_at = time.monotonic()

    def __enter__(self) -> ResultBuffer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError):  # a disk that is full stays full
            self.write()

    def add(self, result: TaskResult) -> None:
        """Add the rows of a result; a result has no rows if the worker has written them."""
        if len(result.rows):
            self._results.append(result)
            self._n_rows += len(result.rows)

    def write_if_due(self) -> None:
        """Write the rows if there are many, or the last time was long ago."""
        waited = time.monotonic() - self._written_at
        if self._n_rows >= WRITE_ROWS or waited > WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write all rows in the buffer."""
        if self._results:
            rows = EvaluationRows.concatenated([result.rows for result in self._results])
            scores = score_table(result.counts for result in self._results)
            write_part(self._store, rows.table(), scores)
        self._results, self._n_rows = [], 0
        self._written_at = time.monotonic()
