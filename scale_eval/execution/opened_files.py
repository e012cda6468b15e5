"""Note which files a user's code reads, and let it write none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scale_eval.models.identity.user_modules import is_of_installation
from scale_eval.storage.file_hash import file_hash, shown_path

_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib", "/bin/")
_CODE = (".py", ".pyc", ".so")


class WritesFile(BaseException):
    """Code that is being tried would write a file."""


class OpenedFiles:
    """The files that were opened within a block."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.is_on = True

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note a file that is opened; raise `WritesFile` where it is to be written."""
        if not self.is_on or event not in ("open", "sqlite3.connect"):
            return
        path = arguments[0]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or path == ":memory:":
            return
        if event == "open" and _writes(arguments) and not path.startswith(_SYSTEM):
            raise WritesFile(path)
        self.paths.add(path)

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each file that is a user's own data, by its path."""
        paths = {str(Path(path).absolute()) for path in self.paths}
        return {shown_path(path): file_hash(path) for path in sorted(paths) if _is_data(path)}


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _is_data(path: str) -> bool:
    """Return whether a file is neither code, nor of the system, nor hidden, nor gone."""
    return (
        not path.startswith((*_SYSTEM, sys.prefix, sys.base_prefix))
        and not path.endswith(_CODE)
        and not any(part.startswith(".") for part in Path(path).parts)
        and not is_of_installation(path)
        and Path(path).is_file()
    )


@contextlib.contextmanager
def note_opened_files() -> Iterator[OpenedFiles]:
    """Note the files that are opened in the block; the process must end soon after it.

    A hook of Python's cannot be taken back. It hears what Python opens: a library in C that opens a
    file by itself, such as Arrow, is not heard.
    """
    opened = OpenedFiles()
    sys.addaudithook(opened.hear)
    try:
        yield opened
    finally:
        opened.is_on = False
