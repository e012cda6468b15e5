"""Compile the numerical code, one worker of a machine at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from typing import IO

from scale_eval.models.warm_up import compilation_reported, warm_up
from scale_eval.scratch import scratch_folder

COMPILING_SECONDS = 120.0
"""Seconds that a worker waits at most for another to compile."""


def compile_in_turn(on_compiling: Callable[[], object]) -> None:
    """Compile, or load what another worker of this machine has compiled.

    `on_compiling` is called once if there is something to compile.

    The first worker compiles while the others wait, so that compiling is done once and is part of
    no evaluation's time. A worker that has waited too long compiles too, since another process of
    this user may be stopped, or hang.
    """
    with _turn(), compilation_reported(on_compiling):
        warm_up()


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for the lock of this user's processes, which another may hold too long."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # without a place for a lock, all compile
            file = stack.enter_context(_lock_file())
            deadline = time.monotonic() + COMPILING_SECONDS
            while time.monotonic() < deadline and not _is_locked(file):
                time.sleep(0.05)
        yield


def _lock_file() -> IO[bytes]:
    """Open the file of the lock; raise `OSError` where there is no place for it."""
    scratch = scratch_folder()
    if scratch is None:
        raise FileNotFoundError("no folder for temporary files can be written")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(scratch / "compiling", flags, 0o600), "r+b")


def _is_locked(file: IO[bytes]) -> bool:
    """Lock the file, unless another process has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
