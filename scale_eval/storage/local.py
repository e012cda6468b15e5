"""The store on a local or network path: atomic writes, plain reads, locks by `flock`.

Every write goes to a temporary name that begins with a dot, is flushed to the disk, and takes its
final name by `os.replace`: a reader never meets half a file, and neither does a restart after a
power cut.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from scale_eval.storage.base import Output, StoreLocked


class LocalStore:
    """A local store keeps its names as files under one directory; see `Store` for its verbs.

    Parameters
    ----------
    root : path
        The directory. It need not exist until something is written.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser().absolute()

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def path(self, name: str = "") -> Path:
        """Return the full path of `name`."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Return whether `name` is in the store."""
        return self.path(name).exists()

    def names(self, pattern: str) -> list[str]:
        """Return the names that match a glob, sorted; hidden ones only if the pattern is hidden.

        Raises `NotADirectoryError` where the root is a file.
        """
        if self.root.exists() and not self.root.is_dir():
            raise NotADirectoryError(
                f"{self.root} is a file; choose a directory, or a name that is free"
            )
        hidden = pattern.rpartition("/")[2].startswith(".")
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob(pattern)
            if hidden or not path.name.startswith(".")
        )

    def size(self, name: str) -> int:
        """Return the number of bytes of `name`; 0 where it is missing."""
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read all bytes of `name`, or those from `start` to before `stop`."""
        with self.path(name).open("rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    def open_input(self, name: str) -> pa.NativeFile:
        """Open `name` for reading at any position."""
        return pa.OSFile(str(self.path(name)))

    def write(self, name: str, content: bytes) -> int:
        """Write `content` so that it is visible whole or not at all; return its bytes."""
        with self.open_output(name) as output:
            output.file.write(content)
        return output.size

    @contextlib.contextmanager
    def open_output(self, name: str) -> Iterator[Output]:
        """Write a file step by step; it becomes visible when the block ends without an error."""
        with self._written(name, lambda made, final: made.replace(final)) as output:
            yield output

    def create(self, name: str, content: bytes) -> None:
        """Write `content` as `write` does; raise `FileExistsError` where the name is taken."""
        with self._written(name, lambda made, final: final.hardlink_to(made)) as output:
            output.file.write(content)

    def delete(self, name: str) -> None:
        """Delete the file `name`; do nothing where it is missing."""
        self.path(name).unlink(missing_ok=True)

    def delete_unfinished(self) -> None:
        """Delete what a writer that died left under a temporary name; hold `lock` meanwhile."""
        for path in self.root.glob("**/.*.unfinished"):
            path.unlink(missing_ok=True)

    def scratch(self) -> Path:
        """Return the store's own directory; create it if it does not exist."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.root

    @contextlib.contextmanager
    def lock(
        self, name: str = ".lock", *, shared: bool = False, patience: float = 0.0
    ) -> Iterator[None]:
        """Hold a lock during the block; the end of the process releases it, too.

        Raises `StoreLocked`, which names the process that holds it, after `patience` seconds.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self.path(name).open("a+") as file:
            deadline = time.monotonic() + patience
            while not _try_lock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
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
        """Return whether another process holds the lock `name`; see `Store.is_locked`."""
        with self.path(name).open("a+") as file:
            return not _try_lock(file, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def _written(self, name: str, publish: Callable[[Path, Path], object]) -> Iterator[Output]:
        """Write a file under a temporary name, and `publish` it under its own when it is whole."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Processes of several machines write here at once, and each counts from 1.
        made = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.unfinished")
        try:
            with pa.OSFile(str(made), "wb") as file:
                output = Output(file, name)
                yield output
            with made.open("rb") as written:
                os.fsync(written.fileno())
                output.size = os.fstat(written.fileno()).st_size
            publish(made, self.path(output.name))
        except OSError as error:
            if error.filename is not None:
                raise
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(error.errno, reason, str(path)) from error
        finally:
            made.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _try_lock(file: IO[str], kind: int) -> bool:
    """Lock an open file; return False where another process holds it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        message = (
            "files cannot be locked here (Lustre must be mounted with 'flock'); take another place"
        )
        raise OSError(error.errno, message, file.name) from error
    return True
