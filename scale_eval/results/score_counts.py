"""Histograms of the scores of many evaluations, by model, cutoff and group of companies.

Beside them stands which models answered at the windows that were counted: so that the windows which
all of them answered can be told from the others, where a group holds both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

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
    keys = sorted(cells)
    found = [_added(cells[key]) for key in keys]
    lengths = np.array([len(bins) for bins, _ in found], dtype=np.int64)
    at = pa.array(np.repeat(np.arange(len(keys)), lengths))
    kinds = zip(zip(*keys, strict=True), SCORES_SCHEMA, strict=False)
    columns = [pa.array(list(values)).cast(field.type).take(at) for values, field in kinds]
    if not keys:
        return SCORES_SCHEMA.empty_table()
    bins = np.concatenate([bins for bins, _ in found]).astype(np.int32)
    counts = np.concatenate([counts for _, counts in found], axis=1)
    return pa.table([*columns, bins, *counts], schema=SCORES_SCHEMA)


def _added(several: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if len(several) == 1:
        return several[0]
    whole = np.zeros((_N_COUNTS, N_BINS), np.int64)
    for bins, counts in several:
        whole[:, bins] += counts
    held = np.flatnonzero(whole[0] + whole[1])
    return held, whole[:, held]
