"""Compiled code, made ready by one worker of a machine while the others wait."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path

from scale_eval.models.warm_up import warm_up

COMPILING_SECONDS = 120.0
"""Seconds that a worker waits at most for another to compile."""


def compile_in_turn() -> None:
    """Compile, or load what another worker of this machine has compiled.

    The first worker compiles and the others wait, so that no evaluation is timed with it, and it
    is not compiled as often as there are workers. A worker that waited long compiles too: another
    process of this user may be stopped, or hang.
    """
    lock = Path(tempfile.gettempdir()) / f"scale-eval-compiling-{os.getuid()}"
    deadline = time.monotonic() + COMPILING_SECONDS
    with lock.open("w") as file:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        warm_up()
