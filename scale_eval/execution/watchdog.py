"""Say what a worker is doing; where it has no nanny, end its process if that takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from scale_eval.execution.evaluation_clock import (
    ARRIVAL_SECONDS,
    EvaluationClock,
    Stopwatch,
    interval_of,
    start_clock,
)
from scale_eval.execution.running_evaluation import RunningEvaluation, SharedEntry
from scale_eval.execution.tasks import TaskKey
from scale_eval.execution.worker_report import WorkerReport

LOCKED_SECONDS = 5.0
"""Seconds beyond the timeout after which a process ends whose interpreter's lock is held by C code,
so that the watching thread could not end it. Nobody then reports which evaluation it was."""


class Watchdog:
    """Watch the evaluations of one worker.

    A thread cannot be ended, so the process is: by an `EvaluationClock` in the worker's nanny.
    Where it has none, a thread of the worker is the clock. The coordinator's own process must not
    be ended: there, the report ends the run.

    Parameters
    ----------
    worker : distributed.Worker
    topic : str
        Under which reports are sent to the coordinator.
    timeout : float
        Seconds.
    in_coordinator : bool
        Whether the worker lives in the coordinator's process.
    """

    def __init__(self, worker: Any, topic: str, timeout: float, *, in_coordinator: bool) -> None:
        self._worker, self._topic, self._timeout = worker, topic, timeout
        self._in_coordinator = in_coordinator
        self._running: RunningEvaluation | None = None
        self._n_begun = 0
        self._entry: SharedEntry | None = None
        self._starting: asyncio.Task[None] | None = None
        self._deciding = threading.Lock()
        self._gave_up = False
        self._stopped = threading.Event()

    @property
    def task_in_hand(self) -> TaskKey | None:
        """Return the key of the task that is being done."""
        running = self._running
        return None if running is None else running.key

    def start(self) -> None:
        """Watch from now on: in the nanny, or in a thread of this process where there is none.

        It is called from the worker's event loop, and so is `stop`.
        """
        if sys.platform == "linux" and self._worker.nanny:
            self._entry = SharedEntry()
            # Not awaited: the nanny of a worker that joins answers only when this worker has begun.
            self._starting = asyncio.create_task(self._start_clock(self._entry))
        else:
            self._start_thread()

    async def _start_clock(self, entry: SharedEntry) -> None:
        clock = EvaluationClock(self._topic, self._timeout, os.getpid(), entry.descriptor)
        if not await start_clock(self._worker, clock):
            self._entry = None
            self._start_thread()

    def _start_thread(self) -> None:
        threading.Thread(target=self._watch, daemon=True, name=self._topic).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        if self._starting is not None:
            self._starting.cancel()

    def begin(self, key: TaskKey, company_id: str, cutoff: int, model: str) -> None:
        """Start the clock of an evaluation of a task."""
        self._n_begun += 1
        self._running = RunningEvaluation(self._n_begun, key, (company_id, cutoff, model))
        if self._entry is not None:
            self._entry.write(self._running)

    def end(self) -> None:
        """Stop the clock at the end of a task.

        A task that was given up must not return: the worker waits here for the end of its process.
        """
        with self._deciding:
            self._running = None
        if self._entry is not None:
            self._entry.write(None)
        if self._gave_up:
            if self._in_coordinator:
                raise TimeoutError("given up")
            threading.Event().wait()

    def _watch(self) -> None:
        interval = interval_of(self._timeout)
        stopwatch = Stopwatch(interval)
        with contextlib.ExitStack() as opened:
            if not self._in_coordinator:
                nowhere = opened.enter_context(Path(os.devnull).open("w"))
                opened.callback(faulthandler.cancel_dump_traceback_later)
            while not self._stopped.wait(interval):
                with self._deciding:
                    running = self._running
                    if not self._in_coordinator:  # a timer that needs no lock; begun anew each time
                        seconds = self._timeout + LOCKED_SECONDS
                        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
                    if stopwatch.seconds(running) <= self._timeout:
                        continue
                    assert running is not None
                    self._gave_up = True
                report = WorkerReport(running.key, running.evaluation, self._in_coordinator)
                self._worker.loop.add_callback(report.send, self._worker, self._topic)
                if self._in_coordinator:
                    return  # the coordinator ends the run, not itself
                time.sleep(ARRIVAL_SECONDS)
                os._exit(1)
