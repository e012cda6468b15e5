"""Read records of a table in memory: a DataFrame of pandas, or anything that Arrow can take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from scale_eval.datasets.ingest.records import IngestError, RecordBatch, locate
from scale_eval.datasets.ingest.typed_records import ROWS_PER_BATCH, typed_batch


def is_frame(thing: Any) -> bool:
    """Return whether `thing` is a table: it can be exported by the Arrow PyCapsule interface."""
    exports = any(hasattr(thing, f"__arrow_c_{kind}__") for kind in ("stream", "array"))
    return exports and not isinstance(thing, pd.Series | pd.Index)


class InputFrame:
    """A table in memory; its rows are numbered from 1, and its index does not count.

    Parameters
    ----------
    frame : DataFrame, or a table with the Arrow PyCapsule interface (pyarrow, polars, ...)
    label : str
        How messages, the report and the dataset call it.
    company_id : str
        The company of its rows, unless a column names companies.

    Raises
    ------
    IngestError
        It is something else that Arrow can take, such as a single column.
    """

    row = "row"
    in_python = True
    is_part = may_be_empty = False

    def __init__(self, frame: Any, label: str, company_id: str = "") -> None:
        self.label = self.name = label
        self.company_id = company_id
        self._frame = frame if isinstance(frame, pd.DataFrame) else _table_of(frame, label)
        self._picked: dict[str, tuple[str, pa.ChunkedArray]] = {}

    def content_hash(self, columns: Mapping[str, str]) -> str:
        """Return the SHA-256 of the columns that are read, with their types.

        Raises `IngestError` where one of them is missing, there twice, or of no type of Arrow.
        """
        digest = hashlib.sha256()
        for role, (_, column) in self._columns(columns).items():
            digest.update(f"{role}:{column.type}\n".encode())
            table = pa.table({role: column}).combine_chunks()  # chunks are no content
            with pa.ipc.new_stream(_Hashing(digest), table.schema) as stream:
                stream.write_table(table)
        return digest.hexdigest()

    def batches(self, columns: Mapping[str, str]) -> Iterator[RecordBatch]:
        """Read the records in batches; raise as `content_hash` and `typed_batch` do."""
        picked = self._columns(columns)
        names = {role: name for role, (name, _) in picked.items()}
        for first in range(0, len(self._frame), ROWS_PER_BATCH):
            arrays = {
                role: _joined(column.slice(first, ROWS_PER_BATCH))
                for role, (_, column) in picked.items()
            }
            yield typed_batch(self.label, names, arrays, first + 1)

    def text_bytes(self) -> int:
        """Estimate the bytes that the columns would take as plain text."""
        return sum(column.nbytes for _, column in self._picked.values())

    def _columns(self, columns: Mapping[str, str]) -> dict[str, tuple[str, pa.ChunkedArray]]:
        """Return the name and the content of each column by role."""
        if not self._picked:
            frame = self._frame
            is_pandas = isinstance(frame, pd.DataFrame)
            header = [str(name) for name in (frame.columns if is_pandas else frame.column_names)]
            try:
                positions = locate(self.label, header, columns, in_python=True)
            except IngestError as error:
                raise IngestError(f"{error}{self._hint_at_index(columns)}") from None
            self._picked = {
                role: (
                    header[i],
                    self._converted(header[i], role, frame.iloc[:, i])
                    if is_pandas
                    else frame.column(i),
                )
                for role, i in positions.items()
            }
        return self._picked

    def _hint_at_index(self, columns: Mapping[str, str]) -> str:
        """Return what to do where the index of a DataFrame has the name of a missing column."""
        names = self._frame.index.names if isinstance(self._frame, pd.DataFrame) else []
        return "; give frame.reset_index()" if set(names) & set(columns.values()) else ""

    def _converted(self, name: str, role: str, series: pd.Series) -> pa.ChunkedArray:
        if series.dtype == object:  # Arrow would take those without a zone to be in UTC
            times = [t for t in series.dropna() if isinstance(t, datetime)]
            if len({t.tzinfo is None for t in times}) > 1:
                raise IngestError(
                    f"{self.label}: column {name!r} ({role}) has times with a zone and without; "
                    "give the others their zone with .tz_localize(...)"
                )
        try:
            column = pa.array(series, from_pandas=True)
        except UnicodeEncodeError as error:
            raise IngestError(
                f"{self.label}: column {name!r} ({role}) has text that is not Unicode, such as "
                f"{error.object[:60]!r}; read it anew in its encoding, as in "
                "pd.read_csv(..., encoding='cp1252')"
            ) from None
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise IngestError(
                f"{self.label}: column {name!r} ({role}) has values of different types, or of one "
                f"that Arrow does not know ({error}); make it text with .astype(str)"
            ) from None
        return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _table_of(frame: Any, label: str) -> pa.Table:
    try:
        return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise IngestError(
            f"{label} is a {type(frame).__name__}, and no table ({error}); give one with columns"
        ) from None


def _joined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


class _Hashing:
    """A file to which Arrow writes, and of which only the hash is kept."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, content: Any) -> int:
        self._digest.update(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: there is no file."""
