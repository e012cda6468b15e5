"""Read the table `evaluations`, part by part, into arrays by model and window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.compiling import compiled_for_many

Parts = Callable[[Sequence[str]], Iterable[pa.Table]]
"""A function that reads columns of the table `evaluations` in parts, the same at every call."""


class Columns:
    """Columns of the table `evaluations`, by window and model; read when needed, unless held.

    Times are in microseconds since 1970 UTC. In a run of many companies, only a few columns fit
    into memory together.
    """

    def __init__(
        self, parts: Parts, cells: Cells, held: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._parts, self._cells, self._held = parts, cells, dict(held or {})

    def __getitem__(self, name: str) -> np.ndarray:
        return self._held[name] if name in self._held else self._read([name])[name]

    def holding(self, names: Iterable[str]) -> Columns:
        """Return the columns with these in memory as well."""
        missing = [name for name in dict.fromkeys(names) if name not in self._held]
        return Columns(self._parts, self._cells, self._held | self._read(missing))

    def _read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        read = {name: self._cells.array(np.float64, np.nan) for name in names}
        at = 0
        for part in self._parts(names) if names else ():
            for name in names:
                self._cells.put(read[name], _numbers(part[name]), at)
            at += len(part)
        return {name: column.T for name, column in read.items()}


class Cells:
    """The position in the panel of each row of the table `evaluations`, in the order of its parts.

    Models come first, so that the values of one model lie together.
    """

    def __init__(self, cells: np.ndarray, shape: tuple[int, int]) -> None:
        self._cells, self._shape = cells, shape

    def array(self, dtype: type, empty: float, width: int = 1) -> np.ndarray:
        """Return an array to put the values of all rows into, `empty` where there is no row.

        Its shape is (n_models, n_windows), with `width` as a third dimension unless that is 1. Only
        cells without a row are filled, because nearly all have one.
        """
        into: np.ndarray = np.empty((*self._shape, width), dtype=dtype)
        into.reshape(-1, width)[self._without_row] = empty
        return into if width > 1 else into[:, :, 0]

    @cached_property
    def _without_row(self) -> np.ndarray:
        without = np.ones(math.prod(self._shape), dtype=bool)
        without[self._cells[self._cells >= 0]] = False
        return np.flatnonzero(without)

    def spread(self, parts: Sequence[np.ndarray], dtype: type, empty: int) -> np.ndarray:
        """Put the values of all rows into an array of shape (n_models, n_windows)."""
        spread_out = self.array(dtype, empty)
        at = 0
        for values in parts:
            self.put(spread_out, values.astype(dtype, copy=False), at)
            at += len(values)
        return spread_out

    def put(self, into: np.ndarray, values: np.ndarray, at: int) -> None:
        """Put the values of the rows from `at` on into their cells; `into` has their dtype.

        Rows that a later attempt supersedes are left out.
        """
        cells = self._cells[at : at + len(values)]
        width = math.prod(into.shape[2:])
        _put(into.reshape(-1, width), cells, values.reshape(-1, width))


@compiled_for_many(error_model="python")
def _put(into: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
    for row in range(len(cells)):
        if cells[row] >= 0:
            for i in range(into.shape[1]):
                into[cells[row], i] = values[row, i]


class Codes:
    """A numbering of texts, in the order in which they first occur; -1 for null."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        """Return the texts, each at the position that is its number."""
        return list(self._codes)

    def of(self, column: pa.ChunkedArray) -> np.ndarray:
        """Return the number of each text of a column; int64."""
        encoded = column.combine_chunks().dictionary_encode()
        seen = self._codes
        codes = np.array(
            [seen.setdefault(text, len(seen)) for text in encoded.dictionary.to_pylist()] + [-1]
        )
        return codes[whole_numbers(encoded.indices, -1)]

    def ranked(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts sorted, and `codes` as positions among them."""
        texts = np.array(self.texts, dtype=object)
        order = np.argsort(texts)
        rank = np.empty(len(texts), dtype=np.int64)
        rank[order] = np.arange(len(texts))
        return texts[order], rank[codes]


def latest_attempts(cells: np.ndarray, attempts: np.ndarray) -> np.ndarray:
    """Set the cells of rows that a later attempt supersedes to -1."""
    if not (attempts > 1).any():
        return cells
    order = np.lexsort([attempts, cells])
    superseded = np.append(np.diff(cells[order]) == 0, False)
    cells[order[superseded]] = -1
    return cells


def whole_numbers(column: pa.ChunkedArray | pa.Array, null: int) -> np.ndarray:
    """Return a column as int64, with `null` where it is null."""
    filled = pc.fill_null(column.cast(pa.int64()), null)
    return filled.to_numpy() if isinstance(filled, pa.ChunkedArray) else np.asarray(filled)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if column.type != pa.float64():
        column = column.cast(pa.float64())
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values


def parts_of(table: pa.Table) -> Parts:
    """Return a table in memory as `Parts`."""

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        yield table.select(list(columns))

    return read
