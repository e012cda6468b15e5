"""Histograms of the scores of many evaluations, by model, cutoff and group of companies.

Beside them stands which models answered at the windows that were counted: so that the windows which
all of them answered can be told from the others, where a group holds both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from scale_eval.metrics import N_BINS
from scale_eval.metrics.compiled_histogram import NEGATIVE, POSITIVE
from scale_eval.results.schemas import SCORES_SCHEMA

_N_COUNTS = 3  # buyers, others, spend in minor units
_FIRST_CELLS = 32

Cell = tuple[str, int, int, str]
"""Model, cutoff in microseconds, group of companies, and the models that answered there."""


class ScoreCounts:
    """Integers on fixed edges, so that adding them up gives the same in any order.

    Attributes
    ----------
    histograms : ndarray of int64, shape (n, N_BINS, 3)
        See `add_to_histogram`; more of them than there are cells.
    """

    def __init__(self) -> None:
        self.histograms = np.zeros((_FIRST_CELLS, N_BINS, _N_COUNTS), np.int64)
        self._places: dict[Cell, int] = {}

    def place(self, cell: Cell) -> int:
        """Where a cell is counted; `histograms` may be another array afterwards."""
        place = self._places.setdefault(cell, len(self._places))
        if place == len(self.histograms):
            grown = np.zeros((2 * place, *self.histograms.shape[1:]), np.int64)  # no memory yet
            grown[:place] = self.histograms
            self.histograms = grown
        return place

    def sparse(self) -> SparseCounts:
        """What is not zero: little to send where few were counted."""
        found: SparseCounts = {}
        for cell, place in self._places.items():
            counts = self.histograms[place]
            held = np.flatnonzero(counts[:, POSITIVE] + counts[:, NEGATIVE])
            found[cell] = held, counts[held].T
        return found


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
