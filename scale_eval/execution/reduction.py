"""Make the tables of a run on the workers of a cluster, or in this process.

Workers read the run's files themselves. One that dies loses nothing but time: Dask does its task
again elsewhere, and what the cluster cannot do is done in this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import uuid
from asyncio import CancelledError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dask.system import CPU_COUNT
from distributed import Client, Future

from scale_eval.execution.clusters.base import ClusterLost
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.planning.company_sample import Sample
from scale_eval.planning.user_metrics import recorded_metrics
from scale_eval.results.directory import SAMPLE, RunDirectory
from scale_eval.results.evaluation_parts import evaluation_files, score_files
from scale_eval.results.reduce import (
    ON_WORKERS_FROM,
    Made,
    Reducer,
    ReductionTask,
    reducer_of,
    write_reduced,
)
from scale_eval.storage import read_table

MOST_WORKERS = 8
"""Most processes that are started to reduce: there are hardly more tasks of the same length."""

POLL_SECONDS = 1.0
NO_WORKER_SECONDS = 20.0
"""Seconds after which a cluster without any worker is not waited for."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a process does a task: two would need twice the memory."""

_reducers: dict[str, Reducer] = {}
"""The reducer of the run that this worker reduces, by the name of the reduction."""


@dataclass(frozen=True)
class Reduction:
    """A reduction tells a worker which run to reduce.

    Attributes
    ----------
    name : str
        Unique.
    directory : RunDirectory
    margins : dict
        The smallest differences of practical interest that the user set, by metric.
    files : str
        A hash of the names of the run's files: a worker that sees others must not reduce them.
    """

    name: str
    directory: RunDirectory
    margins: Mapping[str, float]
    files: str

    @classmethod
    def of(cls, directory: RunDirectory, margins: Mapping[str, float]) -> Reduction:
        """Return a new reduction of a run as it is now."""
        return cls(uuid.uuid4().hex[:8], directory, margins, _hash_of_files(directory))

    def reducer(self) -> Reducer:
        """Return the reducer of the run; raise `FileNotFoundError` where it has other files."""
        store, document = self.directory.store, self.directory.document
        if _hash_of_files(self.directory) != self.files:
            raise FileNotFoundError(f"{store.root} has other files here than where it is reduced")
        design = None
        if store.exists(SAMPLE):
            design = Sample.from_table(read_table(store, SAMPLE)).design
        metrics = recorded_metrics(document["settings"]["metrics"])
        groups = self.directory.company_groups()
        return reducer_of(self.directory, metrics, groups, self.margins, design)


def reduce_directory(
    directory: RunDirectory, margins: Mapping[str, float], client: Client | None = None
) -> None:
    """Make the tables of a run, and write them; on the workers of `client`, if there is one."""
    reduction = Reduction.of(directory, margins)
    reducer = reduction.reducer()
    if client is None:
        write_reduced(directory, reducer)
        return
    with contextlib.closing(_OnWorkers(client, reduction, reducer)) as workers:
        write_reduced(directory, reducer, workers.do)


def is_large(directory: RunDirectory) -> bool:
    """Return whether a run is so large that workers should reduce it."""
    # A run that was killed before its plan has no number of evaluations.
    return int(directory.document.get("n_evaluations", 0)) >= ON_WORKERS_FROM


@contextlib.contextmanager
def workers_to_reduce(directory: RunDirectory) -> Iterator[Client | None]:
    """Start worker processes on this machine where a run is large; yield None where it is not.

    None too where no process can be started: in a script without a ``__main__`` guard, or without
    the memory for it.
    """
    with contextlib.ExitStack() as stack:
        client = None
        if is_large(directory):
            with contextlib.suppress(RuntimeError, ClusterLost):
                n = min(CPU_COUNT, MOST_WORKERS)
                client = stack.enter_context(dask_client("local", workers=n))
        yield client


class _OnWorkers:
    """Do the tasks of a reduction on the workers of a cluster."""

    def __init__(self, client: Client, reduction: Reduction, reducer: Reducer) -> None:
        self._client, self._reduction, self._reducer = client, reduction, reducer
        self._futures: list[Future] = []
        self._answers = True

    def do(self, tasks: Sequence[ReductionTask]) -> Iterator[Made]:
        """Yield what the tasks make, in their order, whatever the order in which they are done."""
        with contextlib.suppress(Exception):  # there may be no cluster any more
            self._futures = [self._submitted(task) for task in tasks]
        self._answers = len(self._futures) == len(tasks)
        for i, task in enumerate(tasks):
            made = self._result(self._futures[i]) if self._answers else None
            # What is not the cluster's fault is raised here.
            yield self._reducer.make(task) if made is None else made

    def close(self) -> None:
        """Free the cluster: what was not taken is not done."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._client.cancel(self._futures)
            self._client.run(_forget, self._reduction.name, on_error="ignore", wait=False)

    def _submitted(self, task: ReductionTask) -> Future:
        # Tables of the whole run, which are small, come first: the last tasks to be done are then
        # of about the same length, and what is taken first, of metrics, waits for nothing.
        return self._client.submit(
            do_on_worker,
            self._reduction,
            task,
            key=(f"reduce-{self._reduction.name}", task.name),
            priority=0 if task.is_metric else 1,
            pure=False,
        )

    def _result(self, future: Future) -> Made | None:
        """Wait for a result and return it; None where the cluster has none."""
        seen = time.monotonic()
        while True:
            try:
                made: Made = future.result(timeout=POLL_SECONDS)
            except TimeoutError:
                if self._has_workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > NO_WORKER_SECONDS:
                    self._answers = False
                    return None
            except (Exception, CancelledError):
                return None
            else:
                future.release()
                return made

    def _has_workers(self) -> bool:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            return bool(self._client.nthreads())
        return False


def do_on_worker(reduction: Reduction, task: ReductionTask) -> Made:
    """Do a task of a reduction in a worker, which keeps what its tasks share."""
    with _ONE_AT_A_TIME:
        if reduction.name not in _reducers:
            _reducers.clear()
            _reducers[reduction.name] = reduction.reducer()
        return _reducers[reduction.name].make(task)


def _forget(name: str) -> None:
    _reducers.pop(name, None)


def _hash_of_files(directory: RunDirectory) -> str:
    names = (*evaluation_files(directory.store), *score_files(directory.store))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
