"""Where the rows of companies lie: a file, its row groups, and the rows before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Places:
    """Places of companies; the arrays have the shape (n_companies,).

    Attributes
    ----------
    names : list of str
        Every file, relative to the dataset.
    file : ndarray of int32
        Position in `names`.
    first_row_group, n_row_groups : ndarray of int32
    row_offset : ndarray of int64
        Rows before the company's in its first row group.
    n_rows, n_customers : ndarray of int64
    """

    names: list[str]
    file: np.ndarray
    first_row_group: np.ndarray
    n_row_groups: np.ndarray
    row_offset: np.ndarray
    n_rows: np.ndarray
    n_customers: np.ndarray

    COLUMNS = ("path", "first_row_group", "n_row_groups", "row_offset", "n_rows", "n_customers")

    @classmethod
    def of(cls, manifest: pa.Table) -> Places:
        """The places in a manifest's `COLUMNS`."""
        paths = manifest["path"].combine_chunks().dictionary_encode()
        return cls(
            paths.dictionary.to_pylist(),
            paths.indices.to_numpy(),
            *(manifest[name].to_numpy() for name in cls.COLUMNS[1:]),
        )

    def __getitem__(self, chosen: np.ndarray | slice) -> Places:
        return Places(
            self.names,
            self.file[chosen],
            self.first_row_group[chosen],
            self.n_row_groups[chosen],
            self.row_offset[chosen],
            self.n_rows[chosen],
            self.n_customers[chosen],
        )

    def runs(self) -> np.ndarray:
        """Where those that follow one another cease to share their row groups.

        Shape (n_runs + 1,): run i are the places from ``runs[i]`` to before ``runs[i + 1]``.
        """
        other = np.diff(self.file) | np.diff(self.first_row_group) | np.diff(self.n_row_groups)
        bounds = np.concatenate([[True], other != 0, [True]])
        return np.flatnonzero(bounds)[: len(self.file) + 1]

    def order(self) -> np.ndarray:
        """The permutation that brings places into the order of the disk: files by their names."""
        rank = np.empty(len(self.names), dtype=np.int64)
        rank[sorted(range(len(self.names)), key=self.names.__getitem__)] = np.arange(len(rank))
        return np.lexsort((self.row_offset, self.first_row_group, rank[self.file]))
