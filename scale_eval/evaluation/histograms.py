"""Histograms of the scores of many evaluations, by model, cutoff and group of companies.

Beside them stands which models answered at the windows that were counted: so that the windows which
all of them answered can be told from the others, where a group holds both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa

from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.metrics import N_BINS
from scale_eval.metrics.compiled.batch import APART
from scale_eval.metrics.compiled.histogram import NEGATIVE, POSITIVE

_N_COUNTS = 3  # buyers, others, spend in minor units
_FIRST_CELLS = 32

Cell = tuple[str, int, int, str]
"""Model, cutoff in microseconds, group of companies, and the models that answered there."""


SparseCounts = list[tuple[Cell, np.ndarray, np.ndarray]]
"""Cells, each with the bins that hold somebody, ascending, and their counts, shape (n_bins, 3)."""


class ScoreCounts:
    """Integers on fixed edges, so that adding them up gives the same in any order.

    Attributes
    ----------
    histograms : ndarray of int64, shape (n, N_BINS, 3)
        See `add_to_histogram`; more of them than there are cells.
    """

    def __init__(self) -> None:
        self.histograms = np.zeros((0, N_BINS, _N_COUNTS), np.int64)
        self._places: dict[Cell, int] = {}
        self._apart: SparseCounts = []

    def places(
        self, cells: Sequence[Sequence[Cell | None]], n_evaluations: np.ndarray
    ) -> np.ndarray:
        """In which of the `histograms` evaluations are counted that have their cells in common.

        Parameters
        ----------
        cells : sequence of sequences of Cell or None
            For each kind of windows the cell of each model that answered.
        n_evaluations : ndarray of int, shape (n_kinds,)
            Of each model at the windows of a kind.

        Returns
        -------
        ndarray of int64, shape (n_kinds, n_models)
            `APART` for one that is alone in its cell: where companies are few, each has cells of
            its own, and to fill 100 kB for some customers would take longer than all else.
            `histograms` may be another array afterwards.
        """
        kinds = zip(cells, n_evaluations.tolist(), strict=True)
        return np.array(
            [[self._place(cell, n) if cell else APART for cell in kind] for kind, n in kinds],
            np.int64,
        )

    def _place(self, cell: Cell, n_evaluations: int) -> int:
        if n_evaluations == 1 and cell not in self._places:
            return APART
        place = self._places.setdefault(cell, len(self._places))
        if place == len(self.histograms):
            more = max(2 * place, _FIRST_CELLS)
            grown = np.zeros((more, *self.histograms.shape[1:]), np.int64)  # no memory yet
            grown[:place] = self.histograms
            self.histograms = grown
        return place

    def add(
        self, cells: Iterable[Cell], ends: np.ndarray, bins: np.ndarray, counts: np.ndarray
    ) -> None:
        """What `score_windows_into` returns of the evaluations that stand apart, in their order."""
        for cell, (low, high) in zip(cells, pairwise(ends.tolist()), strict=True):
            self._apart.append((cell, bins[low:high], counts[low:high]))

    def sparse(self) -> SparseCounts:
        """What is not zero: little to send where few were counted."""
        found = list(self._apart)
        for cell, place in self._places.items():
            counts = self.histograms[place]
            held = np.flatnonzero(counts[:, POSITIVE] + counts[:, NEGATIVE])
            found.append((cell, held, counts[held]))
        return found


def score_table(parts: Iterable[SparseCounts]) -> pa.Table:
    """The counts of several parts added up, by SCORES_SCHEMA, sorted."""
    cells: dict[Cell, list[tuple[np.ndarray, np.ndarray]]] = {}
    for cell, bins, counts in chain.from_iterable(parts):
        cells.setdefault(cell, []).append((bins, counts))
    keys = sorted(cells)
    found = [_added(cells[key]) for key in keys]
    lengths = np.array([len(bins) for bins, _ in found], dtype=np.int64)
    at = pa.array(np.repeat(np.arange(len(keys)), lengths))
    kinds = zip(zip(*keys, strict=True), SCORES_SCHEMA, strict=False)
    columns = [pa.array(list(values)).cast(field.type).take(at) for values, field in kinds]
    if not keys:
        return SCORES_SCHEMA.empty_table()
    all_bins = np.concatenate([bins for bins, _ in found]).astype(np.int32)
    all_counts = np.concatenate([counts for _, counts in found])
    return pa.table([*columns, all_bins, *all_counts.T], schema=SCORES_SCHEMA)


def _added(several: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if len(several) == 1:
        return several[0]
    whole = np.zeros((N_BINS, _N_COUNTS), np.int64)
    for bins, counts in several:
        whole[bins] += counts
    held = np.flatnonzero(whole[:, POSITIVE] + whole[:, NEGATIVE])
    return held, whole[held]
