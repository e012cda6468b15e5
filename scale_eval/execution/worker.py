"""Do tasks on a worker, by a plugin that the run installs there."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import pickle
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import threadpoolctl
from distributed import Status, WorkerPlugin, get_worker

from scale_eval import children
from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution.batch_evaluator import BatchEvaluator
from scale_eval.execution.clusters.base import WorkerUnfit
from scale_eval.execution.compilation import compile_in_turn
from scale_eval.execution.departure import Departure
from scale_eval.execution.global_fits import fit_one
from scale_eval.execution.shipped_modules import withdraw
from scale_eval.execution.shipping import in_words, pack, this_process
from scale_eval.execution.tasks import RunContext, Task, TaskKey, TaskResult
from scale_eval.execution.versions import VersionsDiffer, own_versions, version_differences
from scale_eval.execution.watchdog import Watchdog
from scale_eval.planning.batches import Batch
from scale_eval.planning.global_fits import GlobalFit
from scale_eval.results.evaluation_parts import write_part
from scale_eval.scratch import is_own_folder

COMPILING = "compiling"
"""The key of the event of Dask by which a worker tells that it compiles."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a process evaluates. Recorded warnings and seeded global generators belong to the
whole process: with several threads, results would depend on what runs at the same time."""


@contextlib.contextmanager
def confined_to_one_thread() -> Iterator[None]:
    """Confine each library of this process to one thread in the ``with`` block.

    Leave it in the thread that entered it: until then no other thread can limit OpenBLAS, and the
    one that makes tables later would fight for the cores with the threads of its neighbours.
    """
    before = pa.cpu_count()
    with threadpoolctl.threadpool_limits(1):
        pa.set_cpu_count(1)
        try:
            yield
        finally:
            pa.set_cpu_count(before)


class EvaluationPlugin(WorkerPlugin):
    """The plugin by which a worker does the tasks of one run, for as long as the run lasts."""

    def __init__(self, run: str, context: RunContext, timeout: float) -> None:
        self.name = _plugin_name(run)
        self.parcel = pack(context)
        self.content_hash = context.dataset.content_hash
        self.timeout = timeout
        self.versions = own_versions()
        self.unfit: Exception | None = WorkerUnfit("it has not been prepared", "")
        self.coordinator = this_process()
        self.searches_here = bool({"", str(Path.cwd())} & {*sys.path})

    async def setup(self, worker: Any) -> None:
        """Prepare the worker; raise `VersionsDiffer` or `WorkerUnfit` where it cannot take part.

        When a worker joins later, an error here reaches nobody: its first task raises it again.
        """
        try:
            await self._prepare(worker)
        except VersionsDiffer as error:
            self.unfit = error
            raise
        except Exception as error:
            self.unfit = WorkerUnfit(in_words(error), worker.address)
            raise self.unfit from error
        self.unfit = None

    async def _prepare(self, worker: Any) -> None:
        """Unpack the run's context, confine each library to one thread, and compile."""
        in_coordinator = this_process() == self.coordinator
        if not in_coordinator:
            sys.path[:] = _safe_path(sys.path, searches_here=self.searches_here)
        children.restore_safe_path()
        self._require_same_versions(worker)
        self.context = self.parcel.unpack(self.name)
        if self.context.dataset.content_hash != self.content_hash:
            raise RuntimeError(
                f"{self.context.dataset.store.root} holds other data there than the run was "
                "planned for"
            )
        parent = multiprocessing.parent_process()  # even if a fork server forked this one
        if parent and parent.pid == self.coordinator[1] and not in_coordinator:
            # Ctrl-C, or a terminal that goes, reaches local workers too: the coordinator ends them.
            with contextlib.suppress(ValueError):  # only the main thread can ignore a signal
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if not in_coordinator:
            children.end_with_parent()
        self._confined = confined_to_one_thread()
        self._confined.__enter__()
        self._worker = worker
        self._watchdog = Watchdog(worker, self.name, self.timeout, in_coordinator=in_coordinator)
        self._departure = Departure(worker, self.name, self._watchdog)
        self._evaluator = BatchEvaluator(self.context, self._watchdog)
        if not in_coordinator:
            self._departure.handle_sigterm()
        self._watchdog.start()
        # In a thread, so that the worker answers meanwhile, and can tell that it compiles.
        await asyncio.to_thread(
            compile_in_turn, lambda: worker.log_event(self.name, {COMPILING: True})
        )

    async def teardown(self, worker: Any) -> None:
        """Leave the worker as it was; if it is closing, make sure that no task is blamed."""
        withdraw(self.name)
        if self.unfit is not None:
            return
        self._watchdog.stop()
        if worker.status == Status.closing:
            await self._departure.leave()
        else:
            self._departure.restore_handler()
        self._confined.__exit__(None, None, None)

    def do(self, key: TaskKey, task: Task) -> TaskResult:
        """Do a task, and return or write its result."""
        if self.unfit is not None:
            raise self.unfit
        return self.evaluate(key, task) if isinstance(task, Batch) else self.fit(key, task)

    def fit(self, key: TaskKey, fit: GlobalFit) -> TaskResult:
        """Fit a model of all companies."""
        context = self.context
        with self._watched():
            self._watchdog.begin(key, *fit.first)
            model = context.models[fit.model]
            fitted = fit_one(fit, model, context.dataset, context.rules, context.run)
        return TaskResult(EvaluationRows(0), fitted={fit.key: fitted})

    def evaluate(self, key: TaskKey, batch: Batch) -> TaskResult:
        """Do the evaluations of a batch."""
        with self._watched():
            rows, counts = self._evaluator.evaluate(key, batch)
        rows.worker = [self._worker.address] * len(rows)
        statuses = Counter(rows.status)
        if not batch.writes:
            return TaskResult(rows, counts.sparse(), statuses)
        write_part(self.context.run, rows.table(), score_table([counts.sparse()]))
        return TaskResult(EvaluationRows(0), statuses=statuses)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Do one task at a time, and stop the clock of its last evaluation."""
        with _ONE_AT_A_TIME:
            try:
                yield
            finally:
                self._watchdog.end()

    def _require_same_versions(self, worker: Any) -> None:
        """Raise `VersionsDiffer` where the worker has other packages than the coordinator."""
        differences = version_differences(self.versions, own_versions())
        if differences:
            raise VersionsDiffer(
                [f"{difference} on worker {worker.address}" for difference in differences]
            )


def do_on_worker(run: str, key: TaskKey, pickled: bytes) -> TaskResult:
    """Do a pickled task of a run by the plugin that the run has installed on this worker."""
    plugin = get_worker().plugins[_plugin_name(run)]
    assert isinstance(plugin, EvaluationPlugin)
    task: Task = pickle.loads(pickled)
    return plugin.do(key, task)


def _safe_path(path: Sequence[str], *, searches_here: bool) -> list[str]:
    """Return a path of imports on which installed packages come before all else.

    The current folder comes last, for a user's own modules, if the coordinator searches its own. So
    do Dask's folders of temporary files, which it puts first, for files that were uploaded to the
    worker; those into which others may write are left out.
    """
    current = ("", str(Path.cwd()))
    temporary = [place for place in path if "dask-scratch-space" in place]
    own = [place for place in temporary if is_own_folder(Path(place))]
    installed = [place for place in path if place not in (*current, *temporary)]
    return [*installed, *own, *([""] if searches_here else [])]


def _plugin_name(run: str) -> str:
    return f"scale-eval-{run}"
