"""Tables that are kept on local disk for as long as something is made of them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

import pyarrow as pa


class Spill:
    """A spill holds tables of one schema in numbered parts, each a file that is gone at the end.

    Use it as a context manager. The files have the names of unfinished ones: what a process that
    died left in a store's scratch directory is removed by `Store.delete_unfinished`.

    Parameters
    ----------
    directory : Path
        Where the files are; see `Store.scratch`.
    label : str
        Tells the files of one spill from those of another.
    schema : pyarrow.Schema
    compressed : bool
        Make smaller files, which take memory when they are read. Files that are not compressed are
        mapped, and rows that nobody looks at take no memory.
    """

    def __init__(self, directory: Path, label: str, schema: pa.Schema, *, compressed: bool) -> None:
        self._directory, self._label, self._schema = directory, label, schema
        self._options = pa.ipc.IpcWriteOptions(compression="lz4" if compressed else None)
        self._compressed = compressed
        self._open: dict[int, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        self._parts: set[int] = set()

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
        """Append `rows` to those that `part` has; raise `OSError` where that cannot be done."""
        if part not in self._open:
            self._parts.add(part)
            file = pa.OSFile(str(self._path(part)), "wb")
            self._open[part] = file, pa.ipc.new_stream(file, self._schema, options=self._options)
        self._open[part][1].write_table(rows)

    def finish(self, part: int) -> None:
        """Close the file of `part`, to which nothing is appended any more."""
        if part in self._open:
            file, writer = self._open.pop(part)
            with file:
                writer.close()

    def read(self, part: int) -> pa.Table:
        """Read all rows of `part`, to which nothing is appended any more; none if none came."""
        if part not in self._parts:
            return self._schema.empty_table()
        self.finish(part)
        path = str(self._path(part))
        with pa.OSFile(path) if self._compressed else pa.memory_map(path) as file:
            return pa.ipc.open_stream(file).read_all()

    def remove(self, part: int) -> None:
        """Remove the rows of `part` from the disk; what was read of them stays as it is."""
        with contextlib.suppress(OSError, pa.ArrowException):  # such as that of a full disk
            self.finish(part)
        self._path(part).unlink(missing_ok=True)
        self._parts.discard(part)

    def _path(self, part: int) -> Path:
        return self._directory / f".{self._label}-{part}.{os.getpid()}.unfinished"
