"""Call a function in a fork of this process, so that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Returned = TypeVar("Returned")

_MORE_MEMORY = 2 * 2**30
"""Bytes of memory that a fork may take beyond what this process has."""


def forked_call(function: Callable[[], Returned], seconds: float) -> Returned | None:
    """Call `function` in a fork, and return what it returns.

    Returns None where it takes longer than `seconds`, or where the fork ends otherwise: it was
    killed, `function` raised, or its memory was exhausted. Only for processes without threads that
    hold locks.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside a thread that waits
        pid = os.fork()
    if pid == 0:
        _answer(function, writing)
    os.close(writing)
    try:
        returned: Returned | None = _received(reading, time.monotonic() + seconds)
        return returned
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _answer(function: Callable[[], object], writing: int) -> None:
    """Write what the function returns, in the fork, and end it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _MORE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        content = pickle.dumps(function())
        with os.fdopen(writing, "wb") as file:
            file.write(content)
    finally:
        os._exit(0)


def _received(reading: int, deadline: float) -> Any:
    parts: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return None
        part = os.read(reading, 2**16)
        if not part:
            break
        parts.append(part)
    return pickle.loads(b"".join(parts)) if parts else None
