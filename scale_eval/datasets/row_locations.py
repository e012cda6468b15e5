"""Locate companies' rows: in which file, in which row groups, and after how many other rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class RowLocations:
    """The locations of companies' rows; the arrays have the shape (n_companies,).

    Attributes
    ----------
    names : list of str
        Every file, relative to the dataset.
    file : ndarray of int32
        The company's file, as a position in `names`.
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
    def from_manifest(cls, manifest: pa.Table) -> RowLocations:
        """Take the locations from a manifest's `COLUMNS`."""
        paths = manifest["path"].combine_chunks().dictionary_encode()
        return cls(
            paths.dictionary.to_pylist(),
            paths.indices.to_numpy(),
            *(manifest[name].to_numpy() for name in cls.COLUMNS[1:]),
        )

    def __getitem__(self, chosen: np.ndarray | slice) -> RowLocations:
        return RowLocations(
            self.names,
            self.file[chosen],
            self.first_row_group[chosen],
            self.n_row_groups[chosen],
            self.row_offset[chosen],
            self.n_rows[chosen],
            self.n_customers[chosen],
        )

    def row_group_bounds(self) -> np.ndarray:
        """Return the bounds of runs of neighbours that share their row groups; shape (n + 1,).

        The i-th run goes from ``bounds[i]`` to before ``bounds[i + 1]``.
        """
        other = np.diff(self.file) | np.diff(self.first_row_group) | np.diff(self.n_row_groups)
        bounds = np.concatenate([[True], other != 0, [True]])
        return np.flatnonzero(bounds)[: len(self.file) + 1]

    def disk_order(self) -> np.ndarray:
        """Return the permutation into the order of the disk: files by name, then by position."""
        rank = np.empty(len(self.names), dtype=np.int64)
        rank[sorted(range(len(self.names)), key=self.names.__getitem__)] = np.arange(len(rank))
        return np.lexsort((self.row_offset, self.first_row_group, rank[self.file]))
