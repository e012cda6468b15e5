"""Histograms of the scores of many evaluations, by model, cutoff and group of companies.

Beside them stands which models answered at the windows that were counted: so that the windows which
all of them answered can be told from the others, where a group holds both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.metrics import N_BINS
from scale_eval.metrics.compiled_histogram import add_to_histogram
from scale_eval.results.schemas import SCORES_SCHEMA

_N_COUNTS = 3  # buyers, others, spend in minor units

Cell = tuple[str, int, int, str]
"""Model, cutoff in microseconds, group of companies, and the models that answered there."""


class ScoreCounts:
    """Integers on fixed edges, so that adding them up gives the same in any order."""

    def __init__(self) -> None:
        self._cells: dict[Cell, np.ndarray] = {}

    def add(
        self, cell: Cell, outcomes: np.ndarray, probabilities: np.ndarray, spend: np.ndarray
    ) -> None:
        """Count the customers of one evaluation; arrays of shape (n,)."""
        counts = self._cells.get(cell)
        if counts is None:
            counts = self._cells[cell] = np.zeros((_N_COUNTS, N_BINS), np.int64)
        add_to_histogram(outcomes, probabilities, spend, counts[0], counts[1], counts[2])

    def sparse(self) -> SparseCounts:
        """What is not zero: little to send where few were counted."""
        return {
            cell: (held := np.flatnonzero(counts[0] + counts[1]), counts[:, held])
            for cell, counts in self._cells.items()
        }


SparseCounts = dict[Cell, tuple[np.ndarray, np.ndarray]]
"""By cell the bins that hold somebody, ascending, and their counts, shape (3, n_bins)."""


def score_table(parts: Iterable[SparseCounts]) -> pa.Table:
    """The counts of several parts added up, by SCORES_SCHEMA, sorted."""
    cells: dict[Cell, list[tuple[np.ndarray, np.ndarray]]] = {}
    for part in parts:
        for cell, held in part.items():
            cells.setdefault(cell, []).append(held)
    tables = [SCORES_SCHEMA.empty_table()]
    for (model, cutoff, group, answered_by), several in sorted(cells.items()):
        bins, counts = several[0] if len(several) == 1 else _added(several)
        columns = [
            pa.repeat(model, len(bins)),
            pa.repeat(pa.scalar(cutoff, pa.timestamp("us")), len(bins)).cast(TIMESTAMP),
            pa.repeat(pa.scalar(group, pa.int32()), len(bins)),
            pa.repeat(answered_by, len(bins)),
            pa.array(bins.astype(np.int32)),
            *map(pa.array, counts),
        ]
        tables.append(pa.table(columns, schema=SCORES_SCHEMA))
    return pa.concat_tables(tables).combine_chunks()


def _added(several: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    whole = np.zeros((_N_COUNTS, N_BINS), np.int64)
    for bins, counts in several:
        whole[:, bins] += counts
    held = np.flatnonzero(whole[0] + whole[1])
    return held, whole[:, held]
