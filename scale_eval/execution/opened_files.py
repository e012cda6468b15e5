"""Note which files and environment variables a user's code reads, and let it write no file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scale_eval.models.identity.user_modules import is_of_installation
from scale_eval.storage.file_hash import (
    file_hash,
    shown_path,
    shown_variable,
    variable_hash,
)

_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib", "/bin/")
_CODE = (".py", ".pyc", ".so")


_NOT_OWN = {".git", ".venv", ".cache", ".ipynb_checkpoints"}
"""Hidden folders of a project that hold no data of its own."""

_OF_THE_SESSION = ("SLURM_", "DASK_", "PYTEST_", "OMP_", "MKL_", "OPENBLAS_", "NUMBA_")
_OF_THE_MACHINE = {"HOME", "PATH", "PWD", "OLDPWD", "USER", "LOGNAME", "HOSTNAME", "TMPDIR"}
"""Variables that differ from session to session, and say where code runs, not what it does."""


class WritesFile(BaseException):
    """Code that is being tried would write a file."""


class OpenedFiles:
    """The files that were opened within a block, and the environment variables that were read."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.variables: set[str] = set()
        self.is_on = True
        self._environment = dict(os.environ)  # as it was before the user's code changed it

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

    def hear_variable(self, name: Any) -> None:
        """Note an environment variable that the user's own code reads."""
        if self.is_on and isinstance(name, str) and _is_read_by_user():
            self.variables.add(name)

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each file that is a user's own data, and of each variable.

        Variables have names such as ``$DECAY``. Code that reads all of them, as for another
        process, means none in particular.
        """
        paths = {os.path.abspath(path) for path in self.paths}  # noqa: PTH100 - without ".."
        files = {shown_path(path): file_hash(path) for path in sorted(paths) if _is_data(path)}
        if self.variables.issuperset(self._environment):
            return files
        return files | {
            shown_variable(name): variable_hash(self._environment.get(name))
            for name in sorted(self.variables - _OF_THE_MACHINE)
            if not name.startswith(_OF_THE_SESSION)
        }


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _is_read_by_user() -> bool:
    """Return whether the code that asks for a variable is the user's, not an installed package."""
    frame = sys._getframe(3)
    while frame.f_back and frame.f_code.co_filename.startswith("<frozen "):  # os, and its bases
        frame = frame.f_back
    return not is_of_installation(frame.f_code.co_filename)


def _is_data(path: str) -> bool:
    """Return whether a file is neither code, nor of the system, nor hidden from the project.

    A file of the project counts also where there was none: it may come to be.
    """
    here, file = Path.cwd(), Path(path)
    is_of_project = file.is_relative_to(here) and here != Path.home()
    if is_of_project:
        is_hidden = not _NOT_OWN.isdisjoint(file.relative_to(here).parts)
    else:
        is_hidden = any(part.startswith(".") for part in file.parts)
    return (
        not path.startswith((*_SYSTEM, sys.prefix, sys.base_prefix))
        and not path.endswith(_CODE)
        and not is_hidden
        and not is_of_installation(path)
        and (file.is_file() or (is_of_project and not file.exists()))
    )


@contextlib.contextmanager
def note_opened_files() -> Iterator[OpenedFiles]:
    """Note the files that are opened, and the variables that are read, in the block.

    The process must end soon after it: a hook of Python cannot be taken back. It hears what Python
    opens: a library in C that opens a file by itself, such as Arrow, is not heard.
    """
    opened = OpenedFiles()
    sys.addaudithook(opened.hear)
    get = os._Environ.__getitem__

    def heard(environment: Any, name: Any) -> Any:
        opened.hear_variable(name)
        return get(environment, name)

    try:
        os._Environ.__getitem__ = heard  # type: ignore[method-assign]
        yield opened
    finally:
        opened.is_on = False
        os._Environ.__getitem__ = get  # type: ignore[method-assign]
