"""A run, from a dataset and models to tables: begin or go on, evaluate, reduce."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scale_eval.cluster import dask_client, require_cluster, require_main_guard
from scale_eval.costs import Costs
from scale_eval.datasets import Dataset, open_dataset
from scale_eval.execution import Done, Work, execute
from scale_eval.fitting import Fitted, fits_of
from scale_eval.metrics import METRICS, Metric
from scale_eval.models import BASELINES, NamedModel, resolve
from scale_eval.opened import Run
from scale_eval.packs import GRANULARITIES, Pack, choose_granularity, packs_of
from scale_eval.plan import Plan, make_plan
from scale_eval.progress import Progress
from scale_eval.results.evaluation_rows import EvaluationRows
from scale_eval.results.reduce import CONVENTIONS, reduce_run
from scale_eval.results.run_directory import PLAN, RunDirectory, open_run_directory
from scale_eval.results.score_counts import score_table
from scale_eval.settings import Settings, recorded_metrics
from scale_eval.standing import COLUMNS, Standing, standing
from scale_eval.storage import open_store
from scale_eval.windows import REFUSALS, as_utc

if TYPE_CHECKING:
    from distributed import Client

DEFAULT_MODELS = ("base_rate", "recency", "rfm_logistic", "bgnbd")
BATCH_ROWS = 1_000
BATCH_SECONDS = 2.0
"""How much is held in memory before it is written: what a kill -9 loses at most."""

REFUSED_ROWS = 100_000
"""Rows of refused windows in a file."""


def evaluate(
    dataset: Dataset | str | os.PathLike[str],
    models: Sequence[Any] = DEFAULT_MODELS,
    *,
    out: str | os.PathLike[str],
    settings: Settings | None = None,
    client: Client | None = None,
    cluster: str = "local",
    workers: int | None = None,
    timeout: str | float = "1 hour",
    retry: bool = False,
    save_predictions: bool = False,
    progress: bool = True,
    granularity: str = "auto",
    margins: Mapping[str, float] | None = None,
    **choices: Any,
) -> Run:
    """Evaluate models on every company of a dataset, and write the run to `out`.

    On a directory that holds the same run it goes on where that was left: rows stand as they are,
    models that are not there yet are added, and the tables are reduced anew.

    Parameters
    ----------
    dataset : Dataset or path
    models : sequence
        Names (``"bgnbd"``, ``"package.module:Class"``, ``"predictions:FILE.parquet"``), classes or
        objects with `fit` and `predict_proba(history)`, or scikit-learn classifiers. `base_rate`
        and `recency` are always run besides.
    out : path
        The run's directory, seen by all workers if predictions are saved.
    settings : Settings, optional
        Windows, rules, metrics and seed; or give its parameters here, such as
        ``horizon="3 months", seed=1``.
    client : distributed.Client, optional
        A cluster that is there; it is left running.
    cluster, workers
        Otherwise: see `scale_eval.cluster.dask_client`.
    timeout : str or float
        Time (seconds, or ``"10 minutes"``) after which one evaluation is given up.
    retry : bool
        Try evaluations again that failed (error, timeout, killed).
    save_predictions : bool
        Keep each customer's probability under ``predictions/``.
    progress : bool
        Show a progress bar.
    granularity : str
        What a Dask task is: ``"evaluation"``, ``"company"``, or ``"pack"`` (many companies; what
        comes of them is written by the workers). ``"auto"`` takes the first that costs little.
    margins : dict, optional
        By metric, the difference that is worth changing models for; smaller ones are ties. Without
        an entry that of the run before, or `Metric.margin`. Evaluations do not depend on it.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        A setting, a model or a metric is not what it should be, or `out` holds something else
        (`RunDiffers`).
    FileNotFoundError
        There is no such dataset.
    StoreLocked
        Another process is writing this run.
    OSError
        `out` cannot be written: no room, no permission.
    RuntimeError
        A script calls this at its top level without the ``__main__`` guard that worker processes
        need.
    ClusterLost
        The cluster went away; what is done is on disk, and the same call goes on from there.
    """
    require_main_guard()
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity {granularity!r} is none of {', '.join(GRANULARITIES)}")
    if settings is not None and choices:
        raise ValueError(f"give settings or {', '.join(choices)}, not both")
    settings = settings or make_settings(**choices)
    dataset = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    chosen = named_models(models)
    seconds = seconds_of(timeout)
    margins = checked_margins(margins or {}, settings.rules.metrics)
    if client is None:
        require_cluster(cluster, workers)
    directory = RunDirectory(open_store(out))

    with directory.store.lock():
        began = time.monotonic()
        directory.begin(
            asked={"data": dataset.content_hash, **settings.document()},
            models={name: model.identity for name, model in chosen.items()},
            facts={
                "status": "running",
                "dataset": str(dataset.store.root),
                "versions": _versions(),
                "started_at": _now().isoformat(),
            },
        )
        directory.clean()
        plan = plan_run(dataset, list(directory.document["models"]), settings)
        costs = Costs()
        directory.store.write_tables(PLAN, plan.parts(costs))
        there = standing(plan, directory.evaluation_parts(COLUMNS))
        _write_refused(directory, plan, there)
        todo = there.todo(plan, chosen, retry=retry)
        directory.record(n_evaluations=plan.n_evaluations, n_missing=there.n_missing)
        if todo.any():
            known = {key: Fitted(*of) for key, of in directory.document.get("fitted", {}).items()}
            fits = fits_of(plan, todo, chosen, known, dataset, settings.seed)
            packs = _packs(plan, todo, there.attempts, costs, granularity, dataset)
            bar = Progress(plan.n_planned, already=plan.n_planned - int(todo.sum()), shown=progress)
            batches = _Batches(directory)
            work = Work(dataset, chosen, settings.rules, directory.store, save_predictions, known)
            with bar, _given_or_started(client, cluster, workers) as dask, batches:
                if not dask.nthreads():
                    bar.say("the cluster has no workers yet; waiting for one to join")
                if fits:
                    bar.say(f"fitting {len(fits)} models of all companies")
                    with contextlib.closing(execute(dask, fits, work, timeout=seconds)) as results:
                        for fit in results:
                            if fit is not None:
                                known |= fit.fitted
                                directory.record(fitted=known)
                with contextlib.closing(execute(dask, packs, work, timeout=seconds)) as results:
                    for done in results:
                        if done is not None:
                            batches.add(done)
                            bar.update(done.statuses)
                        batches.flush_if_due()
        _finish(directory, plan, settings.rules.metrics, margins, began)
    return Run(directory)


def reduce(place: str | os.PathLike[str], *, margins: Mapping[str, float] | None = None) -> Run:
    """Make the tables of a run anew from the evaluations that are there.

    `margins` are as for `evaluate`. Raises `FileNotFoundError` where there is no run, `ValueError`
    where nothing is done yet or a margin is none.
    """
    directory = open_run_directory(place)
    with directory.store.lock():
        directory.clean()
        own = recorded_metrics(directory.document["asked"])
        reduced_from = directory.store.names("evaluations/*.parquet")
        if not reduced_from:
            raise ValueError(
                f"{directory.store.root}: no evaluation is done yet, nothing to reduce"
            )
        _reduce(directory, own, checked_margins(margins or {}, own), time.monotonic())
    return Run(directory)


def plan_run(dataset: Dataset, models: Sequence[str], settings: Settings) -> Plan:
    """What a run of these settings would evaluate and refuse."""
    until = settings.observed_until
    return make_plan(
        dataset,
        models,
        settings.calendar,
        purchase_rule=settings.purchase_rule,
        observed_until=None if until is None else as_utc(until),
    )


def named_models(models: Sequence[Any]) -> dict[str, NamedModel]:
    """The models that a run of `models` evaluates, by name: these and the baselines.

    Raises `ValueError` for a model that there is not, and for two of one name.
    """
    asked = [models] if isinstance(models, str) else list(models)
    chosen: dict[str, NamedModel] = {}
    for given in [*BASELINES, *asked]:
        model = resolve(given)
        other = chosen.get(model.name)
        if other and (other.identity != model.identity or not isinstance(given, str | type)):
            raise ValueError(
                f"there are two models named {model.name!r}; give one of them another `name`"
            )
        chosen.setdefault(model.name, model)
    return chosen


def make_settings(**choices: Any) -> Settings:
    """`Settings` from keyword arguments; raises `ValueError` for one that there is not."""
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in choices:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"unknown setting {name!r}; {meant}")
    return Settings(**choices)


def checked_margins(
    margins: Mapping[str, float], own_metrics: Sequence[Metric]
) -> dict[str, float]:
    """Margins as numbers; raises `ValueError` for an unknown metric or what is no margin."""
    known = [*METRICS, *(metric.name for metric in own_metrics)]
    checked = {}
    for name, margin in margins.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"a margin for an unknown metric {name!r}; {meant}")
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin >= 0:
            raise ValueError(f"the margin of {name} is {margin!r}; write a number from 0 on")
        checked[name] = float(margin)
    return checked


def seconds_of(timeout: str | float) -> float:
    """A timeout in seconds; raises `ValueError` where it is not a positive time."""
    with contextlib.suppress(ValueError):
        text = str(timeout).strip()
        number = text.replace(".", "", 1).isdigit()
        seconds = pd.Timedelta(float(text), unit="s") if number else pd.Timedelta(text)
        if seconds > pd.Timedelta(0):
            return seconds.total_seconds()
    raise ValueError(f"timeout {timeout!r}: write seconds, or a time such as '10 minutes'")


class _Batches:
    """Evaluations that came back, on their way to the disk: gathered, then written together.

    On leaving the block what is left is written too, whatever ended it.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._waiting: list[Done] = []
        self._n = 0
        self._since = time.monotonic()

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError):  # a disk that is full stays full
            self.flush()

    def add(self, done: Done) -> None:
        if len(done.rows):
            self._waiting.append(done)
            self._n += len(done.rows)

    def flush_if_due(self) -> None:
        waited = time.monotonic() - self._since
        if self._n >= BATCH_ROWS or waited > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            rows = EvaluationRows.concatenated([done.rows for done in self._waiting])
            scores = score_table(done.counts for done in self._waiting)
            self._directory.write_batch(rows.table(), scores)
        self._waiting, self._n = [], 0
        self._since = time.monotonic()


def _packs(
    plan: Plan, todo: np.ndarray, attempts: np.ndarray, costs: Costs, granularity: str,
    dataset: Dataset,
) -> list[Pack]:  # fmt: skip
    """The tasks of a run, of the granularity that it asks for or that costs little."""
    seconds = float(plan.costs(costs)[todo.any(axis=1)].sum())
    n_companies = len(np.unique(plan.windows.company[todo.any(axis=1)]))
    chosen = choose_granularity(granularity, int(todo.sum()), n_companies, seconds)
    place = {company_id: i for i, company_id in enumerate(plan.company_ids)}
    order = np.array([place[name] for name in dataset.reading_order(plan.company_ids)])
    return packs_of(plan, todo, attempts, costs, chosen, order)


def _write_refused(directory: RunDirectory, plan: Plan, there: Standing) -> None:
    """Write the rows of windows that the plan refuses, where they are not there yet."""
    missing = (there.attempts == 0) & ~plan.is_planned[:, None]
    windows, planned = np.flatnonzero(missing.any(axis=1)), plan.windows
    for some in np.array_split(windows, max(1, len(windows) * len(plan.models) // REFUSED_ROWS)):
        rows = EvaluationRows(int(missing[some].sum()), directory.user_metrics)
        for w in some.tolist():
            window = (int(planned.begin[w]), int(planned.end[w]), False)
            company_id, note = plan.company_ids[planned.company[w]], plan.note(w)
            for m in np.flatnonzero(missing[w]).tolist():
                reason = REFUSALS[planned.refusal[w]]
                rows.add(company_id, window, plan.models[m], 1, "skipped", reason, note)
        if len(rows):
            there.attempts[some] = np.maximum(there.attempts[some], missing[some])
            directory.write_batch(rows.table(), score_table([]))


def _finish(
    directory: RunDirectory, plan: Plan, metrics: Sequence[Metric], margins: Mapping[str, float],
    began: float,
) -> None:  # fmt: skip
    missing = standing(plan, directory.evaluation_parts(COLUMNS)).n_missing
    directory.record(n_missing=missing, plan_hash=plan.digest())
    _reduce(directory, metrics, margins, began)


def _reduce(
    directory: RunDirectory, metrics: Sequence[Metric], margins: Mapping[str, float], began: float
) -> None:
    """Make the tables, and record what was done."""
    reducing = time.monotonic()
    default = {metric.name: metric.margin for metric in (*METRICS.values(), *metrics)}
    margins = {**default, **directory.document.get("margins", {}), **margins}
    reduce_run(directory, metrics, directory.company_groups(), margins)
    ended = time.monotonic()
    directory.record(
        status="finished" if directory.document["n_missing"] == 0 else "unfinished",
        conventions=CONVENTIONS,
        margins=margins,
        finished_at=_now().isoformat(),
        reduce_seconds=ended - reducing,
        session_seconds=ended - began,
    )


@contextlib.contextmanager
def _given_or_started(client: Client | None, cluster: str, workers: int | None) -> Iterator[Client]:
    if client is not None:
        yield client
    else:
        with dask_client(cluster, workers=workers) as started:
            yield started


def _versions() -> dict[str, str]:
    packages = ["scale_eval", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "distributed"]
    return {
        **{package: version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "instructions": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
    }


def _now() -> datetime:
    return datetime.now(UTC)
