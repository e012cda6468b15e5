"""Evaluations on Dask: the only room that knows it.

A task is a pack of evaluations, one at least, and its key says what it evaluates. A bounded window
of tasks is alive at a time, refilled as they finish, so that the scheduler's memory does not grow
with the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import signal
import socket
import sys
import sysconfig
import tempfile
import threading
import time
import uuid
from asyncio import CancelledError, run_coroutine_threadsafe, wait_for
from collections import Counter, OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import cloudpickle
import pyarrow as pa
import threadpoolctl
from dask.config import get as setting
from distributed import (
    Client,
    Future,
    KilledWorker,
    Status,
    WorkerPlugin,
    as_completed,
    get_worker,
)

from scale_eval.datasets import Dataset, Transactions
from scale_eval.evaluation import Answer, Rules, evaluate_company, text, warm_up
from scale_eval.fitting import Fit, Fitted, FittedModels, fit_one
from scale_eval.models import NamedModel
from scale_eval.packs import Entry, Pack
from scale_eval.results.evaluation_rows import EvaluationRows
from scale_eval.results.run_directory import RunDirectory
from scale_eval.results.score_counts import ScoreCounts, SparseCounts, score_table
from scale_eval.storage import LocalStore
from scale_eval.windows import Window, from_microseconds

LIVE_TASKS_PER_THREAD = 32
LIVE_PACKS_PER_THREAD = 4
"""Tasks that the scheduler knows of at a time: enough to keep workers busy between two refills.
Those that write what comes of them are long."""

POLL_SECONDS = 0.01
REFRESH_SECONDS = 5.0

SPLIT_INTO = 64
"""Parts of a pack in which something went wrong, until what it was stands alone. A part that is
blameless takes milliseconds; finding it in one more step takes two workers, and seconds."""

ENDED_AT_MOST = 8
"""Times that a task's worker is told to end before that is held against the task: a model can send
its own process a SIGTERM."""

SAY_SECONDS = 2.0
"""How long a worker that must end takes for saying so, at most."""

CACHE_BYTES = 256 * 2**20
"""Companies that a worker keeps in memory, those last read first."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a process evaluates: recording warnings and seeding the global generators are for the
whole process, so that on a worker with several threads results would depend on who runs beside."""

Single = tuple[str, int, str]
"""An evaluation: company, cutoff in microseconds, model."""


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
    run : LocalStore
        The run's directory, for packs that write what comes of them.
    save_predictions : bool
        Whether each customer's probability is kept there.
    fitted : dict of Fitted
        What the fits of models of all companies came to, by `Fit.key`.
    """

    dataset: Dataset
    models: dict[str, NamedModel]
    rules: Rules
    run: LocalStore
    save_predictions: bool = False
    fitted: Mapping[str, Fitted] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes
    ----------
    rows : EvaluationRows
        Empty where the worker has written them.
    counts : SparseCounts
        The scores of those that are `ok`; likewise.
    statuses : Counter
        Evaluations by status, whoever writes them.
    fitted : dict of Fitted
        By `Fit.key`, of a fit.
    """

    rows: EvaluationRows
    counts: SparseCounts = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    fitted: dict[str, Fitted] = field(default_factory=dict)


Task = Pack | Fit
"""What a worker is given to do."""


def execute(
    client: Client, tasks: Iterable[Task], work: Work, *, timeout: float
) -> Generator[Done | None]:
    """Do `tasks` on the client's cluster and yield what comes of each, in no certain order.

    In between, where nothing has come for a moment, None is yielded: time to write what has.

    Parameters
    ----------
    client : distributed.Client
    tasks : iterable of Pack or Fit
        Longest first.
    work : Work
    timeout : float
        Seconds after which an evaluation or a fit is given up: its row is ``timeout``, the worker
        that it holds is replaced, and the rest of its pack is done again.

    Raises
    ------
    ClusterLost
        The cluster went away. What was yielded is done; the rest is not.
    """
    run = uuid.uuid4().hex[:8]
    plugin = EvaluationPlugin(run, work, timeout)
    timed_out: dict[Any, Single] = {}
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
        futures = client.map(_do_on_worker, [run] * len(batch), keys, batch, key=keys, pure=False)
        alive.update(zip(keys, zip(futures, batch, strict=True), strict=True))
        completed.update(futures)

    def outcomes(futures: list[Future]) -> Iterator[tuple[Task, Done | None]]:
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
                if isinstance(task, Pack):
                    rest = task.without(*guilty)
                    again.extend(part for half in rest for part in half.split(SPLIT_INTO))
            elif isinstance(result, KilledWorker) or ended.pop(future.key, 0) > ENDED_AT_MOST:
                yield task, None
            elif _is_of_the_place(result):
                raise result
            elif isinstance(result, BaseException):
                raise ClusterLost(
                    f"the cluster did not answer for {_told(_first(task))} "
                    f"({type(result).__name__}: {result}); run the same command again to go on"
                ) from result
            else:
                yield task, result

    def over() -> Iterator[tuple[Task, Done | None]]:
        """The `outcomes` of what is over by now; after a moment where nothing is."""
        batch = completed.next_batch(block=False)
        if not batch:
            time.sleep(POLL_SECONDS)
        return outcomes(batch)

    try:
        client.register_plugin(plugin)
    except Exception as error:
        raise ClusterLost(
            f"a worker cannot take the work up: {error}. Workers need this package, the modules "
            "that your models import, and the dataset under the same path"
        ) from error
    try:
        client.subscribe_topic(plugin.name, hear)
        first = next(waiting, None)
        waiting = itertools.chain([first] if first is not None else [], waiting)
        long = isinstance(first, Fit) or (first is not None and first.writes)
        per_thread = LIVE_PACKS_PER_THREAD if long else LIVE_TASKS_PER_THREAD
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
            if len(alive) < live:
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
                    elif isinstance(task, Pack) and task.n_evaluations > 1:
                        suspects[:0] = _parts(task)
                    else:
                        note = "every worker that tried it died, with nothing else beside it"
                        yield _unanswered(work, task, _first(task), "killed", note)
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


def _live_tasks(client: Client, per_thread: int) -> int:
    """How many tasks are to be alive on a cluster as it is now."""
    return per_thread * max(2, sum(client.nthreads().values()))


def _emptied(tasks: deque[Task]) -> Iterator[Task]:
    while tasks:
        yield tasks.popleft()


def _key(name: str, pack: Task, number: int) -> tuple[str, ...]:
    """Of a task: what it evaluates, to be read on the dashboard; never the same twice."""
    if isinstance(pack, Fit):
        cutoff = from_microseconds(pack.begin).isoformat()
        return (name.replace("evaluate", "fit", 1), "all companies", cutoff, pack.model)
    first = pack.entries[0]
    if pack.n_evaluations == 1 and not pack.writes:
        cutoff = from_microseconds(first.windows[0][0]).isoformat()
        return (name, first.company_id, cutoff, first.models[0])
    if len(pack.entries) == 1 and not pack.writes:
        return (name, first.company_id)
    return (name, first.company_id, f"and {len(pack.entries) - 1} more", str(number))


def _parts(task: Task) -> list[Task]:
    return [*task.split(SPLIT_INTO)] if isinstance(task, Pack) else [task]


def _is_of_the_place(error: object) -> TypeGuard[OSError]:
    """Whether an error is one of a file system that is full, read-only or gone.

    Those of connections are `OSError` too, but name no file.
    """
    return isinstance(error, OSError) and bool(error.errno) and error.filename is not None


def _first(task: Task) -> Single:
    if isinstance(task, Fit):
        return "all companies", task.begin, task.model
    entry = task.entries[0]
    return entry.company_id, entry.windows[0][0], entry.models[0]


def _told(single: Single) -> str:
    company_id, begin, model = single
    return f"{company_id} {from_microseconds(begin):%Y-%m-%d} {model}"


def _results(client: Client, futures: list[Future]) -> list[Done | BaseException]:
    """What the futures, all of them over, came to: fetched at once, or one by one if one failed."""
    if all(future.status == "finished" for future in futures):
        with contextlib.suppress(Exception, CancelledError):  # a worker died meanwhile
            return client.gather(futures)
    results: list[Done | BaseException] = []
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
        self.fitted = FittedModels(self.work.run, self.work.fitted)
        self._windows: dict[tuple[int, int], Window] = {}
        if os.getppid() == self.coordinator[1] and not self._in_coordinator():
            # Ctrl-C in a terminal reaches local workers too; the coordinator is who ends them.
            with contextlib.suppress(ValueError):  # not in the main thread: nothing to ignore it in
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._limits = threadpoolctl.threadpool_limits(1)
        self._cpu_count = pa.cpu_count()
        pa.set_cpu_count(1)
        _compile_in_turn()
        self._worker = worker
        self._running: tuple[float, tuple[str, ...], Single] | None = None
        self._deciding = threading.Lock()
        self._given_up = False
        self._stopped = threading.Event()
        self._former = signal.getsignal(signal.SIGTERM)
        if not self._in_coordinator():
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, self._told_to_end)
        threading.Thread(target=self._watch, daemon=True, name=self.name).start()

    async def teardown(self, worker: Any) -> None:
        """Leave the worker as it was found; one that closes with work in hand is not to blame."""
        self._stopped.set()
        if worker.status == Status.closing:
            await self._leave()
        elif signal.getsignal(signal.SIGTERM) == self._told_to_end:
            signal.signal(signal.SIGTERM, self._former)
        self._limits.restore_original_limits()
        pa.set_cpu_count(self._cpu_count)

    def do(self, key: tuple[str, ...], task: Task) -> Done:
        """A task; what comes of it is not yet, or already, on the disk."""
        return self.evaluate(key, task) if isinstance(task, Pack) else self.fit(key, task)

    def fit(self, key: tuple[str, ...], fit: Fit) -> Done:
        """Fit a model of all companies."""
        work = self.work
        with _ONE_AT_A_TIME:
            self._running = (time.monotonic(), key, _first(fit))
            try:
                fitted = fit_one(fit, work.models[fit.model], work.dataset, work.rules, work.run)
            finally:
                self._over()
        return Done(EvaluationRows(0), fitted={fit.key: fitted})

    def evaluate(self, key: tuple[str, ...], pack: Pack) -> Done:
        """A pack's evaluations; a company that cannot be read gives `error` rows."""
        rows = EvaluationRows(pack.n_evaluations, self.work.rules.metric_names)
        counts = ScoreCounts()
        with _ONE_AT_A_TIME:
            try:
                for entry, company in self._companies(pack, key):
                    self._evaluate(entry, company, rows, counts, key)
            finally:
                self._over()
        rows.worker = [self._worker.address] * len(rows)
        statuses = Counter(rows.status)
        if not pack.writes:
            return Done(rows, counts.sparse(), statuses)
        directory = RunDirectory(self.work.run)
        directory.write_batch(rows.table(), score_table([counts.sparse()]))
        return Done(EvaluationRows(0), statuses=statuses)

    def _companies(
        self, pack: Pack, key: tuple[str, ...]
    ) -> Iterator[tuple[Entry, Transactions | Exception]]:
        """The companies of a pack, each read when its turn comes."""
        if len(pack.entries) == 1:
            (entry,) = pack.entries
            self._about(key, entry)
            yield entry, self.companies.read(entry.company_id)
            return
        names = [entry.company_id for entry in pack.entries]
        self._about(key, pack.entries[0])
        found = self.work.dataset.read_many(names)
        for entry, (_, company) in zip(pack.entries, found, strict=True):
            yield entry, company
            self._about(key, entry)

    def _about(self, key: tuple[str, ...], entry: Entry) -> None:
        single = (entry.company_id, entry.windows[0][0], entry.models[0])
        self._running = (time.monotonic(), key, single)

    def _evaluate(
        self, entry: Entry, company: Transactions | Exception, rows: EvaluationRows,
        counts: ScoreCounts, key: tuple[str, ...],
    ) -> None:  # fmt: skip
        if isinstance(company, Exception):
            message = str(company).replace(str(self.work.dataset.store.root), "DATASET")
            note = text(re.sub(r"\s+", " ", message))
            for window in entry.windows:
                for model in entry.models:
                    rows.add(
                        entry.company_id, window, model, entry.attempt,
                        "error", "data_unreadable", note,
                    )  # fmt: skip
            return

        def about(window: Window, model: str) -> None:
            self._running = (time.monotonic(), key, (entry.company_id, window.begin, model))

        windows = [(self.window(begin, end), overlaps) for begin, end, overlaps in entry.windows]
        models = [self.work.models[name] for name in entry.models]
        evaluate_company(
            company, windows, models, self.work.rules, rows, counts, group=entry.group,
            attempt=entry.attempt, about=about, catch=BaseException, fitted=self.fitted,
            keep=self._keep if self.work.save_predictions else None,
        )  # fmt: skip

    def window(self, begin: int, end: int) -> Window:
        """The window, made once."""
        if (begin, end) not in self._windows:
            window = Window(from_microseconds(begin), from_microseconds(end))
            self._windows[begin, end] = window
        return self._windows[begin, end]

    def _keep(self, answer: Answer) -> None:
        """Write the probabilities of one evaluation."""
        company_id, cutoff = answer.fold.company.company_id, answer.fold.window.cutoff
        frame = answer.frame().assign(company_id=company_id, cutoff=cutoff, model=answer.model)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        named = repr((company_id, cutoff.isoformat(), answer.model))
        digest = uuid.uuid5(uuid.NAMESPACE_OID, named).hex
        self.work.run.write_table(f"predictions/{digest}.parquet", table)

    def _in_coordinator(self) -> bool:
        return (socket.gethostname(), os.getpid()) == self.coordinator

    def _over(self) -> None:
        """The task is over, unless it was given up: then nothing may come of it any more."""
        with self._deciding:
            self._running = None
        if self._given_up:
            if self._in_coordinator():
                raise TimeoutError("given up")
            threading.Event().wait()  # for the end of the process

    def _watch(self) -> None:
        """Report an evaluation that takes too long, then end the process: a thread cannot be."""
        while not self._stopped.wait(min(0.2, self.timeout / 4)):
            with self._deciding:
                running = self._running
                if running is None or time.monotonic() - running[0] <= self.timeout:
                    continue
                self._given_up = True
            stuck = self._in_coordinator()
            self._worker.loop.add_callback(self._say, running[1], running[2], stuck)
            if stuck:
                return  # the coordinator does not end itself; it ends the run
            time.sleep(1.0)  # for the report to arrive before the worker's death does
            os._exit(1)

    def _say(self, key: tuple[str, ...], guilty: Single | None, stuck: bool = False) -> None:
        told = {"key": list(key), "guilty": guilty and list(guilty), "stuck": stuck}
        self._worker.log_event(self.name, told)

    def _told_to_end(self, signum: int, _: object) -> None:
        """On SIGTERM: the machine is taken away, or this process has no more memory to take."""
        if _is_over_memory_limit(self._worker):  # it is the nanny, and this worker is to blame
            os._exit(128 + signum)
        loop = self._worker.loop.asyncio_loop
        run_coroutine_threadsafe(self._end(128 + signum), loop)  # which wakes it

    async def _end(self, code: int) -> None:
        await self._leave()
        os._exit(code)

    async def _leave(self) -> None:
        """Have the scheduler give to others what this worker holds, and blame nobody.

        To lose a worker is held against the tasks it had, unless the scheduler expects it.
        """
        running, worker = self._running, self._worker
        if running is not None:
            self._say(running[1], None)
        with contextlib.suppress(Exception):  # the scheduler may be gone
            leaving = worker.scheduler.unregister(
                address=worker.address, expected=True, close=False,
                stimulus_id=f"told-to-end-{time.time()}",
            )  # fmt: skip
            await wait_for(leaving, SAY_SECONDS)


def _is_over_memory_limit(worker: Any) -> bool:
    """Whether the process has at some time taken so much that its nanny ends it."""
    limit = worker.memory_manager.memory_limit
    fraction = setting("distributed.worker.memory.terminate")
    if not limit or not fraction:
        return False
    taken = worker.monitor.get_process_memory()
    with contextlib.suppress(OSError):  # Linux alone says what it was at most
        status = Path("/proc/self/status").read_text(encoding="ascii")
        taken = max(taken, 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]))
    return bool(taken > fraction * limit)


class CompanyCache:
    """The companies last read, bounded in bytes."""

    def __init__(self, dataset: Dataset, max_bytes: int) -> None:
        self._dataset = dataset
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Transactions] = OrderedDict()
        self._n_bytes = 0

    def read(self, company_id: str) -> Transactions | Exception:
        """The company's transactions from memory or the dataset, or why they cannot be read."""
        if company_id in self._kept:
            self._kept.move_to_end(company_id)
            return self._kept[company_id]
        try:
            company = self._dataset.read(company_id)
        except (OSError, ValueError, KeyError) as error:
            return error
        self._kept[company_id] = company
        self._n_bytes += company.n_bytes
        while len(self._kept) > 1 and self._n_bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._n_bytes -= dropped.n_bytes
        return company


def _compile_in_turn() -> None:
    """Have the compiled code at hand: the first worker of a machine compiles, the others wait.

    So that no evaluation is timed with it, and it is not compiled as often as there are workers.
    """
    place = Path(tempfile.gettempdir()) / f"scale-eval-compiling-{os.getuid()}"
    with place.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        warm_up()


def _do_on_worker(run: str, key: tuple[str, ...], task: Task) -> Done:
    plugin = get_worker().plugins[_plugin_name(run)]
    assert isinstance(plugin, EvaluationPlugin)
    return plugin.do(key, task)


def _plugin_name(run: str) -> str:
    return f"scale-eval-{run}"


def _unanswered(work: Work, task: Task, guilty: Single, status: str, note: str) -> Done:
    """What stands for an evaluation, or a fit, that never came to an answer."""
    reason = {"timeout": "too_long", "killed": "worker_died"}[status]
    if isinstance(task, Fit):
        fitted = Fitted("", status, reason, f"fitting: {note}")
        return Done(EvaluationRows(0), fitted={task.key: fitted})
    company_id, begin, model = guilty
    rows = EvaluationRows(1, work.rules.metric_names)
    for entry in task.entries:
        for window in entry.windows:
            if (entry.company_id, window[0]) == (company_id, begin) and model in entry.models:
                rows.add(company_id, window, model, entry.attempt, status, reason, note)
    return Done(rows, statuses=Counter({status: 1}))


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
