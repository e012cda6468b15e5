"""Evaluations on Dask: the only room that knows it.

Each evaluation is one task, whose key says what it evaluates. A bounded window of tasks is alive at
a time, refilled as they finish, so that the scheduler's memory does not grow with the run.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import sys
import sysconfig
import threading
import time
import uuid
from asyncio import CancelledError
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa
import threadpoolctl
from distributed import Client, Future, KilledWorker, WorkerPlugin, as_completed, get_worker

from scale_eval.datasets import Dataset, Transactions
from scale_eval.evaluation import Evaluation, Rules, evaluate_one, failure, text
from scale_eval.models import NamedModel
from scale_eval.storage import LocalStore
from scale_eval.windows import Window, as_utc

LIVE_TASKS_PER_THREAD = 32
"""Tasks that the scheduler knows of at a time: enough to keep workers busy between two refills."""

POLL_SECONDS = 0.01
REFRESH_SECONDS = 5.0

CACHE_BYTES = 256 * 2**20
"""Companies that a worker keeps in memory, those last read first."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a process evaluates: recording warnings and seeding the global generators are for the
whole process, so that on a worker with several threads results would depend on who runs beside."""

Task = tuple[str, str, str]
"""An evaluation as a task names it: company, cutoff as ISO text, model."""


class ClusterLost(RuntimeError):  # noqa: N818 - read as a sentence
    """The cluster went away, or could not be used, before the run was finished."""


@dataclass(frozen=True)
class Work:
    """What a worker needs to know once to do any evaluation of a run.

    Attributes
    ----------
    dataset : Dataset
        Workers read it themselves; it must be on a path that all of them see.
    models : dict of NamedModel by name
    rules : Rules
    predictions : LocalStore or None
        Where to write predictions, if they are to be kept.
    """

    dataset: Dataset
    models: dict[str, NamedModel]
    rules: Rules
    predictions: LocalStore | None = None

    def evaluate(self, task: Task, company: Transactions) -> Evaluation:
        """Do one evaluation, and keep its predictions if asked."""
        _, cutoff, model = task
        window = Window.at(as_utc(cutoff), self.rules.horizon)
        evaluation = evaluate_one(company, window, self.models[model], self.rules)
        if self.predictions is not None and evaluation.predictions is not None:
            self._keep(task, evaluation.predictions)
        return evaluation

    def _keep(self, task: Task, predictions: pd.DataFrame) -> None:
        assert self.predictions is not None
        company_id, cutoff, model = task
        predictions = predictions.assign(
            company_id=company_id, cutoff=as_utc(cutoff), model=model
        )  # fmt: skip
        table = pa.Table.from_pandas(predictions, preserve_index=False)
        digest = uuid.uuid5(uuid.NAMESPACE_OID, repr(task)).hex
        self.predictions.write_table(f"predictions/{digest}.parquet", table)


def execute(
    client: Client, tasks: Iterable[Task], work: Work, *, timeout: float
) -> Generator[Evaluation | None]:
    """Do `tasks` on the client's cluster and yield what comes of each, in no certain order.

    In between, where nothing has come for a moment, None is yielded: time to write what has.

    Parameters
    ----------
    client : distributed.Client
    tasks : iterable of (company, cutoff, model)
        Longest first.
    work : Work
    timeout : float
        Seconds after which an evaluation is given up: its row is ``timeout``, and the worker that
        it holds is replaced.

    Raises
    ------
    ClusterLost
        The cluster went away. What was yielded is done; the rest is not.
    """
    run = uuid.uuid4().hex[:8]
    plugin = EvaluationPlugin(run, work, timeout)
    timed_out: set[Any] = set()
    stuck = False

    async def give_up(event: tuple[float, dict[str, Any]]) -> None:
        nonlocal stuck
        task, stuck = tuple(event[1]["task"]), event[1]["stuck"]
        for key, (future, of) in list(alive.items()):
            if of == task:
                timed_out.add(key)
                await client.cancel([future], asynchronous=True, force=True)

    alive: dict[Any, tuple[Future, Task]] = {}
    waiting = iter(tasks)
    suspects: list[Task] = []
    completed = as_completed(loop=client.loop)  # with_results loses futures whose worker dies

    def submit(n: int, name: str, source: Iterator[Task]) -> None:
        batch = list(itertools.islice(source, n))
        if not batch:
            return
        keys = [(f"{name}-{run}", *task) for task in batch]
        futures = client.map(_evaluate_on_worker, [run] * len(batch), batch, key=keys, pure=False)
        alive.update(zip(keys, zip(futures, batch, strict=True), strict=True))
        completed.update(futures)

    def outcomes(futures: list[Future]) -> Iterator[tuple[Task, Evaluation | None]]:
        """The tasks that are over and what came of them: None where workers died of one."""
        for future, result in zip(futures, _results(client, futures), strict=True):
            _, task = alive.pop(future.key)
            if future.key in timed_out:
                note = f"longer than {timeout:g} seconds"
                yield task, _unanswered(task, work, "timeout", note)
                if stuck:
                    raise ClusterLost(
                        f"{' '.join(task)} does not end, and its worker lives in this process, "
                        "which cannot be ended: use a cluster of processes (processes=True)"
                    )
            elif isinstance(result, KilledWorker):
                yield task, None
            elif isinstance(result, BaseException):
                raise ClusterLost(
                    f"the cluster did not answer for {' '.join(task)} "
                    f"({type(result).__name__}: {result}); run the same command again to go on"
                ) from result
            else:
                yield task, result

    try:
        client.register_plugin(plugin)
    except Exception as error:
        raise ClusterLost(
            f"a worker cannot take the work up: {error}. Workers need this package, the modules "
            "that your models import, and the dataset under the same path"
        ) from error
    client.subscribe_topic(plugin.name, give_up)
    try:
        live, asked = _live_tasks(client), time.monotonic()
        submit(live, "evaluate", waiting)
        while completed.count():
            batch = completed.next_batch(block=False)
            if not batch:
                yield None
                time.sleep(POLL_SECONDS)
            for task, evaluation in outcomes(batch):
                if evaluation is None:
                    suspects.append(task)
                else:
                    yield evaluation
            if time.monotonic() - asked > REFRESH_SECONDS:  # workers come and go
                live, asked = _live_tasks(client), time.monotonic()
            if len(alive) < live:
                submit(live - len(alive), "evaluate", waiting)

        # A worker that dies takes blameless tasks with it: those of which too many workers died are
        # tried again with nothing beside them. Who kills a worker then is guilty.
        for suspect in suspects:
            submit(1, "evaluate-alone", iter([suspect]))
            ((_, evaluation),) = outcomes([next(completed)])
            note = "every worker that tried it died, with nothing else running beside it"
            yield evaluation or _unanswered(suspect, work, "killed", note)
    finally:
        for leave in (
            lambda: client.cancel([future for future, _ in alive.values()], force=True),
            lambda: client.unsubscribe_topic(plugin.name),
            lambda: client.unregister_worker_plugin(plugin.name),
        ):
            with contextlib.suppress(Exception):  # the cluster may be gone
                leave()


def _live_tasks(client: Client) -> int:
    """How many tasks are to be alive on a cluster as it is now."""
    return LIVE_TASKS_PER_THREAD * max(2, sum(client.nthreads().values()))


def _results(client: Client, futures: list[Future]) -> list[Evaluation | BaseException]:
    """What the futures, all of them over, came to: fetched at once, or one by one if one failed."""
    if all(future.status == "finished" for future in futures):
        with contextlib.suppress(Exception, CancelledError):  # a worker died meanwhile
            return client.gather(futures)
    results: list[Evaluation | BaseException] = []
    for future in futures:
        try:
            results.append(future.result())
        except (Exception, CancelledError) as error:
            results.append(error)
    return results


class EvaluationPlugin(WorkerPlugin):
    """What a run leaves on each worker while it lasts: its `Work`, a cache, and a watchdog."""

    def __init__(self, run: str, work: Work, timeout: float) -> None:
        self.name = _plugin_name(run)
        self.payload = _ship(work)
        self.content_hash = work.dataset.content_hash
        self.timeout = timeout
        self.coordinator = (socket.gethostname(), os.getpid())

    def setup(self, worker: Any) -> None:
        """Unpack the work and confine it to one thread a library."""
        if "" not in sys.path:
            sys.path.insert(0, "")
        self.work: Work = cloudpickle.loads(self.payload)
        if self.work.dataset.content_hash != self.content_hash:
            raise RuntimeError(
                f"{self.work.dataset.store.root} holds other data on worker {worker.address} than "
                "the run was planned for"
            )
        self.companies = CompanyCache(self.work.dataset, CACHE_BYTES)
        if os.getppid() == self.coordinator[1] and not self._in_coordinator():
            # Ctrl-C in a terminal reaches local workers too; the coordinator is who ends them.
            with contextlib.suppress(ValueError):  # not in the main thread: nothing to ignore it in
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._limits = threadpoolctl.threadpool_limits(1)
        self._cpu_count = pa.cpu_count()
        pa.set_cpu_count(1)
        self._worker = worker
        self._running: tuple[float, Task] | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name=self.name).start()

    def teardown(self, worker: Any) -> None:
        """Leave the worker as it was found."""
        self._stopped.set()
        self._limits.restore_original_limits()
        pa.set_cpu_count(self._cpu_count)

    def evaluate(self, task: Task) -> Evaluation:
        """One evaluation; a company that cannot be read gives an `error` row."""
        with _ONE_AT_A_TIME:
            self._running = (time.monotonic(), task)
            try:
                evaluation = self._evaluate(task)
            finally:
                self._running = None
        evaluation.row["worker"] = self._worker.address
        return Evaluation(evaluation.row, evaluation.histogram)

    def _evaluate(self, task: Task) -> Evaluation:
        try:
            company = self.companies.read(task[0])
        except (OSError, ValueError, KeyError) as error:
            message = str(error).replace(str(self.work.dataset.store.root), "DATASET")
            note = text(re.sub(r"\s+", " ", message))
            return _unanswered(task, self.work, "error", note, reason="data_unreadable")
        try:
            return self.work.evaluate(task, company)
        except OSError:  # predictions that cannot be written
            raise
        except BaseException as error:  # whatever a model throws: a row, and the worker lives
            told = failure(error)
            return _unanswered(task, self.work, "error", told["note"], reason=told["reason"])

    def _in_coordinator(self) -> bool:
        return (socket.gethostname(), os.getpid()) == self.coordinator

    def _watch(self) -> None:
        """Report an evaluation that takes too long, then end the process: a thread cannot be."""
        while not self._stopped.wait(min(0.2, self.timeout / 4)):
            running = self._running
            if running is None or time.monotonic() - running[0] <= self.timeout:
                continue
            stuck = self._in_coordinator()
            told = {"task": list(running[1]), "stuck": stuck}
            self._worker.loop.add_callback(self._worker.log_event, self.name, told)
            if stuck:
                return  # the coordinator does not end itself; it ends the run
            time.sleep(1.0)  # for the report to arrive before the worker's death does
            os._exit(1)


class CompanyCache:
    """The companies last read, bounded in bytes."""

    def __init__(self, dataset: Dataset, max_bytes: int) -> None:
        self._dataset = dataset
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Transactions] = OrderedDict()
        self._n_bytes = 0

    def read(self, company_id: str) -> Transactions:
        """The company's transactions, from memory or from the dataset."""
        if company_id in self._kept:
            self._kept.move_to_end(company_id)
            return self._kept[company_id]
        company = self._dataset.read(company_id)
        self._kept[company_id] = company
        self._n_bytes += company.n_bytes
        while len(self._kept) > 1 and self._n_bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._n_bytes -= dropped.n_bytes
        return company


def _evaluate_on_worker(run: str, task: Task) -> Evaluation:
    plugin = get_worker().plugins[_plugin_name(run)]
    assert isinstance(plugin, EvaluationPlugin)
    return plugin.evaluate(task)


def _plugin_name(run: str) -> str:
    return f"scale-eval-{run}"


def _unanswered(
    task: Task, work: Work, status: str, note: str, reason: str | None = None
) -> Evaluation:
    """The row of an evaluation that never came to an answer."""
    company_id, cutoff, model = task
    window = Window.at(as_utc(cutoff), work.rules.horizon)
    return Evaluation(
        {
            "company_id": company_id,
            "cutoff": window.cutoff,
            "horizon_end": window.horizon_end,
            "model": model,
            "status": status,
            "reason": reason or {"timeout": "too_long", "killed": "worker_died"}[status],
            "note": note,
        }
    )


def _ship(work: Work) -> bytes:
    """`work` as bytes that load on any worker: a user's own modules travel inside."""
    things: list[Any] = [m.user_function or m.function for m in work.rules.metrics]
    for model in work.models.values():
        things += [model.prototype, *getattr(model.prototype, "__dict__", {}).values()]
    modules: dict[str, ModuleType] = {}
    waiting = [module for module in map(_module_of, things) if module is not None]
    while waiting:
        module = waiting.pop()
        if module.__name__ not in modules and _is_users(module):
            modules[module.__name__] = module
            imported = map(_module_of, vars(module).values())
            waiting += [other for other in imported if other is not None]
    for module in modules.values():
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(work)
    finally:
        for module in modules.values():
            cloudpickle.unregister_pickle_by_value(module)


def _module_of(thing: Any) -> ModuleType | None:
    """The module that `thing` is, or comes from."""
    if isinstance(thing, ModuleType):
        return thing
    name = getattr(thing, "__module__", None) or type(thing).__module__
    return sys.modules.get(name) if isinstance(name, str) else None


def _is_users(module: ModuleType) -> bool:
    """Whether the module is a person's own file, rather than something installed everywhere."""
    file = getattr(module, "__file__", None)
    if file is None or module.__name__ == "__main__":
        return False  # built in; or pickled by value anyway
    installed = [sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")]
    installed.append(str(Path(__file__).parent))
    return not any(Path(file).resolve().is_relative_to(Path(p).resolve()) for p in installed)
