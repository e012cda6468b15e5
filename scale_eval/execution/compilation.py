"""Compile the numerical code, one worker of a machine at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator

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
    scratch = scratch_folder()
    if scratch is None:
        yield
        return
    deadline = time.monotonic() + COMPILING_SECONDS
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(scratch / "compiling", flags, 0o600), "r+") as file:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        yield
