"""Hand tasks out to workers, gather the results, and retry alone the tasks whose workers died."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeGuard

from distributed import Client, KilledWorker
from distributed.comm.core import CommClosedError

from scale_eval.execution.clusters.base import ClusterLost, WorkerUnfit
from scale_eval.execution.evaluation_clock import leave_worker
from scale_eval.execution.fault_attribution import FaultAttribution
from scale_eval.execution.live_tasks import LiveTasks
from scale_eval.execution.tasks import RunContext, Task, TaskResult
from scale_eval.execution.versions import VersionsDiffer
from scale_eval.execution.worker import COMPILING, EvaluationPlugin
from scale_eval.execution.worker_report import WorkerReport
from scale_eval.planning.batches import EvaluationKey

LIVE_TASKS_PER_THREAD = 64
LIVE_BATCHES_PER_THREAD = 4
"""Tasks on the scheduler at a time: enough to keep workers busy between two refills. Batches, whose
results the workers write, take longer than other tasks."""

UNREGISTER_SECONDS = 2.0
"""Seconds that the workers have to answer when the run leaves them."""


def _ignore() -> None:
    """Do nothing."""


def execute(
    client: Client,
    tasks: Iterable[Task],
    context: RunContext,
    *,
    timeout: float,
    on_compiling: Callable[[], None] = _ignore,
) -> Generator[TaskResult | None]:
    """Do `tasks` on the client's cluster and yield their results, in any order.

    None is yielded in between, when the caller can write the results so far.

    Parameters
    ----------
    client : distributed.Client
    tasks : iterable of Batch or GlobalFit
        Longest first.
    context : RunContext
    timeout : float
        Seconds after which an evaluation or a fit is given up: its status is ``timeout``, its
        worker is replaced, and the rest of its batch is done again.
    on_compiling : callable
        Called from another thread when a worker begins to compile, which it does before its tasks.

    Raises
    ------
    ClusterLost
        The cluster went away. Tasks whose results were yielded are done; the others are not.
    VersionsDiffer
        A worker has other packages than this process.
    OSError
        The file system is full, read-only or gone.
    """
    return Coordinator(client, context, timeout, on_compiling).execute(tasks)


class Coordinator:
    """The coordinator of one sequence of tasks on a cluster; see `execute`."""

    def __init__(
        self,
        client: Client,
        context: RunContext,
        timeout: float,
        on_compiling: Callable[[], None] = _ignore,
    ) -> None:
        self._client = client
        self._run = uuid.uuid4().hex[:8]
        self._plugin = EvaluationPlugin(self._run, context, timeout)
        self._faults = FaultAttribution(timeout, context.rules.metric_names)
        self._stuck: EvaluationKey | None = None
        self._on_compiling = on_compiling

    def execute(self, tasks: Iterable[Task]) -> Generator[TaskResult | None]:
        """Do the tasks in parallel, then one at a time those whose workers died."""
        first, tasks = _peek(tasks)
        long = first is not None and first.writes
        per_thread = LIVE_BATCHES_PER_THREAD if long else LIVE_TASKS_PER_THREAD
        self._live = LiveTasks(self._client, self._run, per_thread)
        try:
            self._client.subscribe_topic(self._plugin.name, self._receive)
            announce(self._client, self._plugin)
            yield from self._do_together(tasks)
            yield from self._do_suspects_alone()
        except (OSError, CancelledError) as error:
            if _is_of_file_system(error):
                raise
            raise ClusterLost(
                f"the cluster does not answer ({type(error).__name__}: {error}); run the same "
                "command again, on a cluster that does, to go on"
            ) from error
        finally:
            self._leave()

    def _do_together(self, tasks: Iterator[Task]) -> Iterator[TaskResult | None]:
        retries = self._faults.retries
        self._live.refill(itertools.chain(_drained(retries), tasks))
        while self._live:
            yield from self._results(alone=False)
            yield None
            self._live.refill(itertools.chain(_drained(retries), tasks))

    def _do_suspects_alone(self) -> Iterator[TaskResult | None]:
        while self._faults.suspects:
            self._live.submit("evaluate-alone", [self._faults.suspects.popleft()])
            while self._live:
                yield from self._results(alone=True)
                yield None
            self._faults.suspects += _drained(self._faults.retries)

    def _results(self, *, alone: bool) -> Iterator[TaskResult]:
        """Yield the results of finished tasks; settle the tasks that have none."""
        for key, task, result in self._live.finished():
            if isinstance(result, KilledWorker) or self._faults.has_fault(key):
                verdict = self._faults.settle(key, task, alone=alone)
                if verdict is not None:
                    yield verdict
                if self._stuck is not None:
                    raise ClusterLost(
                        f"{self._stuck} does not end, and its worker lives in this process, which "
                        "cannot be ended: use a cluster of processes (processes=True)"
                    )
            elif isinstance(result, TaskResult):
                yield replace(result, cost=task.cost)
            elif isinstance(result, ImportError):
                raise WorkerUnfit(f"{type(result).__name__}: {result}", "") from result
            elif _is_of_file_system(result) or isinstance(result, VersionsDiffer | WorkerUnfit):
                raise result
            else:
                raise ClusterLost(
                    f"the cluster did not answer for {task.first} ({type(result).__name__}: "
                    f"{result}); run the same command again to go on"
                ) from result

    async def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        """Receive what a worker reports: that it compiles; before it ends, a timeout or why."""
        if event[1].get(COMPILING):
            self._on_compiling()
            return
        report = WorkerReport.from_event(event[1])
        if report.key not in self._live:
            return
        if report.timed_out is not None:
            evaluation = EvaluationKey(*report.timed_out)
            self._faults.report_timeout(report.key, evaluation)
            self._stuck = evaluation if report.in_coordinator else None
        elif not self._faults.report_ending(report.key):
            return
        await self._live.cancel(report.key)

    def _leave(self) -> None:
        """Free the cluster; a worker that does not answer is not waited for: its nanny ends it."""
        client, name = self._client, self._plugin.name
        for step in (
            self._live.cancel_all,
            lambda: client.unsubscribe_topic(name),
            lambda: client.run(leave_worker, name, nanny=True, on_error="ignore"),
            lambda: client.sync(
                client.scheduler.unregister_worker_plugin,
                name=name,
                callback_timeout=UNREGISTER_SECONDS,
            ),
        ):
            with contextlib.suppress(Exception):  # the cluster may be gone
                step()


def announce(client: Client, plugin: EvaluationPlugin) -> None:
    """Install the plugin on every worker; raise `WorkerUnfit` where one cannot take it.

    Registering is retried, because a worker that the last tasks killed may just be closing.
    """
    try:
        for pause in (0.5, 2.0):
            try:
                client.register_plugin(plugin)
                return
            except CommClosedError:
                time.sleep(pause)
        client.register_plugin(plugin)
    except (VersionsDiffer, WorkerUnfit):
        raise
    except Exception as error:
        raise WorkerUnfit(f"{type(error).__name__}: {error}", "") from error


def _peek(tasks: Iterable[Task]) -> tuple[Task | None, Iterator[Task]]:
    """Look at the first task without taking it."""
    iterator = iter(tasks)
    first = next(iterator, None)
    return first, iterator if first is None else itertools.chain([first], iterator)


def _drained(tasks: deque[Task]) -> Iterator[Task]:
    while tasks:
        yield tasks.popleft()


def _is_of_file_system(error: object) -> TypeGuard[OSError]:
    """Tell whether an error says that a file system is full, read-only or gone.

    Connection errors are `OSError` too, but name no file.
    """
    return isinstance(error, OSError) and bool(error.errno) and error.filename is not None
