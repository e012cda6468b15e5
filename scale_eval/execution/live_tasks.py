"""Keep a bounded number of tasks on the scheduler, and refill them as they finish.

The scheduler's memory then does not grow with the run.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import pickle
import time
from asyncio import CancelledError
from collections.abc import Iterable, Iterator

from distributed import Client, Future, as_completed

from scale_eval.datasets.instants import from_microseconds
from scale_eval.execution.tasks import Task, TaskKey, TaskResult
from scale_eval.execution.worker import do_on_worker
from scale_eval.planning.global_fits import GlobalFit

POLL_SECONDS = 0.05
"""Seconds between two fetches. Tasks that finished meanwhile are fetched and replaced together: a
message for each would cost as much as a small evaluation."""

REFRESH_SECONDS = 5.0
"""Seconds after which the workers are counted again: they come and go."""


class LiveTasks:
    """Submit tasks while there is room for them, and fetch the results of those that finished.

    Parameters
    ----------
    client : distributed.Client
    run : str
        The name of the plugin's run; part of every key.
    per_thread : int
        Live tasks for each thread of the cluster.
    """

    def __init__(self, client: Client, run: str, per_thread: int) -> None:
        self._client, self._run, self._per_thread = client, run, per_thread
        self._live: dict[TaskKey, tuple[Future, Task]] = {}
        self._numbers = itertools.count()
        self._completed = as_completed(loop=client.loop)  # with_results loses those of dead workers
        self._counted_at = -math.inf

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: TaskKey) -> bool:
        return key in self._live

    def refill(self, tasks: Iterable[Task]) -> None:
        """Submit the next of `tasks` if there is room for at least a quarter of all live tasks."""
        if time.monotonic() - self._counted_at > REFRESH_SECONDS:
            self._size = self._per_thread * max(2, sum(self._client.nthreads().values()))
            self._counted_at = time.monotonic()
        n_free = self._size - len(self)
        if n_free >= max(1, self._size // 4):
            self.submit("evaluate", list(itertools.islice(tasks, n_free)))

    def submit(self, name: str, tasks: list[Task]) -> None:
        """Submit all of `tasks` now, under keys that begin with `name`."""
        if not tasks:
            return
        keys = [task_key(f"{name}-{self._run}", task, next(self._numbers)) for task in tasks]
        # As bytes: the scheduler would read and write the companies of each task once more.
        pickled = [pickle.dumps(task, protocol=5) for task in tasks]
        runs = [self._run] * len(tasks)
        futures = self._client.map(do_on_worker, runs, keys, pickled, key=keys, pure=False)
        self._live.update(zip(keys, zip(futures, tasks, strict=True), strict=True))
        self._completed.update(futures)

    def finished(self) -> Iterator[tuple[TaskKey, Task, TaskResult | BaseException]]:
        """Wait for `POLL_SECONDS`, and yield the tasks that have finished with their results."""
        time.sleep(POLL_SECONDS)
        futures = self._completed.next_batch(block=False)
        for future, result in zip(futures, _results(self._client, futures), strict=True):
            _, task = self._live.pop(future.key)
            yield future.key, task, result

    async def cancel(self, key: TaskKey) -> None:
        """Cancel a live task, from the client's event loop."""
        await self._client.cancel([self._live[key][0]], asynchronous=True, force=True)

    def cancel_all(self) -> None:
        """Cancel every live task."""
        self._client.cancel([future for future, _ in self._live.values()], force=True)


def task_key(name: str, task: Task, number: int) -> TaskKey:
    """Name what a task evaluates, to be read on the dashboard; never the same twice."""
    company_id, at, model = task.first
    cutoff = from_microseconds(at).isoformat()
    if isinstance(task, GlobalFit):
        return (name.replace("evaluate", "fit", 1), company_id, cutoff, model)
    n_others = len(task.companies) - 1
    if n_others or task.writes:
        return (name, company_id, f"and {n_others} more", str(number))
    return (name, company_id, cutoff, model) if task.n_evaluations == 1 else (name, company_id)


def _results(client: Client, futures: list[Future]) -> list[TaskResult | BaseException]:
    """Fetch the results of finished tasks together, or one by one if one of them failed."""
    if all(future.status == "finished" for future in futures):
        with contextlib.suppress(Exception, CancelledError):  # a worker died meanwhile
            return client.gather(futures)
    results: list[TaskResult | BaseException] = []
    for future in futures:
        try:
            results.append(future.result())
        except (Exception, CancelledError) as error:
            results.append(error)
    return results
