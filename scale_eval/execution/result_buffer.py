"""Results that came back from workers, gathered until it is worth writing them together."""

from __future__ import annotations

import time

from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution.tasks import TaskResult
from scale_eval.results.evaluation_parts import write_part
from scale_eval.storage import Store

WRITE_ROWS = 1_000
WRITE_SECONDS = 2.0
"""Rows, and seconds, that are held in memory before they are written: what a kill -9 loses."""


class ResultBuffer:
    """Hold rows in memory for a while, then write them into the run together.

    It is a context manager: on leaving the block it writes the rest too, whatever ended the block.
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
        """Hold the rows of a result; those that a worker has written are not in it."""
        if len(result.rows):
            self._results.append(result)
            self._n_rows += len(result.rows)

    def write_if_due(self) -> None:
        """Write where many rows are held, or for long."""
        waited = time.monotonic() - self._written_at
        if self._n_rows >= WRITE_ROWS or waited > WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write all rows that are held."""
        if self._results:
            rows = EvaluationRows.concatenated([result.rows for result in self._results])
            scores = score_table(result.counts for result in self._results)
            write_part(self._store, rows.table(), scores)
        self._results, self._n_rows = [], 0
        self._written_at = time.monotonic()
