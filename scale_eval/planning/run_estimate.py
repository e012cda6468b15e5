"""Estimate how long a run takes on a number of workers, and how much memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.synchronize import Event

import numpy as np

from scale_eval.children import killed_on_error, out_of_reach
from scale_eval.datasets import Dataset
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.rules import Rules
from scale_eval.evaluation.windows import Window
from scale_eval.main_guard import require_main_guard
from scale_eval.models import NamedModel
from scale_eval.models.warm_up import compilation_reported, warm_up
from scale_eval.planning.batches import TASK_SECONDS, choose_granularity, make_batches
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.pilot import companies_of_all_sizes
from scale_eval.planning.plan import Plan, disk_order
from scale_eval.results.reduce import ON_WORKERS_FROM

TIMED_COMPANIES = 12
"""Number of companies that are evaluated to estimate what the others will cost."""

TRIAL_SECONDS = 60.0
"""Seconds after which the trial is given up."""

WORKER_GB = 0.35
"""Memory of a worker at work: Python, the libraries, a batch."""

ROW_BYTES = 28
"""Memory of a company for each row: codes, timestamps, values, and copies before a cutoff."""

REDUCER_GB = 0.8
"""Memory of a worker that makes tables of a large run, and `REDUCED_BYTES` for each evaluation: the
columns of all, and the sums of influence on one metric."""

REDUCED_BYTES = 280

COORDINATOR_GB = 0.8
"""Memory of the process that hands out the tasks: Python, the libraries, Dask, small tables."""

EVALUATION_BYTES = 100
"""Memory of that process for each evaluation: the plan, and what tables hold of it."""

REDUCTION_SECONDS = 12e-6
"""Seconds for each evaluation: tables with intervals."""

START_SECONDS = 5.0
"""Seconds that a cluster takes to start."""


@dataclass(frozen=True)
class RunEstimate:
    """An estimate of what a run takes.

    Attributes
    ----------
    granularity : str
    n_tasks : int
    core_hours : float
        Of all workers together.
    wall_seconds : float
        From the first task to the tables.
    longest_seconds : float
        Of the longest task; the run cannot be shorter, on any number of workers.
    read_gb : float
        Bytes on disk.
    worker_gb : float
        Memory of a worker, the largest company included.
    coordinator_gb : float
        Memory of the process that hands out the tasks and makes the tables; the commands that show
        a finished run need less, but for `fingerprint`, which needs up to as much.
    timed : bool
        Whether the models were timed; if not, built-in guesses are used.
    """

    granularity: str
    n_tasks: int
    core_hours: float
    wall_seconds: float
    longest_seconds: float
    read_gb: float
    worker_gb: float
    coordinator_gb: float
    timed: bool


def estimate(
    plan: Plan, dataset: Dataset, costs: Costs, workers: int, granularity: str = "auto"
) -> RunEstimate:
    """Estimate what it takes to evaluate a `plan` on this number of workers."""
    todo = np.repeat(plan.is_planned[:, None], len(plan.models), axis=1)
    seconds = float(plan.costs(costs)[plan.is_planned].sum())
    companies = np.unique(plan.windows.company[plan.is_planned])
    chosen = choose_granularity(granularity, plan.n_planned, len(companies), seconds)
    order = disk_order(plan, dataset)
    batches = make_batches(plan, todo, np.zeros(todo.shape, np.int32), costs, chosen, order)
    each = [batch.cost for batch in batches]
    longest = max(each, default=0.0)
    tasks = len(each) * TASK_SECONDS
    wall = max((seconds + tasks) / workers, longest, tasks) + START_SECONDS
    largest = float(plan.n_rows[companies].max(initial=0)) * ROW_BYTES
    reducer = 0.0
    if plan.n_evaluations >= ON_WORKERS_FROM:
        reducer = REDUCER_GB + plan.n_evaluations * REDUCED_BYTES / 1e9
    return RunEstimate(
        granularity=chosen,
        n_tasks=len(each),
        core_hours=(seconds + tasks) / 3600,
        wall_seconds=wall + plan.n_evaluations * REDUCTION_SECONDS,
        longest_seconds=longest,
        read_gb=dataset.n_bytes(plan.company_ids) / 1e9,
        worker_gb=max(WORKER_GB + largest / 1e9, reducer),
        coordinator_gb=COORDINATOR_GB + plan.n_evaluations * EVALUATION_BYTES / 1e9,
        timed=set(plan.models) <= set(costs.models),
    )


def _ignore() -> None:
    """Do nothing."""


def time_models(
    plan: Plan,
    dataset: Dataset,
    models: dict[str, NamedModel],
    rules: Rules,
    on_compiling: Callable[[], object] = _ignore,
) -> Costs:
    """Time models on some companies, in a separate process.

    `on_compiling` is called when that process begins to compile. Return no costs if a model ended
    the process or took too long. Models of all companies are not timed, since most of their cost is
    in fitting them. Raises `RuntimeError` in a script that lacks the ``__main__`` guard.
    """
    require_main_guard()
    company_models = {n: model for n, model in models.items() if model.scope == "company"}
    context = multiprocessing.get_context("spawn")
    with out_of_reach():
        compiles = context.Event()
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_share, initargs=(compiles,))
    with contextlib.suppress(Exception), killed_on_error(pool) as process:
        with out_of_reach():
            future = process.submit(_time_models, plan, dataset, company_models, rules)
        deadline, was_told = time.monotonic() + TRIAL_SECONDS, False
        while not wait([future], timeout=0.2).done:
            if compiles.is_set() and not was_told:
                on_compiling()
                was_told = True
            if time.monotonic() > deadline:
                raise TimeoutError
        return future.result()
    return Costs()


_compiles: Event


def _share(compiles: Event) -> None:
    """Keep what the process that times models shares with the one that started it."""
    global _compiles
    _compiles = compiles


def _time_models(
    plan: Plan, dataset: Dataset, models: dict[str, NamedModel], rules: Rules
) -> Costs:
    with compilation_reported(_compiles.set):
        warm_up()
    windows = plan.windows
    companies = np.unique(windows.company[plan.is_planned])
    some_companies = companies_of_all_sizes(companies, plan.n_customers[companies], TIMED_COMPANIES)
    rows = EvaluationRows(0)
    for company in some_companies.tolist():
        _, read = next(dataset.read_many([plan.company_ids[company]]))
        if isinstance(read, Exception):  # damaged: the others are timed
            continue
        mine = np.flatnonzero((windows.company == company) & plan.is_planned)
        bounds = zip(windows.cutoff[mine].tolist(), windows.horizon_end[mine].tolist(), strict=True)
        label_windows = [
            (Window(from_microseconds(cutoff), from_microseconds(horizon_end)), False)
            for cutoff, horizon_end in bounds
        ]
        some = EvaluationRows(len(label_windows) * len(models), rules.metric_names)
        loaded = LoadedCompany(read, label_windows, list(models.values()))
        evaluate_companies([loaded], rules, some, ScoreCounts())
        rows = EvaluationRows.concatenated([some, rows])
    return Costs().updated(rows)
