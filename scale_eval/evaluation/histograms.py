"""Count the scores of many evaluations in histograms, by model, cutoff and group of companies.

The key of each histogram also names the models that predicted for its windows, so that the windows
for which all models predicted can be separated from the others of a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa

from scale_eval.evaluation.schema import SCORES_SCHEMA
from scale_eval.metrics import N_BINS
from scale_eval.metrics.compiled.batch import APART
from scale_eval.metrics.compiled.histogram import (
    NEGATIVE,
    NO_SCORE,
    POSITIVE,
    SCORE,
    SEVERAL_SCORES,
)

_N_COLUMNS = SCORE + 1  # three counts and the code of the one score
_FIRST_CELLS = 32

Cell = tuple[str, int, int, str]
"""Model, cutoff in microseconds, group of companies, and the models that predicted there, "a;b"."""

SparseCounts = list[tuple[Cell, np.ndarray, np.ndarray]]
"""Cells, each with its non-empty bins, ascending, and their counts, shape (n_bins, 4)."""


class ScoreCounts:
    """Counts of scores between fixed edges: integers, whose sums are the same in any order.

    The one score of a bin, too, is the same in any order of adding up: it remains while all that is
    added has it, and is never known again once it is not.

    Attributes
    ----------
    histograms : ndarray of int64, shape (n, N_BINS, 4)
        See `add_to_histogram`; there may be more of them than cells.
    """

    def __init__(self) -> None:
        self.histograms = np.zeros((0, N_BINS, _N_COLUMNS), np.int64)
        self._index: dict[Cell, int] = {}
        self._apart: SparseCounts = []

    def indices(
        self, cells: Sequence[Sequence[Cell | None]], n_evaluations: np.ndarray
    ) -> np.ndarray:
        """Return the histogram in which the evaluations of each cell are counted.

        Parameters
        ----------
        cells : sequence of sequences of Cell or None
            The cell of each model, for each kind of windows; None where it did not predict.
        n_evaluations : ndarray of int, shape (n_kinds,)
            The number of evaluations of each model at the windows of a kind.

        Returns
        -------
        ndarray of int64, shape (n_kinds, n_models)
            `APART` for an evaluation that is alone in its cell: where companies are few, each has
            cells of its own, and filling 130 kB for a few customers would take longer than
            everything else. `histograms` may be another array afterwards.
        """
        kinds = zip(cells, n_evaluations.tolist(), strict=True)
        return np.array(
            [[self._index_of(cell, n) if cell else APART for cell in kind] for kind, n in kinds],
            np.int64,
        )

    def _index_of(self, cell: Cell, n_evaluations: int) -> int:
        if n_evaluations == 1 and cell not in self._index:
            return APART
        index = self._index.setdefault(cell, len(self._index))
        if index == len(self.histograms):
            more = max(2 * index, _FIRST_CELLS)
            grown = np.zeros((more, *self.histograms.shape[1:]), np.int64)  # no memory yet
            grown[:index] = self.histograms
            self.histograms = grown
        return index

    def add(
        self, cells: Iterable[Cell], ends: np.ndarray, bins: np.ndarray, counts: np.ndarray
    ) -> None:
        """Add the counts of evaluations that are `APART`, as `score_windows_into` returns them."""
        for cell, (low, high) in zip(cells, pairwise(ends.tolist()), strict=True):
            self._apart.append((cell, bins[low:high], counts[low:high]))

    def sparse(self) -> SparseCounts:
        """Return the counts of the bins that are not empty."""
        cells = list(self._apart)
        for cell, index in self._index.items():
            counts = self.histograms[index]
            bins = _filled_bins(counts)
            cells.append((cell, bins, counts[bins]))
        return cells


def score_table(parts: Iterable[SparseCounts]) -> pa.Table:
    """Return the sums of the counts of several parts as a table of SCORES_SCHEMA, sorted."""
    cells: dict[Cell, list[tuple[np.ndarray, np.ndarray]]] = {}
    for cell, bins, counts in chain.from_iterable(parts):
        cells.setdefault(cell, []).append((bins, counts))
    keys = sorted(cells)
    sums = [_sum(cells[key]) for key in keys]
    lengths = np.array([len(bins) for bins, _ in sums], dtype=np.int64)
    at = pa.array(np.repeat(np.arange(len(keys)), lengths))
    kinds = zip(zip(*keys, strict=True), SCORES_SCHEMA, strict=False)
    columns = [pa.array(list(values)).cast(field.type).take(at) for values, field in kinds]
    if not keys:
        return SCORES_SCHEMA.empty_table()
    all_bins = np.concatenate([bins for bins, _ in sums]).astype(np.int32)
    all_counts = np.concatenate([counts for _, counts in sums])
    counts, codes = all_counts[:, :SCORE].T, all_counts[:, SCORE]
    return pa.table([*columns, all_bins, *counts, _score_of(codes)], schema=SCORES_SCHEMA)


def _sum(several: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if len(several) == 1:
        return several[0]
    whole = np.zeros((N_BINS, _N_COLUMNS), np.int64)
    for bins, counts in several:
        before, added = whole[bins, SCORE], counts[:, SCORE]
        whole[bins] += counts
        same = (before == NO_SCORE) | (before == added)
        whole[bins, SCORE] = np.where(same, added, SEVERAL_SCORES)
    filled = _filled_bins(whole)
    return filled, whole[filled]


def _score_of(codes: np.ndarray) -> pa.Array:
    """Return the score of each code, null where it stands for several."""
    return pa.array((codes - 1).view(np.float64), mask=codes == SEVERAL_SCORES)


def _filled_bins(counts: np.ndarray) -> np.ndarray:
    return np.flatnonzero(counts[:, POSITIVE] + counts[:, NEGATIVE])
