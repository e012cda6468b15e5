"""Time a worker's evaluations from outside its process, and end it where one takes too long.

C code can hold the interpreter's lock for hours (a regular expression, a power of large integers),
and nothing in that process runs meanwhile: no thread, no signal handler, no message. So the clock
is in the worker's nanny, which is another process and starts a new worker at the end of one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import Any

from distributed import NannyPlugin
from distributed.protocol.pickle import dumps

from scale_eval import children
from scale_eval.execution.running_evaluation import parse_entry, read_entry
from scale_eval.execution.worker_report import WorkerReport

LEAVING_SECONDS = 10.0
"""Seconds that a worker may go on with an evaluation when its run has left the cluster."""

ARRIVAL_SECONDS = 1.0
"""Seconds between a report and the end of its worker: the report must arrive before the news of
that end, so that the coordinator takes the task back before the scheduler gives it to another."""


class Stopwatch:
    """Count the seconds for which a worker has been doing the same thing.

    A pause of the counting process itself (a suspended machine, Ctrl-Z, a frozen container) is not
    counted, because the worker was then paused too.

    Parameters
    ----------
    interval : float
        Seconds between two looks.
    """

    def __init__(self, interval: float) -> None:
        self._longest = 5 * interval
        self._seen: object = None
        self._seconds, self._at = 0.0, time.monotonic()

    def seconds(self, thing: object, *, is_stopped: bool = False) -> float:
        """Return the seconds since `thing` was first seen; those when it `is_stopped` are left out.

        For None, nothing is counted.
        """
        before, self._at = self._at, time.monotonic()
        if not thing or thing != self._seen:
            self._seen, self._seconds = thing, 0.0
        elif not is_stopped:
            self._seconds += min(self._at - before, self._longest)
        return self._seconds


def interval_of(timeout: float) -> float:
    """Return the seconds between two looks at the clock."""
    return min(1.0, timeout / 20)


class EvaluationClock(NannyPlugin):
    """The clock of one worker's evaluations for one run; it runs in the worker's nanny.

    Parameters
    ----------
    topic : str
        Under which reports are sent to the coordinator.
    timeout : float
        Seconds.
    pid : int
        The worker's process.
    descriptor : int
        The `SharedEntry` of the worker.
    """

    def __init__(self, topic: str, timeout: float, pid: int, descriptor: int) -> None:
        self.topic, self.name = topic, f"{topic}-{pid}"
        self._timeout, self._pid, self._descriptor = timeout, pid, descriptor

    async def setup(self, nanny: Any) -> None:
        """Time the worker's evaluations from now on."""
        self._process = os.open(f"/proc/{self._pid}", os.O_RDONLY)
        self._entry = os.open(f"fd/{self._descriptor}", os.O_RDONLY, dir_fd=self._process)
        self._leaving = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(nanny))

    async def teardown(self, nanny: Any) -> None:
        """Stop the clock."""
        self._watching.cancel()

    def leave(self) -> None:
        """End with what the worker is doing, which may take `LEAVING_SECONDS` at most."""
        self._timeout = min(self._timeout, LEAVING_SECONDS)
        self._leaving.set()

    async def _watch(self, nanny: Any) -> None:
        interval = interval_of(self._timeout)
        stopwatch = Stopwatch(interval)
        try:
            while (state := self._state()) not in "ZX":
                seen = read_entry(self._entry)
                seconds = stopwatch.seconds(seen, is_stopped=state in "Tt")
                if self._leaving.is_set() and not seen:
                    return
                if seconds > self._timeout and await self._give_up(nanny, seen):
                    return
                await self._pause(interval)
        except OSError:  # the process has ended
            return
        finally:
            nanny.plugins.pop(self.name, None)
            os.close(self._entry)
            os.close(self._process)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the run leaves."""
        if self._leaving.is_set():
            await asyncio.sleep(seconds)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), seconds)

    async def _give_up(self, nanny: Any, seen: bytes) -> bool:
        """Report an evaluation and kill its worker, unless it ends at this moment."""
        os.kill(self._pid, signal.SIGSTOP)  # from here on it can neither return nor write results
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while self._state() not in "TtZX" and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        if read_entry(self._entry) != seen:
            os.kill(self._pid, signal.SIGCONT)
            return False
        running = parse_entry(seen)
        report = WorkerReport(running.key, running.evaluation)
        with contextlib.suppress(Exception):  # the scheduler may be gone
            sent = nanny.scheduler.log_event(topic=self.topic, msg=report.event())
            await asyncio.wait_for(sent, 5 * ARRIVAL_SECONDS)
        await asyncio.sleep(ARRIVAL_SECONDS)
        self._state()  # raises where it has ended, and its number may be another's
        children.kill_with_descendants(self._pid)
        return True

    def _state(self) -> str:
        """Return the state of the process, such as R, S or T; raise `OSError` after its end."""
        stat = os.open("stat", os.O_RDONLY, dir_fd=self._process)
        try:
            return os.read(stat, 4096).rpartition(b")")[2].split()[0].decode()
        finally:
            os.close(stat)


async def start_clock(worker: Any, clock: EvaluationClock) -> bool:
    """Start the clock of a worker in its nanny; return whether that worked."""
    with contextlib.suppress(OSError):
        answer = await worker.rpc(worker.nanny).plugin_add(plugin=dumps(clock), name=clock.name)
        return bool(answer["status"] == "OK")
    return False


def leave_worker(topic: str, dask_worker: Any) -> None:
    """Let the clocks of a run end, in the nanny that Dask passes as `dask_worker`."""
    for clock in list(dask_worker.plugins.values()):
        if isinstance(clock, EvaluationClock) and clock.topic == topic:
            clock.leave()
