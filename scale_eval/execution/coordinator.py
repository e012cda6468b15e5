"""Tasks handed out to workers, and what comes of them gathered.

A bounded window of tasks is alive at a time, refilled as they finish, so that the scheduler's
memory does not grow with the run.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeGuard

from distributed import Client, Future, KilledWorker, as_completed
from distributed.comm.core import CommClosedError

from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution.clusters.base import ClusterLost
from scale_eval.execution.global_fits import GlobalFit, GlobalFitResult
from scale_eval.execution.tasks import EvaluationKey, RunContext, Task, TaskResult, first_of
from scale_eval.execution.versions import VersionsDiffer
from scale_eval.execution.worker import EvaluationPlugin, do_on_worker
from scale_eval.planning.batches import Batch

LIVE_TASKS_PER_THREAD = 64
LIVE_BATCHES_PER_THREAD = 4
"""Tasks that the scheduler knows of at a time: enough to keep workers busy between two refills.
Those that write what comes of them are long."""

POLL_SECONDS = 0.05
"""What was done meanwhile is fetched, and replaced, together: a message each costs as much as a
small evaluation."""

REFRESH_SECONDS = 5.0

SPLIT_INTO = 64
"""Parts of a batch in which something went wrong, until what it was stands alone. A part that is
blameless takes milliseconds; finding it in one more step takes two workers, and seconds."""

ENDED_AT_MOST = 8
"""Times that a task's worker is told to end before that is held against the task: a model can send
its own process a SIGTERM."""


def execute(
    client: Client, tasks: Iterable[Task], work: RunContext, *, timeout: float
) -> Generator[TaskResult | None]:
    """Do `tasks` on the client's cluster and yield what comes of each, in no certain order.

    In between, where nothing has come for a moment, None is yielded: time to write what has.

    Parameters
    ----------
    client : distributed.Client
    tasks : iterable of Batch or GlobalFit
        Longest first.
    work : RunContext
    timeout : float
        Seconds after which an evaluation or a fit is given up: its row is ``timeout``, the worker
        that it holds is replaced, and the rest of its batch is done again.

    Raises
    ------
    ClusterLost
        The cluster went away. What was yielded is done; the rest is not.
    VersionsDiffer
        A worker has other packages than this process.
    """
    run = uuid.uuid4().hex[:8]
    plugin = EvaluationPlugin(run, work, timeout)
    timed_out: dict[Any, EvaluationKey] = {}
    stuck = False
    ended: Counter[Any] = Counter()

    async def hear(event: tuple[float, dict[str, Any]]) -> None:
        """What workers say of a task before they end: it takes too long, or they were told to."""
        nonlocal stuck
        told = event[1]
        key = tuple(told["key"])
        if key not in alive:
            return
        if told["guilty"] is not None:
            timed_out[key], stuck = tuple(told["guilty"]), told["stuck"]
        else:
            ended[key] += 1
            if ended[key] <= ENDED_AT_MOST:
                return
        await client.cancel([alive[key][0]], asynchronous=True, force=True)

    alive: dict[Any, tuple[Future, Task]] = {}
    numbered = itertools.count()
    waiting = iter(tasks)
    again: deque[Task] = deque()
    suspects: list[Task] = []
    completed = as_completed(loop=client.loop)  # with_results loses futures whose worker dies

    def submit(n: int, name: str, source: Iterator[Task]) -> None:
        batch = list(itertools.islice(source, n))
        if not batch:
            return
        keys = [_key(f"{name}-{run}", task, next(numbered)) for task in batch]
        futures = client.map(do_on_worker, [run] * len(batch), keys, batch, key=keys, pure=False)
        alive.update(zip(keys, zip(futures, batch, strict=True), strict=True))
        completed.update(futures)

    def outcomes(futures: list[Future]) -> Iterator[tuple[Task, TaskResult | None]]:
        """The tasks that are over and what came of them: None where workers died of one."""
        for future, result in zip(futures, _results(client, futures), strict=True):
            _, task = alive.pop(future.key)
            if future.key in timed_out:
                guilty = timed_out.pop(future.key)
                yield task, _unanswered(work, task, guilty, "timeout", f"longer than {timeout:g} s")
                if stuck:
                    raise ClusterLost(
                        f"{_told(guilty)} does not end, and its worker lives in this process, "
                        "which cannot be ended: use a cluster of processes (processes=True)"
                    )
                if isinstance(task, Batch):
                    rest = task.without(*guilty)
                    again.extend(part for half in rest for part in half.split(SPLIT_INTO))
            elif isinstance(result, KilledWorker) or ended.pop(future.key, 0) > ENDED_AT_MOST:
                yield task, None
            elif _is_of_the_place(result) or isinstance(result, VersionsDiffer):
                raise result
            elif isinstance(result, BaseException):
                raise ClusterLost(
                    f"the cluster did not answer for {_told(first_of(task))} "
                    f"({type(result).__name__}: {result}); run the same command again to go on"
                ) from result
            else:
                yield task, result

    def over() -> Iterator[tuple[Task, TaskResult | None]]:
        """The `outcomes` of what has come to an end when `POLL_SECONDS` have passed."""
        time.sleep(POLL_SECONDS)
        return outcomes(completed.next_batch(block=False))

    try:
        _register(client, plugin)
    except VersionsDiffer:
        raise
    except Exception as error:
        raise ClusterLost(
            f"a worker cannot take the work up: {error}. Workers need this package, the modules "
            "that your models import, and the dataset under the same path"
        ) from error
    try:
        client.subscribe_topic(plugin.name, hear)
        first = next(waiting, None)
        waiting = itertools.chain([first] if first is not None else [], waiting)
        long = isinstance(first, GlobalFit) or (first is not None and first.writes)
        per_thread = LIVE_BATCHES_PER_THREAD if long else LIVE_TASKS_PER_THREAD
        live, asked = _live_tasks(client, per_thread), time.monotonic()
        submit(live, "evaluate", waiting)
        while completed.count():
            for task, done in over():
                if done is None:
                    suspects += _parts(task)
                else:
                    yield done
            yield None
            if time.monotonic() - asked > REFRESH_SECONDS:  # workers come and go
                live, asked = _live_tasks(client, per_thread), time.monotonic()
            if len(alive) <= live - max(1, live // 4):  # a quarter at a time: a graph each
                submit(live - len(alive), "evaluate", itertools.chain(_emptied(again), waiting))

        # A worker that dies takes blameless tasks with it: those of which too many workers died are
        # tried again with nothing beside them, in ever smaller parts. Who kills a worker then, all
        # alone, is guilty.
        while suspects:
            submit(1, "evaluate-alone", iter([suspects.pop(0)]))
            while alive:
                for task, done in over():
                    if done is not None:
                        yield done
                    elif isinstance(task, Batch) and task.n_evaluations > 1:
                        suspects[:0] = _parts(task)
                    else:
                        note = "every worker that tried it died, with nothing else beside it"
                        yield _unanswered(work, task, first_of(task), "killed", note)
                yield None
            suspects += _emptied(again)
    except (OSError, CancelledError) as error:
        if _is_of_the_place(error):
            raise
        raise ClusterLost(
            f"the cluster does not answer ({type(error).__name__}: {error}); run the same command "
            "again, on a cluster that does, to go on"
        ) from error
    finally:
        for leave in (
            lambda: client.cancel([future for future, _ in alive.values()], force=True),
            lambda: client.unsubscribe_topic(plugin.name),
            lambda: client.unregister_worker_plugin(plugin.name),
        ):
            with contextlib.suppress(Exception):  # the cluster may be gone
                leave()


def _register(client: Client, plugin: EvaluationPlugin) -> None:
    """Announce the work to every worker; again where one that the last tasks killed is closing."""
    for patience in (0.5, 2.0):
        try:
            client.register_plugin(plugin)
            return
        except CommClosedError:
            time.sleep(patience)
    client.register_plugin(plugin)


def _live_tasks(client: Client, per_thread: int) -> int:
    """How many tasks are to be alive on a cluster as it is now."""
    return per_thread * max(2, sum(client.nthreads().values()))


def _emptied(tasks: deque[Task]) -> Iterator[Task]:
    while tasks:
        yield tasks.popleft()


def _key(name: str, batch: Task, number: int) -> tuple[str, ...]:
    """Of a task: what it evaluates, to be read on the dashboard; never the same twice."""
    if isinstance(batch, GlobalFit):
        cutoff = from_microseconds(batch.cutoff).isoformat()
        return (name.replace("evaluate", "fit", 1), "all companies", cutoff, batch.model)
    first = batch.companies[0]
    if batch.n_evaluations == 1 and not batch.writes:
        cutoff = from_microseconds(first.windows[0][0]).isoformat()
        return (name, first.company_id, cutoff, first.models[0])
    if len(batch.companies) == 1 and not batch.writes:
        return (name, first.company_id)
    return (name, first.company_id, f"and {len(batch.companies) - 1} more", str(number))


def _parts(task: Task) -> list[Task]:
    return [*task.split(SPLIT_INTO)] if isinstance(task, Batch) else [task]


def _is_of_the_place(error: object) -> TypeGuard[OSError]:
    """Whether an error is one of a file system that is full, read-only or gone.

    Those of connections are `OSError` too, but name no file.
    """
    return isinstance(error, OSError) and bool(error.errno) and error.filename is not None


def _told(single: EvaluationKey) -> str:
    company_id, cutoff, model = single
    return f"{company_id} {from_microseconds(cutoff):%Y-%m-%d} {model}"


def _results(client: Client, futures: list[Future]) -> list[TaskResult | BaseException]:
    """What the futures, all of them over, came to: fetched at once, or one by one if one failed."""
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


def _unanswered(
    work: RunContext, task: Task, guilty: EvaluationKey, status: str, note: str
) -> TaskResult:
    """What stands for an evaluation, or a fit, that never came to an answer."""
    reason = {"timeout": "too_long", "killed": "worker_died"}[status]
    if isinstance(task, GlobalFit):
        fitted = GlobalFitResult("", status, reason, f"fitting: {note}")
        return TaskResult(EvaluationRows(0), fitted={task.key: fitted})
    company_id, cutoff, model = guilty
    rows = EvaluationRows(1, work.rules.metric_names)
    for entry in task.companies:
        for window in entry.windows:
            if (entry.company_id, window[0]) == (company_id, cutoff) and model in entry.models:
                rows.add(company_id, window, model, entry.attempt, status, reason, note)
    return TaskResult(rows, statuses=Counter({status: 1}))
