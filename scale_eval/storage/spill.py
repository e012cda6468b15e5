"""Spill tables to local disk while they are processed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from scale_eval.place_errors import naming_place
from scale_eval.storage.unfinished import create_alone, unfinished_name


class Spill:
    """A spill holds tables of one schema in numbered parts, which are temporary files.

    Use it as a context manager, which removes the files at the end. They are named like unfinished
    files, so that `Store.delete_unfinished` removes what a process that died left behind.

    Parameters
    ----------
    directory : Path
        Where the files are; see `Store.scratch`.
    label : str
        Distinguishes the files of one spill from those of another.
    schema : pyarrow.Schema
    compressed : bool
        Make smaller files, which take memory when they are read. Files that are not compressed are
        mapped into memory, where only the rows that are looked at take any.
    """

    def __init__(self, directory: Path, label: str, schema: pa.Schema, *, compressed: bool) -> None:
        self._directory, self._label, self._schema = directory, label, schema
        self._options = pa.ipc.IpcWriteOptions(compression="lz4" if compressed else None)
        self._compressed = compressed
        self._open: dict[int, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        self._parts: dict[int, Path] = {}

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for part in list(self._parts):
            self.remove(part)

    def append(self, part: int, rows: pa.Table) -> None:
        """Append `rows` to `part`; raise `OSError` where they cannot be written."""
        if part not in self._open:
            path = self._directory / unfinished_name(f"{self._label}-{part}")
            create_alone(path)
            self._parts[part] = path
            file = pa.OSFile(str(path), "wb")
            self._open[part] = file, pa.ipc.new_stream(file, self._schema, options=self._options)
        with naming_place(self._parts[part]):
            self._open[part][1].write_table(rows)

    def finish(self, part: int) -> None:
        """Close the file of `part`, to which nothing is appended any more."""
        if part in self._open:
            file, writer = self._open.pop(part)
            with naming_place(self._parts[part]), file:
                writer.close()

    def read(self, part: int) -> pa.Table:
        """Read all rows of `part`, to which nothing is appended any more."""
        if part not in self._parts:
            return self._schema.empty_table()
        self.finish(part)
        path = str(self._parts[part])
        with pa.OSFile(path) if self._compressed else pa.memory_map(path) as file:
            return pa.ipc.open_stream(file).read_all()

    def remove(self, part: int) -> None:
        """Remove `part` from the disk; tables that were read from it stay valid."""
        with contextlib.suppress(OSError, pa.ArrowException):  # such as that of a full disk
            self.finish(part)
        if part in self._parts:
            self._parts.pop(part).unlink(missing_ok=True)
