"""Compile the numerical code once for a machine: each part by one of its workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from typing import IO

from scale_eval.models.warm_up import (
    ON_WINDOWS,
    compilation_reported,
    compile_statistics,
    summarise_windows,
    warm_up,
)
from scale_eval.results.warm_up import compile_tables
from scale_eval.scratch import scratch_folder

FIRST: dict[str, Callable[[], object]] = {
    "summaries": summarise_windows,
    "statistics": compile_statistics,
    "tables": compile_tables,
}
"""The parts of the compiled code that need no other."""

COMPILING_SECONDS = 120.0
"""Seconds that a worker waits at most for another to compile."""


def compile_in_turn(on_compiling: Callable[[], object]) -> None:
    """Compile, or load what other workers of this machine have compiled.

    `on_compiling` is called once if there is something to compile.

    Each part is compiled by the first worker that comes to it, while the others compile another
    part, or wait, so that compiling is done once and is part of no evaluation's time. A worker that
    has waited too long compiles too, since another process of this user may be stopped, or hang.
    """
    with compilation_reported(on_compiling):
        for part, compile_first in FIRST.items():
            with _turn(part, seconds=0) as is_own:
                if is_own:
                    compile_first()
        with _turn("summaries"):
            windows = summarise_windows()
        for part, compile_part in ON_WINDOWS.items():
            with _turn(part, seconds=0) as is_own:
                if is_own:
                    compile_part(windows)
        deadline = time.monotonic() + COMPILING_SECONDS
        for part in (*FIRST, *ON_WINDOWS):
            with _turn(part, seconds=deadline - time.monotonic()):
                pass  # it is compiled
        with _turn("rest"):
            warm_up()


@contextlib.contextmanager
def _turn(part: str, seconds: float = COMPILING_SECONDS) -> Iterator[bool]:
    """Wait for the lock of a part, and yield whether it is held: another may hold it too long."""
    with contextlib.ExitStack() as stack:
        is_held = True  # without a place for a lock, all compile
        with contextlib.suppress(OSError):
            file = stack.enter_context(_lock_file(part))
            deadline = time.monotonic() + seconds
            while not (is_held := _is_locked(file)) and time.monotonic() < deadline:
                time.sleep(0.05)
        yield is_held


def _lock_file(part: str) -> IO[bytes]:
    """Open the file of a part's lock; raise `OSError` where there is no place for it."""
    scratch = scratch_folder()
    if scratch is None:
        raise FileNotFoundError("no folder for temporary files can be written")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(scratch / f"compiling-{part}", flags, 0o600), "r+b")


def _is_locked(file: IO[bytes]) -> bool:
    """Lock the file, unless another process has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
