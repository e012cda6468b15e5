"""What a run leaves on each worker: it evaluates, watches the clock, and leaves in good order."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from asyncio import run_coroutine_threadsafe, wait_for
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pyarrow as pa
import threadpoolctl
from dask.config import get as setting
from distributed import Status, WorkerPlugin, get_worker

from scale_eval.datasets import Dataset, Transactions
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import LoadedCompany, WindowPredictions, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts, score_table
from scale_eval.evaluation.predict import text
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.execution.global_fits import FittedModels, GlobalFit, fit_one
from scale_eval.execution.shipping import ship
from scale_eval.execution.tasks import EvaluationKey, RunContext, Task, TaskResult, first_of
from scale_eval.execution.versions import VersionsDiffer, own_versions, version_differences
from scale_eval.models.warm_up import warm_up
from scale_eval.planning.batches import Batch, CompanyBatch
from scale_eval.results.directory import RunDirectory
from scale_eval.storage import write_table

SAY_SECONDS = 2.0
"""How long a worker that must end takes for saying so, at most."""

COMPILING_SECONDS = 120.0
"""How long a worker waits at most for another to have compiled."""

CACHE_BYTES = 256 * 2**20
"""Companies that a worker keeps in memory, those last read first."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a process evaluates: recording warnings and seeding the global generators are for the
whole process, so that on a worker with several threads results would depend on who runs beside."""


class EvaluationPlugin(WorkerPlugin):
    """What a run leaves on each worker while it lasts: its context, a cache, and a watchdog."""

    def __init__(self, run: str, work: RunContext, timeout: float) -> None:
        self.name = _plugin_name(run)
        self.payload = ship(work)
        self.content_hash = work.dataset.content_hash
        self.timeout = timeout
        self.versions = own_versions()
        self.unfit: VersionsDiffer | None = None
        self.coordinator = (socket.gethostname(), os.getpid())

    def setup(self, worker: Any) -> None:
        """Unpack the work and confine it to one thread a library."""
        if "" not in sys.path:
            sys.path.insert(0, "")
        differ = version_differences(self.versions, own_versions())
        if differ:  # on a worker that joins later nobody hears what is raised here: a task says it
            self.unfit = VersionsDiffer([f"{what} on worker {worker.address}" for what in differ])
            raise self.unfit
        self.work: RunContext = cloudpickle.loads(self.payload)
        if self.work.dataset.content_hash != self.content_hash:
            raise RuntimeError(
                f"{self.work.dataset.store.root} holds other data on worker {worker.address} than "
                "the run was planned for"
            )
        self.companies = CompanyCache(self.work.dataset, CACHE_BYTES)
        self.fitted = FittedModels(self.work.run, self.work.fitted)
        self._windows: dict[tuple[int, int], Window] = {}
        parent = multiprocessing.parent_process()  # which asked for this one, whoever forked it
        if parent and parent.pid == self.coordinator[1] and not self._in_coordinator():
            # Ctrl-C in a terminal reaches local workers too; the coordinator is who ends them.
            with contextlib.suppress(ValueError):  # not in the main thread: nothing to ignore it in
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._limits = threadpoolctl.threadpool_limits(1)
        self._cpu_count = pa.cpu_count()
        pa.set_cpu_count(1)
        _compile_in_turn()
        self._worker = worker
        self._running: tuple[float, tuple[str, ...], EvaluationKey] | None = None
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

    def do(self, key: tuple[str, ...], task: Task) -> TaskResult:
        """A task; what comes of it is not yet, or already, on the disk."""
        if self.unfit:
            raise self.unfit
        return self.evaluate(key, task) if isinstance(task, Batch) else self.fit(key, task)

    def fit(self, key: tuple[str, ...], fit: GlobalFit) -> TaskResult:
        """Fit a model of all companies."""
        work = self.work
        with _ONE_AT_A_TIME:
            self._running = (time.monotonic(), key, first_of(fit))
            try:
                fitted = fit_one(fit, work.models[fit.model], work.dataset, work.rules, work.run)
            finally:
                self._over()
        return TaskResult(EvaluationRows(0), fitted={fit.key: fitted})

    def evaluate(self, key: tuple[str, ...], batch: Batch) -> TaskResult:
        """A batch's evaluations; a company that cannot be read gives `error` rows."""
        rows = EvaluationRows(batch.n_evaluations, self.work.rules.metric_names)
        counts = ScoreCounts()
        with _ONE_AT_A_TIME:
            try:
                self._evaluate(batch, rows, counts, key)
            finally:
                self._over()
        rows.worker = [self._worker.address] * len(rows)
        statuses = Counter(rows.status)
        if not batch.writes:
            return TaskResult(rows, counts.sparse(), statuses)
        directory = RunDirectory(self.work.run)
        directory.write_batch(rows.table(), score_table([counts.sparse()]))
        return TaskResult(EvaluationRows(0), statuses=statuses)

    def _companies(
        self, batch: Batch, key: tuple[str, ...]
    ) -> Iterator[tuple[CompanyBatch, Transactions | Exception]]:
        """The companies of a batch, each read when its turn comes."""
        if len(batch.companies) == 1:
            (entry,) = batch.companies
            self._about(key, entry)
            yield entry, self.companies.read(entry.company_id)
            return
        names = [entry.company_id for entry in batch.companies]
        self._about(key, batch.companies[0])
        found = self.work.dataset.read_many(names)
        for entry, (_, company) in zip(batch.companies, found, strict=True):
            yield entry, company
            self._about(key, entry)

    def _about(self, key: tuple[str, ...], entry: CompanyBatch) -> None:
        single = (entry.company_id, entry.windows[0][0], entry.models[0])
        self._running = (time.monotonic(), key, single)

    def _evaluate(
        self, batch: Batch, rows: EvaluationRows, counts: ScoreCounts, key: tuple[str, ...]
    ) -> None:
        def about(company_id: str, window: Window, model: str) -> None:
            self._running = (time.monotonic(), key, (company_id, window.cutoff_us, model))

        evaluate_companies(
            self._asked(batch, rows, key),
            self.work.rules,
            rows,
            counts,
            about=about,
            catch=BaseException,
            fitted=self.fitted,
            keep=self._keep if self.work.save_predictions else None,
        )

    def _asked(
        self, batch: Batch, rows: EvaluationRows, key: tuple[str, ...]
    ) -> Iterator[LoadedCompany]:
        """What is to be done of each company that can be read; the others become rows."""
        for entry, company in self._companies(batch, key):
            if isinstance(company, Exception):
                message = str(company).replace(str(self.work.dataset.store.root), "DATASET")
                note = text(re.sub(r"\s+", " ", message))
                for window in entry.windows:
                    for model in entry.models:
                        rows.add(
                            entry.company_id,
                            window,
                            model,
                            entry.attempt,
                            "error",
                            "data_unreadable",
                            note,
                        )
                continue
            windows = [
                (self.window(cutoff, horizon_end), laps)
                for cutoff, horizon_end, laps in entry.windows
            ]
            models = [self.work.models[name] for name in entry.models]
            yield LoadedCompany(company, windows, models, entry.group, entry.attempt)

    def window(self, cutoff: int, horizon_end: int) -> Window:
        """The window, made once."""
        if (cutoff, horizon_end) not in self._windows:
            window = Window(from_microseconds(cutoff), from_microseconds(horizon_end))
            self._windows[cutoff, horizon_end] = window
        return self._windows[cutoff, horizon_end]

    def _keep(self, answer: WindowPredictions) -> None:
        """Write the probabilities of one evaluation."""
        company_id, cutoff = answer.fold.company.company_id, answer.fold.window.cutoff
        frame = answer.frame().assign(company_id=company_id, cutoff=cutoff, model=answer.model)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        named = repr((company_id, cutoff.isoformat(), answer.model))
        digest = uuid.uuid5(uuid.NAMESPACE_OID, named).hex
        write_table(self.work.run, f"predictions/{digest}.parquet", table)

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

    def _say(self, key: tuple[str, ...], guilty: EvaluationKey | None, stuck: bool = False) -> None:
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
                address=worker.address,
                expected=True,
                close=False,
                stimulus_id=f"told-to-end-{time.time()}",
            )
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
    Whoever waited long compiles too: another process of this user may be stopped, or hang.
    """
    place = Path(tempfile.gettempdir()) / f"scale-eval-compiling-{os.getuid()}"
    patience = time.monotonic() + COMPILING_SECONDS
    with place.open("w") as file:
        while time.monotonic() < patience:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        warm_up()


def do_on_worker(run: str, key: tuple[str, ...], task: Task) -> TaskResult:
    """A task of a run, by what the run has left on this worker."""
    plugin = get_worker().plugins[_plugin_name(run)]
    assert isinstance(plugin, EvaluationPlugin)
    return plugin.do(key, task)


def _plugin_name(run: str) -> str:
    return f"scale-eval-{run}"
