"""The store on a local or network path: atomic writes, plain reads, locks by `flock`.

Every write goes to a temporary name that begins with a dot, is flushed to the disk, and takes its
final name by `os.replace`: a reader never meets half a file, and neither does a restart after a
power cut.

A folder may come from somebody else. So names stay below the root, and nothing is written, locked
or deleted through a link there: it could lead to anything that the user may write.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa

from scale_eval.place_errors import naming_place
from scale_eval.storage.base import Output, StoreLocked
from scale_eval.storage.unfinished import create_alone, is_unfinished, unfinished_name

_HOLDER = re.compile(r"(\d+ on \S*\n)?")
"""What `LocalStore.lock` writes into the file of a lock."""


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
        """Return the full path of `name`; raise `ValueError` for a name that leads elsewhere."""
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\0" in name:
            raise ValueError(f"{name!r} leads outside {self.root}")
        return self.root / name

    def is_inside(self, name: str) -> bool:
        """Return whether `name` lies below the root, with all links followed."""
        try:
            return self.path(name).resolve().is_relative_to(self.root.resolve())
        except (ValueError, OSError, RuntimeError):  # such as links that form a circle
            return False

    def exists(self, name: str) -> bool:
        """Return whether `name` is in the store."""
        return self.path(name).exists()

    def names(self, pattern: str) -> list[str]:
        """Return the names that match a glob, sorted; hidden ones only if the pattern is hidden.

        Raises `NotADirectoryError` where the root is a file.
        """
        self._require_directory()
        hidden = pattern.rpartition("/")[2].startswith(".")
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob(pattern)
            if hidden or not path.name.startswith(".")
        )

    def walk(self) -> Iterator[str]:
        """Yield the name of every file and link, hidden ones included; links are not followed.

        Raises `NotADirectoryError` where the root is a file.
        """
        self._require_directory()
        for place, folders, files in os.walk(self.root):
            folders.sort()
            links = [name for name in folders if (Path(place) / name).is_symlink()]
            for name in sorted([*files, *links]):
                yield (Path(place) / name).relative_to(self.root).as_posix()

    def require_no_link(self, name: str) -> None:
        """Raise `OSError` where `name`, or a folder on the way to it, is a link."""
        self._own_path(name)

    def size(self, name: str) -> int:
        """Return the number of bytes of `name`; 0 where it is missing."""
        try:
            return self.path(name).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read all bytes of `name`, or those from `start` to before `stop`."""
        path = self.path(name)
        with naming_place(path), path.open("rb") as file:
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
        self._own_path(name).unlink(missing_ok=True)

    def set_aside(self, name: str) -> None:
        """Rename `name` to ``NAME.damaged``, or with a number; do nothing where it is missing."""
        self._own_path(PurePosixPath(name).parent.as_posix())  # raises where it is a link
        path = self.path(name)
        names = (path.with_name(f"{path.name}.damaged{n or ''}") for n in itertools.count())
        free = next(each for each in names if not os.path.lexists(each))
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            path.rename(free)

    def append(self, name: str, content: bytes) -> None:
        """Append `content` to the file `name`, as one piece; a power cut may lose it."""
        path = self._own_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with naming_place(path), os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0) as file:
            file.write(content)

    def delete_unfinished(self, folders: Sequence[str] = ()) -> None:
        """Delete what a writer that died left under a temporary name; hold `lock` meanwhile.

        Looks into the root and, at every depth, into `folders`: others may hold a place of their
        own, in which somebody writes.
        """
        below = [place for folder in folders for place in _folders_below(self.path(folder))]
        for place in [self.root, *below]:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for path in place.iterdir():
                    if is_unfinished(path.name) and path.is_file() and not path.is_symlink():
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
        path = self._own_path(name)
        self.root.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o666), "r+") as file:
            deadline = time.monotonic() + patience
            while not _try_lock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
                if time.monotonic() >= deadline:
                    holder = file.read(1_000).strip() or "unknown"
                    raise StoreLocked(
                        f"{self.root} is being written by another process (pid {holder}); "
                        "wait for it or stop it, then run the same command again"
                    )
                time.sleep(0.05)
            if not shared:
                _require_lock_file(file, path)
                with naming_place(path):
                    os.ftruncate(file.fileno(), 0)
                    holder = f"{os.getpid()} on {socket.gethostname()}\n"
                    os.pwrite(file.fileno(), holder.encode(), 0)  # without a buffer to close
            yield

    def is_locked(self, name: str) -> bool:
        """Return whether another process holds the lock `name`; see `Store.is_locked`."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with os.fdopen(os.open(self._own_path(name), flags)) as file:
            return not _try_lock(file, fcntl.LOCK_SH)

    def _require_directory(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise NotADirectoryError(
                f"{self.root} is a file; choose a directory, or a name that is free"
            )

    def _own_path(self, name: str) -> Path:
        """Return the full path of `name`, to write there or to remove what is there.

        Raises `OSError` where it, or a folder on the way from the root, is a link.
        """
        path = self.path(name)
        for part in (path, *path.parents):
            if part == self.root:
                break
            if part.is_symlink():
                raise OSError(
                    f"{part} is a link to {part.readlink()}, through which nothing is written "
                    "or removed; put what it leads to in its place, or choose another place"
                )
        return path

    @contextlib.contextmanager
    def _written(self, name: str, publish: Callable[[Path, Path], object]) -> Iterator[Output]:
        """Write a file under a temporary name, and `publish` it under its own when it is whole."""
        path = self._own_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(unfinished_name(path.name))
        try:
            with naming_place(path):
                create_alone(made)
                with pa.OSFile(str(made), "wb") as file:
                    output = Output(file, name)
                    yield output
                with made.open("rb") as written:
                    os.fsync(written.fileno())
                    output.size = os.fstat(written.fileno()).st_size
                publish(made, self._own_path(output.name))
        finally:
            made.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _folders_below(folder: Path) -> list[Path]:
    """Return a folder and all below it, without those that a link leads to."""
    if folder.is_symlink():
        return []
    return [Path(place) for place, _, _ in os.walk(folder)]


def _require_lock_file(file: IO[str], path: Path) -> None:
    """Raise `OSError` where what is at the place of a lock is no file that `lock` made."""
    facts = os.fstat(file.fileno())
    is_file = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
    if is_file:
        file.seek(0)
    if not (is_file and _HOLDER.fullmatch(file.read(1_000))):
        raise OSError(
            f"{path} has the name of scale_eval's lock and is something else; move it away, or "
            "choose another place"
        )


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
