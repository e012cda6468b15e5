"""Add up histograms of scores, part by part, in little memory: a row is a key and its counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from scale_eval.compiling import compiled_for_many
from scale_eval.metrics.histogram import COUNTS

MERGE_ROWS = 4_000_000
"""Rows that are collected before they are merged, which bounds the memory of reading."""

CodedRows = tuple[np.ndarray, ...]
"""Rows of the table `scores`, column by column: an integer key, the counts, and the score."""


def merge_by_key(parts: Iterable[CodedRows]) -> CodedRows:
    """Return the rows of all parts, added up by key and sorted.

    Of the scores, the one is kept that all rows of a key have, else NaN.
    """
    kept: list[CodedRows] = []
    waiting = 0
    for rows in parts:
        kept.append(rows)
        waiting += len(rows[0])
        if waiting > MERGE_ROWS:
            kept = [_merged(kept)]
            waiting = 0
    empty = np.empty(0, dtype=np.int64)
    return _merged(kept) if kept else (empty,) * (len(COUNTS) + 2)


def coded_counts(part: pa.Table) -> CodedRows:
    """Return the counts and the score of each row of a part; NaN for a null score."""
    return (*(narrow(part[count].to_numpy()) for count in COUNTS), part["score"].to_numpy())


def numbered(column: pa.ChunkedArray, number: Callable[[str | None], int]) -> np.ndarray:
    """Return `number` of each text of a column, called once for each distinct text; int64."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers = [number(text) for text in [*encoded.dictionary.to_pylist(), None]]
    indices = encoded.indices.fill_null(len(numbers) - 1).to_numpy()
    return np.array(numbers, dtype=np.int64)[indices]


def _merged(rows: list[CodedRows]) -> CodedRows:
    """Merge the rows of several parts; `rows` is emptied.

    One column after another, so that little is in memory twice.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    rows.clear()
    key = np.concatenate(columns.pop(0))
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    merged = [key[starts]]
    del key
    while columns:
        count = np.concatenate(columns.pop(0))[order]
        if not columns:
            merged.append(_one_of_each(count, starts))
        elif len(starts):
            merged.append(np.add.reduceat(count, starts, dtype=np.int64))
        else:
            merged.append(count)
    return tuple(merged)


@compiled_for_many(error_model="python")
def _one_of_each(scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the score of each run of rows, which begin at `starts`; NaN where it has several."""
    kept = np.empty(len(starts))
    for i in range(len(starts)):
        kept[i] = scores[starts[i]]
        for row in range(starts[i] + 1, starts[i + 1] if i + 1 < len(starts) else len(scores)):
            if scores[row] != kept[i]:
                kept[i] = np.nan
    return kept


def narrow(counts: np.ndarray) -> np.ndarray:
    """Return counts in half the memory, if no sum of them can exceed 32 bits."""
    return counts.astype(np.int32) if counts.sum() < 2**31 else counts
