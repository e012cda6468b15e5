"""Find the evaluation that is at fault where a task hangs or its workers die.

A worker that dies takes all its tasks with it, and most of them are not to blame. So a task whose
workers died is only suspected: it is split, and each part is tried while nothing else runs, until a
single evaluation is left. If workers die of that one too, it is marked `killed`. A worker reports
an evaluation that takes too long before it ends its process: that evaluation is marked `timeout`,
and the rest of its batch is done again. A worker that must leave (SIGTERM, as when a machine is
taken away) blames no task, unless that happens too often to the same one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from scale_eval.execution.tasks import Task, TaskKey, TaskResult, failed_result
from scale_eval.planning.batches import EvaluationKey

SPLIT_INTO = 64
"""Parts into which a suspected batch is split at each step. A harmless part takes milliseconds; one
more step of the search costs two workers, and seconds."""

MAX_ENDINGS = 8
"""Times that the workers of a task may receive SIGTERM before the task is suspected: a model can
send it to its own process."""


class FaultAttribution:
    """Decide what happens to tasks without a result; this class does not depend on Dask.

    Parameters
    ----------
    timeout : float
        Seconds after which workers give an evaluation up.
    user_metrics : sequence of str
        The names of the metrics that the user added, which rows have columns for.

    Attributes
    ----------
    retries : deque of Task
        The rest of batches in which an evaluation timed out, to be done again in parallel.
    suspects : deque of Task
        Parts of tasks whose workers died, each to be tried while nothing else runs.
    """

    def __init__(self, timeout: float, user_metrics: Sequence[str] = ()) -> None:
        self.retries: deque[Task] = deque()
        self.suspects: deque[Task] = deque()
        self._timeout = timeout
        self._user_metrics = user_metrics
        self._timed_out: dict[TaskKey, EvaluationKey] = {}
        self._endings: Counter[TaskKey] = Counter()

    def report_timeout(self, key: TaskKey, evaluation: EvaluationKey) -> None:
        """Note that an evaluation of a live task takes too long, and its worker ends."""
        self._timed_out[key] = evaluation

    def report_ending(self, key: TaskKey) -> bool:
        """Note that the worker of a live task must leave; return whether that was too often."""
        self._endings[key] += 1
        return self._endings[key] > MAX_ENDINGS

    def has_fault(self, key: TaskKey) -> bool:
        """Return whether workers reported a fault of this task."""
        return key in self._timed_out or self._endings[key] > MAX_ENDINGS

    def settle(self, key: TaskKey, task: Task, *, alone: bool) -> TaskResult | None:
        """Decide what happens to a task that hung or whose workers died.

        Return the result of the evaluation at fault, or None while several are suspected. The other
        evaluations of the task join `retries` or `suspects`.

        Parameters
        ----------
        alone : bool
            Whether nothing else ran beside the task.
        """
        self._endings.pop(key, None)
        if key in self._timed_out:
            evaluation = self._timed_out.pop(key)
            self.retries += (p for rest in task.without(evaluation) for p in rest.split(SPLIT_INTO))
            return self._failed(
                task, evaluation, "timeout", "too_long", f"longer than {self._timeout:g} s"
            )
        if not alone:
            self.suspects += task.split(SPLIT_INTO)
            return None
        if task.n_evaluations > 1:
            self.suspects.extendleft(reversed(task.split(SPLIT_INTO)))
            return None
        note = "every worker that tried it died, with nothing else beside it"
        return self._failed(task, task.first, "killed", "worker_died", note)

    def _failed(
        self, task: Task, evaluation: EvaluationKey, status: str, reason: str, note: str
    ) -> TaskResult:
        return failed_result(task, evaluation, status, reason, note, self._user_metrics)
