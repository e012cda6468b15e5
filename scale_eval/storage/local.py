"""Tables and JSON on a local or network path: atomic writes, plain reads, one lock.

Every write goes to a temporary name that begins with a dot, is flushed to the disk, and takes its
final name by `os.replace`: a reader never meets half a file, and neither does a restart after a
power cut.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from scale_eval.storage.fixed_size_lists import packed, unpacked

ROWS_PER_ROW_GROUP = 131_072


class StoreLocked(RuntimeError):  # noqa: N818 - a state, told as one
    """Another process is writing to the same place."""


class LocalStore:
    """Named tables and JSON documents under one directory.

    Parameters
    ----------
    root : path
        The directory. It need not exist until something is written.

    Notes
    -----
    Names are relative, with ``/`` between parts. Pickles to its path, so it can be sent to a worker
    that sees the same file system.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().absolute()

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def path(self, name: str = "") -> Path:
        """The full path of `name`."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Whether `name` is there."""
        return self.path(name).exists()

    def names(self, pattern: str) -> list[str]:
        """Names that match a glob, sorted; unfinished files (a dot first) never among them."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob(pattern)
            if not path.name.startswith(".")
        )

    def read_table(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        schema: pa.Schema | None = None,
        dictionaries: Sequence[str] = (),
    ) -> pa.Table:
        """The whole Parquet file `name`, read on the calling thread.

        Columns in `dictionaries` come as dictionary codes. The file is opened once: one that is
        replaced meanwhile is read as it was.
        """
        with self._opened(name, dictionaries) as file:
            read = file.read(columns=list(columns) if columns else None, use_threads=False)
        table = unpacked(read)
        return table if schema is None else table.select(schema.names).cast(schema)

    def read_rows(self, name: str, *, column: str, value: str) -> pa.Table:
        """The rows of `name` that have `value` in a column; row groups without it are not read."""
        rows = pq.read_table(self.path(name), filters=[(column, "==", value)], use_threads=False)
        return unpacked(rows)

    def read_row_groups(
        self,
        name: str,
        row_groups: Sequence[int],
        *,
        columns: Sequence[str],
        dictionaries: Sequence[str] = (),
    ) -> pa.Table:
        """Some row groups of `name`; columns in `dictionaries` come as dictionary codes.

        Raises `OSError` or `pyarrow.ArrowInvalid` with the path where the file is missing or
        damaged (pages carry checksums, so a flipped bit is noticed).
        """
        with self._opened(name, dictionaries) as file:
            if max(row_groups, default=-1) >= file.num_row_groups:
                raise pa.ArrowInvalid(f"it has {file.num_row_groups} row groups only")
            return file.read_row_groups(list(row_groups), columns=list(columns), use_threads=False)

    def n_bytes(self, name: str) -> int:
        """How many bytes the file `name` has; 0 where it is missing."""
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            return 0

    def n_row_groups(self, name: str) -> int:
        """How many row groups the Parquet file `name` has."""
        return int(pq.read_metadata(self.path(name)).num_row_groups)

    def write_table(self, name: str, table: pa.Table) -> int:
        """Write `table` as the Parquet file `name`, at once or not at all; returns its bytes."""
        return self.write_tables(name, [table])

    def write_tables(self, name: str, tables: Iterable[pa.Table]) -> int:
        """Write one Parquet file from tables of one schema as they come, one at least.

        Like `write_table`: at once or not at all; returns its bytes. Compressed by LZ4: a tenth
        larger than by zstd, and written and read in two thirds of the time.
        """

        def write(path: Path) -> None:
            parts = map(packed, tables)
            first = next(parts)
            repeating = [
                f.name
                for f in first.schema
                if pa.types.is_string(f.type) or pa.types.is_timestamp(f.type)
            ]
            ordered = [f.name for f in first.schema if not pa.types.is_fixed_size_binary(f.type)]
            with pq.ParquetWriter(
                path,
                first.schema,
                compression="lz4",
                write_page_checksum=True,
                use_dictionary=repeating,
                write_statistics=ordered,
            ) as writer:
                waiting = [first]
                for part in parts:
                    waiting.append(part)
                    if sum(map(len, waiting)) >= ROWS_PER_ROW_GROUP:
                        writer.write_table(pa.concat_tables(waiting), ROWS_PER_ROW_GROUP)
                        waiting = []
                if waiting:
                    writer.write_table(pa.concat_tables(waiting), ROWS_PER_ROW_GROUP)

        return self._write(name, write)

    def write_row_groups(
        self,
        directory: str,
        schema: pa.Schema,
        row_groups: Iterable[pa.Table],
        *,
        name: Callable[[], str],
        repeating: Sequence[str] = (),
        ascending: Sequence[str] = (),
    ) -> str | None:
        """Write one Parquet file of which each table is a row group, as they come.

        At once or not at all, like `write_table`; nothing is written where no table comes.

        Parameters
        ----------
        directory : str
            Where the file goes.
        row_groups : iterable of pyarrow.Table
            By `schema`; of `ROWS_PER_ROW_GROUP` rows at most.
        name : callable
            PopulationRules for the file's name when all tables have come: it may depend on them.
        repeating, ascending : sequences of str
            Columns that are written as a dictionary, and those of integers or times that are
            written as differences. Both only make the file small and quick to read.

        Returns
        -------
        str or None
            ``directory/name``; None where no table came.
        """
        parts = iter(row_groups)
        first = next(parts, None)
        if first is None:
            return None

        def write(path: Path) -> None:
            with pq.ParquetWriter(
                path,
                schema,
                compression="zstd",
                write_page_checksum=True,
                use_dictionary=list(repeating),
                column_encoding=dict.fromkeys(ascending, "DELTA_BINARY_PACKED"),
            ) as writer:
                for part in chain([first], parts):
                    writer.write_table(part, ROWS_PER_ROW_GROUP)

        path = self.path(directory)
        self._write_in(path, "row-groups", name, write)
        return f"{directory}/{name()}"

    def column_place(self, name: str, row_group: int, column: str) -> tuple[int, int]:
        """Where in the Parquet file `name` a column of a row group is: first byte, and how many."""
        group = pq.read_metadata(self.path(name)).row_group(row_group)
        chunks = (group.column(i) for i in range(group.num_columns))
        chunk = next(chunk for chunk in chunks if chunk.path_in_schema == column)
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        return int(begin), int(chunk.total_compressed_size)

    def flip_byte(self, name: str, position: int) -> None:
        """Damage the file `name` in place, as a bad disk does: every bit of one byte is turned."""
        with self.path(name).open("r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ 0xFF]))

    def read_json(self, name: str) -> Any:
        """The JSON document `name`."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))

    def read_bytes(self, name: str) -> bytes:
        """The whole file `name`."""
        return self.path(name).read_bytes()

    def write_bytes(self, name: str, content: bytes) -> int:
        """Write `content`, at once or not at all; returns its bytes."""
        return self._write(name, lambda path: path.write_bytes(content))

    def write_text(self, name: str, text: str) -> int:
        """Write `text` as UTF-8, at once or not at all; returns its bytes."""
        return self._write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, document: Any) -> None:
        """Write `document` as indented JSON, at once or not at all."""
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        self._write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def remove(self, name: str) -> None:
        """Remove the file `name`; nothing happens where it is not there."""
        self.path(name).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove what a writer that died left under a temporary name.

        Call it only while holding `lock`: the files of a living writer look the same.
        """
        for path in self.root.glob("**/.*.unfinished"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(
        self, name: str = ".lock", *, shared: bool = False, patience: float = 0.0
    ) -> Iterator[None]:
        """Hold the store for writing; the lock goes with the process, however it ends.

        Parameters
        ----------
        name : str
            Of the file that is locked: there can be locks for parts of the store.
        shared : bool
            Hold it beside others who share it, against those who do not.
        patience : float
            Seconds to wait for it.

        Raises
        ------
        StoreLocked
            Another process holds it; the message names the process.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self.path(name).open("a+") as file:
            deadline = time.monotonic() + patience
            while not _seized(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                if time.monotonic() >= deadline:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    raise StoreLocked(
                        f"{self.root} is being written by another process (pid {holder}); "
                        "wait for it or stop it, then run the same command again"
                    )
                time.sleep(0.05)
            if not shared:
                file.truncate(0)
                file.write(f"{os.getpid()} on {socket.gethostname()}\n")
                file.flush()
            yield

    def is_locked(self, name: str) -> bool:
        """Whether another process holds the lock `name`.

        Not to be asked of a lock of one's own: on some network paths that would let it go.
        """
        with self.path(name).open("a+") as file:
            return not _seized(file, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def _opened(self, name: str, dictionaries: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(
                self.path(name), read_dictionary=list(dictionaries), page_checksum_verification=True
            ) as file:
                yield file
        # The last two come of a damaged footer, where a column has lost its name.
        except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
            if getattr(error, "errno", None) is not None:  # the place, not what it holds
                raise
            raise pa.ArrowInvalid(f"{self.path(name)}: {error}") from error

    def _write(self, name: str, write: Callable[[Path], object]) -> int:
        path = self.path(name)
        return self._write_in(path.parent, path.name, lambda: path.name, write)

    def _write_in(
        self, parent: Path, label: str, name: Callable[[], str], write: Callable[[Path], object]
    ) -> int:
        """Have `write` make a file, which then takes its `name`; `label` is for the time before."""
        parent.mkdir(parents=True, exist_ok=True)
        # Processes of several machines write here at once, and each counts from 1.
        unfinished = parent / f".{label}.{socket.gethostname()}.{os.getpid()}.unfinished"
        try:
            write(unfinished)
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
            unfinished.replace(parent / name())
        except BaseException as error:
            unfinished.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise OSError(error.errno, reason, str(parent / label)) from error
            raise
        directory = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return size


def _seized(file: IO[str], kind: int) -> bool:
    """Lock an open file, unless another process holds it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        what = "files cannot be locked here (Lustre must be mounted with 'flock'); take another"
        raise OSError(error.errno, f"{what} place", file.name) from error
    return True


def open_store(place: str | os.PathLike[str] | LocalStore) -> LocalStore:
    """The store at `place`: a local or network path today.

    Raises `ValueError` for an address (``s3://...``) that no kind of store serves.
    """
    if isinstance(place, LocalStore):
        return place
    text = os.fspath(place)
    if "://" in text:
        raise ValueError(
            f"{text}: only paths are served; copy the data to a path that all workers see"
        )
    return LocalStore(text)
