"""What one call does of a run: plan, write what is refused, fit, evaluate what is missing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scale_eval.datasets import Dataset
from scale_eval.evaluation.histograms import score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution import RunContext, Task, TaskResult, execute
from scale_eval.execution.global_fits import GlobalFitResult, fits_of, recorded_fits
from scale_eval.execution.progress import Progress
from scale_eval.execution.versions import require_same_versions
from scale_eval.models import NamedModel
from scale_eval.planning.batches import choose_granularity, make_batches
from scale_eval.planning.calendar import REFUSALS
from scale_eval.planning.company_sample import Sample
from scale_eval.planning.completion import COLUMNS, Completion, completed
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import Plan, disk_order, plan_run
from scale_eval.planning.settings import Settings
from scale_eval.planning.shares import Share, share_of
from scale_eval.results.directory import PLAN, RunDirectory
from scale_eval.storage import write_tables

if TYPE_CHECKING:
    from distributed import Client

WRITE_ROWS = 1_000
WRITE_SECONDS = 2.0
"""How much is held in memory before it is written: what a kill -9 loses at most."""

REFUSED_ROWS = 100_000
"""Rows of refused windows in a file."""

PILOT_COMPANIES = 40
"""Companies that are evaluated first, to know what the others will cost."""

PILOT_FROM = 5_000
"""Evaluations from which that is worth while."""


@dataclass
class Session:
    """Work on a run whose directory is held.

    Attributes
    ----------
    models : dict of NamedModel
        That this call evaluates; the run may have others.
    client : callable
        Gives the cluster, which is started when it is first asked for.
    timeout : float
        Seconds.
    share : Share, optional
        What of the plan is done here, where others do the rest.
    """

    directory: RunDirectory
    dataset: Dataset
    settings: Settings
    models: dict[str, NamedModel]
    client: Callable[[], Client]
    timeout: float
    granularity: str = "auto"
    retry: bool = False
    save_predictions: bool = False
    progress: bool = True
    share: Share | None = None

    def evaluate(self, sample: Sample | None) -> Plan:
        """Do what is missing of all companies, or of a sample of them; returns the plan.

        Of a share, the part of the plan that it is.
        """
        directory = self.directory
        names = list(directory.document["models"])
        plan = plan_run(self.dataset, names, self.settings, sample)
        costs = Costs.of_document(directory.document.get("costs", {}))
        if self.share is None:
            write_tables(directory.store, PLAN, plan.parts(costs))
        else:
            plan = share_of(plan, self.dataset, self.share)
        there = completed(plan, directory.evaluation_parts(COLUMNS))
        if there.n_repeated and directory.remove_repeats():
            there = completed(plan, directory.evaluation_parts(COLUMNS))
        _write_refused(directory, plan, there)
        todo = there.todo(plan, self.models, retry=self.retry)
        directory.record(n_evaluations=plan.n_evaluations, n_missing=there.n_missing)
        if todo.any():
            self._do(plan, todo, there, costs)
        return plan

    def _do(self, plan: Plan, todo: np.ndarray, there: Completion, costs: Costs) -> None:
        directory = self.directory
        recorded = directory.document.get("fitted", {})
        fitted = recorded_fits(recorded, directory.store, retry=self.retry)
        work = RunContext(
            self.dataset,
            self.models,
            self.settings.rules,
            directory.store,
            self.save_predictions,
            fitted,
        )
        already = plan.n_planned - int(todo.sum())
        with (
            Progress(plan.n_planned, already=already, shown=self.progress) as bar,
            _ResultBuffer(directory) as batches,
        ):
            if not self.client().nthreads():
                bar.say("the cluster has no workers yet; waiting for one to join")
            require_same_versions(self.client())

            def execute_all(tasks: Iterable[Task]) -> list[TaskResult]:
                kept: list[TaskResult] = []
                results = execute(self.client(), tasks, work, timeout=self.timeout)
                with contextlib.closing(results):
                    for done in results:
                        if done is not None:
                            batches.add(done)
                            bar.update(done.statuses)
                            if done.fitted:
                                what_counts = directory.record_fits(done.fitted)
                                fitted.update(
                                    {k: GlobalFitResult(*of) for k, of in what_counts.items()}
                                )
                            if len(kept) < PILOT_COMPANIES:
                                kept.append(done)
                        batches.flush_if_due()
                return kept

            fits = fits_of(plan, todo, self.models, fitted, self.dataset, self.settings.seed)
            if fits:
                bar.say(f"fitting {len(fits)} models of all companies")
                execute_all(fits)
            disk = disk_order(plan, self.dataset)
            n_todo = int(todo.sum())
            unknown = set(self.models) - set(costs.models)
            if unknown and n_todo >= PILOT_FROM and self.granularity in ("auto", "batch"):
                pilot = _pilot(plan, todo)
                first = make_batches(plan, todo & pilot, there.attempts, costs, "company", disk)
                done = execute_all(first)
                costs = costs.updated(EvaluationRows.concatenated([d.rows for d in done]))
                directory.record(costs=costs.document())
                todo = todo & ~pilot
            n_companies = len(np.unique(plan.windows.company[todo.any(axis=1)]))
            if self.share is not None:  # they lie among those of the others
                n_companies = len(plan.company_ids)
            seconds = float(plan.costs(costs)[todo.any(axis=1)].sum())
            granularity = choose_granularity(self.granularity, n_todo, n_companies, seconds)
            execute_all(make_batches(plan, todo, there.attempts, costs, granularity, disk))


def _pilot(plan: Plan, todo: np.ndarray) -> np.ndarray:
    """The evaluations of some companies of all sizes; bool, of the shape of `todo`."""
    windows = np.flatnonzero(todo.any(axis=1))
    companies = np.unique(plan.windows.company[windows])
    by_size = companies[np.argsort(plan.n_customers[companies], kind="stable")]
    # Evenly by rank, and short of the giants, which would take long alone.
    ranks = np.linspace(0, 0.99 * (len(by_size) - 1), PILOT_COMPANIES).astype(int)
    chosen = np.isin(plan.windows.company, by_size[np.unique(ranks)])
    return np.repeat(chosen[:, None], todo.shape[1], axis=1)


class _ResultBuffer:
    """Evaluations that came back, on their way to the disk: gathered, then written together.

    On leaving the block what is left is written too, whatever ended it.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._waiting: list[TaskResult] = []
        self._n = 0
        self._since = time.monotonic()

    def __enter__(self) -> _ResultBuffer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError):  # a disk that is full stays full
            self.flush()

    def add(self, done: TaskResult) -> None:
        if len(done.rows):
            self._waiting.append(done)
            self._n += len(done.rows)

    def flush_if_due(self) -> None:
        waited = time.monotonic() - self._since
        if self._n >= WRITE_ROWS or waited > WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            rows = EvaluationRows.concatenated([done.rows for done in self._waiting])
            scores = score_table(done.counts for done in self._waiting)
            self._directory.write_batch(rows.table(), scores)
        self._waiting, self._n = [], 0
        self._since = time.monotonic()


def _write_refused(directory: RunDirectory, plan: Plan, there: Completion) -> None:
    """Write the rows of windows that the plan refuses, where they are not there yet."""
    missing = (there.attempts == 0) & ~plan.is_planned[:, None]
    windows, planned = np.flatnonzero(missing.any(axis=1)), plan.windows
    for some in np.array_split(windows, max(1, len(windows) * len(plan.models) // REFUSED_ROWS)):
        rows = EvaluationRows(int(missing[some].sum()), directory.user_metrics)
        for w in some.tolist():
            window = (int(planned.cutoff[w]), int(planned.horizon_end[w]), False)
            company_id, note = plan.company_ids[planned.company[w]], plan.note(w)
            for m in np.flatnonzero(missing[w]).tolist():
                reason = REFUSALS[planned.refusal[w]]
                rows.add(company_id, window, plan.models[m], 1, "skipped", reason, note)
        if len(rows):
            there.attempts[some] = np.maximum(there.attempts[some], missing[some])
            directory.write_batch(rows.table(), score_table([]))
