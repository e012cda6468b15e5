"""Read records of a Parquet file: ids as text, timestamps and values by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scale_eval.datasets.ingest.records import IngestError, InputFormat, RecordBatch, locate
from scale_eval.datasets.ingest.typed_records import ROWS_PER_BATCH, typed_batch


def read_parquet(path: Path, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
    """Read the records of a Parquet file in batches; `columns` are names by role.

    Raises
    ------
    IngestError
        The file is damaged, or lacks a column, or has one of an unusable type (see `typed_batch`).
    """
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            names = {role: header[i] for role, i in locate(path, header, columns).items()}
            first = 1
            for batch in file.iter_batches(
                ROWS_PER_BATCH, columns=list(names.values()), use_threads=False
            ):
                picked = {role: batch.column(name) for role, name in names.items()}
                yield typed_batch(path, names, picked, first)
                first += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise IngestError(
            f"{path} is damaged or no Parquet file ({error}); write or fetch it again"
        ) from error


PARQUET = InputFormat(
    suffixes=frozenset({".parquet"}),
    recognizes=lambda start: start == b"PAR1",
    expansion=lambda start: 6,
    read=read_parquet,
)
