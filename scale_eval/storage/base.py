"""The store protocol: the few verbs that every kind of place must offer over named bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa


class StoreLocked(RuntimeError):  # noqa: N818 - a state, not a fault
    """Another process is writing to the same place."""


@dataclass
class Output:
    """An output is a file that is being written and that nobody sees yet.

    Attributes
    ----------
    file : pyarrow.NativeFile
        Takes the bytes.
    name : str
        The name that the file takes at the end. The writer may change it until then, within the
        same directory: a file can be named after its content.
    size : int
        Its bytes, once it is closed.
    """

    file: pa.NativeFile
    name: str
    size: int = 0


class Store(Protocol):
    """A store keeps named bytes under one root; `open_store` finds the kind that serves a place.

    Names are relative, with ``/`` between parts; one that leads outside the root raises
    `ValueError`. Writing and deleting raise `OSError` where a link is on the way. A store can be
    pickled and sent to a worker that reaches the same place. Tables and JSON documents are
    functions over any store, in `storage.tables` and `storage.documents`.
    """

    @property
    def root(self) -> str | os.PathLike[str]:
        """Return where the store is; ``f"{root}/{name}"`` says in a message where a name is."""

    def exists(self, name: str) -> bool:
        """Return whether `name` is in the store."""

    def names(self, pattern: str) -> list[str]:
        """Return the names that match a glob, sorted.

        As in a shell, names that begin with a dot are matched only by a pattern that does. Raises
        `NotADirectoryError` where the root cannot hold names.
        """

    def walk(self) -> Iterator[str]:
        """Yield the name of every file and link, hidden ones included; links are not followed.

        Raises `NotADirectoryError` where the root cannot hold names.
        """

    def is_inside(self, name: str) -> bool:
        """Return whether `name` is kept below the root: no path or link leads elsewhere."""

    def require_no_link(self, name: str) -> None:
        """Raise `OSError` where `name`, or a folder on the way to it, is a link."""

    def size(self, name: str) -> int:
        """Return the number of bytes of `name`; 0 where it is missing."""

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read all bytes of `name`, or those from `start` to before `stop`."""

    def open_input(self, name: str) -> pa.NativeFile:
        """Open `name` for reading at any position.

        The reader sees the file as it was when it was opened, even if it is replaced meanwhile.
        Raises `FileNotFoundError` where it is missing.
        """

    def write(self, name: str, content: bytes) -> int:
        """Write `content` so that it is visible whole or not at all; return its bytes."""

    def open_output(self, name: str) -> AbstractContextManager[Output]:
        """Write a file step by step; it becomes visible when the block ends without an error."""

    def create(self, name: str, content: bytes) -> None:
        """Write `content` as `write` does, unless the name is taken.

        Raises `FileExistsError` where it is; of several processes exactly one succeeds.
        """

    def append(self, name: str, content: bytes) -> None:
        """Append `content` to `name`, as one piece; a power cut may lose it."""

    def delete(self, name: str) -> None:
        """Delete `name`; do nothing where it is missing."""

    def set_aside(self, name: str) -> None:
        """Rename `name`, whatever it is, to ``NAME.damaged``; do nothing where it is missing.

        Where that name is taken, a number is added: what was set aside before stays.
        """

    def delete_unfinished(self, folders: Sequence[str] = ()) -> None:
        """Delete what a writer that died left unfinished, in the root and anywhere in `folders`.

        Call it only while holding `lock`: the files of a living writer look the same.
        """

    def scratch(self) -> Path:
        """Return a local directory for temporary files; create it if it does not exist.

        `delete_unfinished` removes what lies there under an `unfinished_name`.
        """

    def lock(
        self, name: str = ".lock", *, shared: bool = False, patience: float = 0.0
    ) -> AbstractContextManager[None]:
        """Hold a lock during the block; the end of the process releases it, too.

        Parameters
        ----------
        name : str
            Name of the lock: parts of a store can have locks of their own.
        shared : bool
            Allow other shared holders at the same time, but no exclusive one.
        patience : float
            Seconds to wait for it.

        Raises
        ------
        StoreLocked
            Another process holds it; the message names the process.
        """

    def is_locked(self, name: str) -> bool:
        """Return whether another process holds the lock `name`.

        Do not call it for a lock that this process holds: on some network paths that releases it.
        """
