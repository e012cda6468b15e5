"""Let a worker leave in good order, so that no task is blamed for its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from asyncio import run_coroutine_threadsafe, wait_for
from pathlib import Path
from typing import Any

from dask.config import get as setting

from scale_eval.execution.watchdog import Watchdog
from scale_eval.execution.worker_report import WorkerReport

GOODBYE_SECONDS = 2.0
"""Seconds that a worker may spend on leaving the scheduler before it ends."""


class Departure:
    """Leave the cluster when the worker receives SIGTERM, or is closed.

    The scheduler counts the loss of a worker against the tasks that it had, unless it expects it.

    Parameters
    ----------
    worker : distributed.Worker
    topic : str
        Under which reports are sent to the coordinator.
    watchdog : Watchdog
        Knows which task is being done.
    """

    def __init__(self, worker: Any, topic: str, watchdog: Watchdog) -> None:
        self._worker, self._topic, self._watchdog = worker, topic, watchdog
        self._former_handler = signal.getsignal(signal.SIGTERM)

    def handle_sigterm(self) -> None:
        """Handle SIGTERM from now on, where this is the main thread."""
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def restore_handler(self) -> None:
        """Restore the previous handler of SIGTERM."""
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, self._former_handler)

    async def leave(self) -> None:
        """Make the scheduler give this worker's tasks to others, without blaming them."""
        key, worker = self._watchdog.task_in_hand, self._worker
        if key is not None:
            WorkerReport(key).send(worker, self._topic)
        with contextlib.suppress(Exception):  # the scheduler may be gone
            leaving = worker.scheduler.unregister(
                address=worker.address,
                expected=True,
                close=False,
                stimulus_id=f"told-to-end-{time.time()}",
            )
            await wait_for(leaving, GOODBYE_SECONDS)

    def _on_sigterm(self, signum: int, _: object) -> None:
        """Leave and end: the machine is taken away, or the process exceeds its memory limit."""
        if _exceeds_memory_limit(self._worker):  # the nanny ends it, and this worker is to blame
            os._exit(128 + signum)
        loop = self._worker.loop.asyncio_loop
        run_coroutine_threadsafe(self._leave_and_end(128 + signum), loop)  # which wakes it

    async def _leave_and_end(self, exit_code: int) -> None:
        # A worker that the scheduler has let go closes, and would have its nanny start no other.
        self._worker.nanny = None
        await self.leave()
        os._exit(exit_code)


def _exceeds_memory_limit(worker: Any) -> bool:
    """Return whether the process ever took so much memory that its nanny ends it."""
    limit = worker.memory_manager.memory_limit
    fraction = setting("distributed.worker.memory.terminate")
    if not limit or not fraction:
        return False
    taken = worker.monitor.get_process_memory()
    with contextlib.suppress(OSError):  # only Linux records the peak
        status = Path("/proc/self/status").read_text(encoding="ascii")
        taken = max(taken, 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]))
    return bool(taken > fraction * limit)
