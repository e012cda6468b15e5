"""Watch the evaluations of a worker, and end its process if one takes too long."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, NamedTuple

from scale_eval.execution.tasks import TaskKey
from scale_eval.planning.batches import EvaluationKey


class WorkerReport(NamedTuple):
    """A worker's last word on a task before it ends; it is sent as an event of Dask.

    Attributes
    ----------
    key : TaskKey
        The task that the worker is doing.
    timed_out : EvaluationKey, optional
        The evaluation that takes too long; None where the worker must leave.
    in_coordinator : bool
        Whether the worker lives in the coordinator's process, and cannot end.
    """

    key: TaskKey
    timed_out: EvaluationKey | None = None
    in_coordinator: bool = False

    def send(self, worker: Any, topic: str) -> None:
        """Send the report as an event of Dask under `topic`."""
        timed_out = None if self.timed_out is None else list(self.timed_out)
        event = {
            "key": list(self.key),
            "timed_out": timed_out,
            "in_coordinator": self.in_coordinator,
        }
        worker.log_event(topic, event)

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> WorkerReport:
        """Return the report that was sent as `event`."""
        timed_out = event["timed_out"] and EvaluationKey(*event["timed_out"])
        return cls(tuple(event["key"]), timed_out, event["in_coordinator"])


class RunningEvaluation(NamedTuple):
    """The evaluation that a worker is doing: since when, of which task, and its key."""

    since: float
    key: TaskKey
    evaluation: tuple[str, int, str]


class Watchdog:
    """Watch the clock of one worker, and end its process where an evaluation takes too long.

    A thread cannot be ended, so the process is. The coordinator's own process must not be ended:
    there, the report ends the run.

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
        self._deciding = threading.Lock()
        self._gave_up = False
        self._stopped = threading.Event()

    @property
    def task_in_hand(self) -> TaskKey | None:
        """Return the key of the task that is being done."""
        running = self._running
        return None if running is None else running.key

    def start(self) -> None:
        """Watch from now on, in a thread of its own."""
        threading.Thread(target=self._watch, daemon=True, name=self._topic).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def begin(self, key: TaskKey, company_id: str, cutoff: int, model: str) -> None:
        """Start the clock of an evaluation of a task."""
        evaluation = (company_id, cutoff, model)
        self._running = RunningEvaluation(time.monotonic(), key, evaluation)

    def end(self) -> None:
        """Stop the clock at the end of a task.

        A task that was given up must not return: the worker waits here for the end of its process.
        """
        with self._deciding:
            self._running = None
        if self._gave_up:
            if self._in_coordinator:
                raise TimeoutError("given up")
            threading.Event().wait()

    def _watch(self) -> None:
        while not self._stopped.wait(min(0.2, self._timeout / 4)):
            with self._deciding:
                running = self._running
                if running is None or time.monotonic() - running.since <= self._timeout:
                    continue
                self._gave_up = True
            report = WorkerReport(
                running.key, EvaluationKey(*running.evaluation), self._in_coordinator
            )
            self._worker.loop.add_callback(report.send, self._worker, self._topic)
            if self._in_coordinator:
                return  # the coordinator ends the run, not itself
            time.sleep(1.0)  # for the report to arrive before the worker's death does
            os._exit(1)
