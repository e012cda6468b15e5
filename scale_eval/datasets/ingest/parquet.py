"""Read records of a Parquet file: ids as text, timestamps and values by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scale_eval.datasets.ingest.records import IngestError, InputFormat, RecordBatch, locate
from scale_eval.datasets.ingest.text_options import TextOptions
from scale_eval.datasets.ingest.typed_records import ROWS_PER_BATCH, typed_batch

MAX_SECONDS = 2**63 // 1_000_000 - 1
"""Seconds before and after 1970 that microseconds can hold."""


def read_parquet(
    path: Path, columns: Mapping[str, str], options: TextOptions
) -> Iterator[RecordBatch]:
    """Read the records of a Parquet file in batches; `columns` are names by role.

    `options` say how text is written, and mean nothing here.

    Raises
    ------
    IngestError
        The file is damaged, or lacks a column, or has one of an unusable type (see `typed_batch`).
    """
    try:
        # Spark's int96 holds more years than nanoseconds do, and Arrow lets these wrap.
        with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
            header = file.schema_arrow.names
            names = {role: header[i] for role, i in locate(path, header, columns).items()}
            wrapped = _wrapped_rows(path, file, names["timestamp"])
            first = 1
            for batch in file.iter_batches(
                ROWS_PER_BATCH, columns=list(names.values()), use_threads=False
            ):
                picked = {role: batch.column(name) for role, name in names.items()}
                if len(wrapped):
                    picked["timestamp"] = _without(picked["timestamp"], wrapped - first)
                yield typed_batch(path, names, picked, first)
                first += len(batch)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if "UTF8" in str(error):  # Arrow says so of text in dictionaries, and not where
            raise IngestError(
                f"{path}: one of the columns {', '.join(map(repr, columns.values()))} holds text "
                "that is not UTF-8; write it anew as text"
            ) from error
        raise IngestError(
            f"{path} is damaged or no Parquet file ({error}); write or fetch it again"
        ) from error


def _wrapped_rows(path: Path, file: pq.ParquetFile, name: str) -> np.ndarray:
    """Return the numbers of rows whose int96 timestamp is out of the range of microseconds."""
    rows, first = [np.empty(0, dtype="int64")], 1
    leaves = map(file.schema.column, range(len(file.schema)))
    if not any(leaf.path == name and leaf.physical_type == "INT96" for leaf in leaves):
        return rows[0]
    with pq.ParquetFile(path, coerce_int96_timestamp_unit="s") as in_seconds:
        for batch in in_seconds.iter_batches(ROWS_PER_BATCH, columns=[name], use_threads=False):
            seconds = pc.fill_null(batch.column(0).cast(pa.int64()), 0).to_numpy()
            rows.append(first + np.flatnonzero(np.abs(seconds) > MAX_SECONDS))
            first += len(batch)
    return np.concatenate(rows)


def _without(times: pa.Array, positions: np.ndarray) -> pa.Array:
    """Put an instant that is out of any range in the place of those at `positions`."""
    here = positions[(positions >= 0) & (positions < len(times))]
    chosen = np.zeros(len(times), dtype=bool)
    chosen[here] = True
    never = pa.scalar(2**63 - 1, pa.int64()).cast(times.type)
    return pc.if_else(pa.array(chosen), never, times)


PARQUET = InputFormat(
    suffixes=frozenset({".parquet"}),
    recognizes=lambda start: start == b"PAR1",
    expansion=lambda start: 6,
    read=read_parquet,
    is_text=False,
)
