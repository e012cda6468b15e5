"""Read records of a Parquet file: ids as text, timestamps and values by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from scale_eval.datasets.ingest.records import (
    TEXT_LENGTH,
    IngestError,
    InputFormat,
    RecordBatch,
    locate,
)

ROWS_PER_BATCH = 100_000


def read_parquet(path: Path, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
    """Read the records of a Parquet file in batches; `columns` are names by role.

    Raises
    ------
    IngestError
        The file is damaged, or lacks a column, or has one of an unusable type: an id that is a
        floating-point number has lost its leading zeros and perhaps its last digits.
    """
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            names = {role: header[i] for role, i in locate(path, header, columns).items()}
            first = 1
            for batch in file.iter_batches(
                ROWS_PER_BATCH, columns=list(names.values()), use_threads=False
            ):
                picked = {
                    role: _as_read(path, role, name, batch.column(name))
                    for role, name in names.items()
                }
                yield _batch(picked, first, len(batch))
                first += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise IngestError(
            f"{path} is damaged or no Parquet file ({error}); write or fetch it again"
        ) from error


def _batch(picked: dict[str, pa.Array], first: int, n_rows: int) -> RecordBatch:
    def text(i: int) -> str:
        return ",".join(_text(column[i]) for column in picked.values())[:TEXT_LENGTH]

    return RecordBatch(picked, first + np.arange(n_rows), text, refused=[])


def _text(field: pa.Scalar) -> str:
    if types.is_timestamp(field.type):  # in UTC: Arrow looks for zones on the machine, not here
        field = field.cast(pa.timestamp(field.type.unit))
    return field.cast(pa.string()).as_py() or ""


def _as_read(path: Path, role: str, name: str, column: pa.Array) -> pa.Array:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    column = column.cast(kind)
    if _is_text(kind) or (types.is_integer(kind) and role != "value"):
        return column.cast(pa.large_string())
    if role == "value" and types.is_decimal(kind):
        return column.cast(pa.large_string()).cast(pa.float64())  # by its digits: rounded once
    if role == "value" and (types.is_integer(kind) or types.is_floating(kind)):
        return column.cast(pa.float64(), safe=False)
    if role == "timestamp" and types.is_date(kind):
        return column.cast(pa.timestamp("s"))
    if role == "timestamp" and types.is_timestamp(kind):
        return column
    wanted = {"timestamp": "a timestamp, a date or text", "value": "a number or text"}
    raise IngestError(
        f"{path}: column {name!r} ({role}) has type {kind}; "
        f"write it as {wanted.get(role, 'text (an integer will do)')}"
    )


def _is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


PARQUET = InputFormat(
    suffixes=frozenset({".parquet"}),
    recognizes=lambda start: start == b"PAR1",
    expansion=lambda start: 6,
    read=read_parquet,
)
