"""A run, from a dataset and models to tables: begin or go on, evaluate, reduce."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.cluster import dask_client, require_cluster, require_main_guard
from scale_eval.datasets import Dataset, open_dataset
from scale_eval.datasets.manifest import TIMESTAMP
from scale_eval.evaluation import Evaluation
from scale_eval.execution import Work, execute
from scale_eval.metrics import METRICS, Metric, ScoreHistogram
from scale_eval.models import BASELINES, NamedModel, resolve
from scale_eval.opened import Run
from scale_eval.plan import Plan, make_plan
from scale_eval.progress import Progress
from scale_eval.results.reduce import CONVENTIONS, reduce_run
from scale_eval.results.run_directory import (
    PLAN,
    RunDirectory,
    merge_scores,
    open_run_directory,
)
from scale_eval.results.schemas import FAILED, KEY, SCORES_SCHEMA
from scale_eval.settings import Settings, recorded_metrics
from scale_eval.storage import open_store
from scale_eval.windows import as_utc

if TYPE_CHECKING:
    from distributed import Client

DEFAULT_MODELS = ("base_rate", "recency", "rfm_logistic", "bgnbd")
GRANULARITIES = ("auto", "evaluation")
"""What a Dask task may be."""

BATCH_ROWS = 1_000
BATCH_SECONDS = 2.0
"""How much is held in memory before it is written: what a kill -9 loses at most."""


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
        What a Dask task is: ``"evaluation"``, which is also what ``"auto"`` takes.
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
        directory.store.write_table(PLAN, plan.table())
        _write_refused(directory, plan)
        rows = directory.attempts()
        todo = _todo(plan, rows, set(chosen), retry=retry)
        directory.record(n_evaluations=len(plan.evaluations), n_missing=_missing(plan, rows))
        if len(todo):
            keep = directory.store if save_predictions else None
            work = Work(dataset, chosen, settings.rules, keep)
            tasks = [(c, t.isoformat(), m) for c, t, m in todo[KEY].itertuples(index=False)]
            n_planned = len(plan.planned)
            bar = Progress(n_planned, already=n_planned - len(tasks), shown=progress)
            batches = _Batches(directory, plan, rows)
            with (
                bar,
                _given_or_started(client, cluster, workers) as dask,
                batches,
                contextlib.closing(execute(dask, tasks, work, timeout=seconds)) as done,
            ):
                if not dask.nthreads():
                    bar.say("the cluster has no workers yet; waiting for one to join")
                for evaluation in done:
                    if evaluation is not None:
                        batches.add(evaluation)
                        bar.update(evaluation.row["status"])
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
        if directory.attempts().empty:
            raise ValueError(
                f"{directory.store.root}: no evaluation is done yet, nothing to reduce"
            )
        plan = Plan.from_table(directory.store.read_table(PLAN))
        own = recorded_metrics(directory.document["asked"])
        _finish(directory, plan, own, checked_margins(margins or {}, own), time.monotonic())
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
    """Evaluations on their way to the disk: gathered for a moment, then written together.

    On leaving the block what is left is written too, whatever ended it.
    """

    def __init__(self, directory: RunDirectory, plan: Plan, rows: pd.DataFrame) -> None:
        self._directory = directory
        self._groups = plan.company_groups
        facts = plan.planned.set_index(KEY)
        self._overlaps = facts["overlaps"].to_dict()
        self._attempts = rows.groupby(KEY, dropna=False)["attempts"].max().to_dict()
        self._evaluations: list[Evaluation] = []
        self._since = time.monotonic()

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError):  # a disk that is full stays full
            self.flush()

    def add(self, evaluation: Evaluation) -> None:
        key = tuple(evaluation.row[column] for column in KEY)
        evaluation.row["overlaps"] = self._overlaps[key]
        evaluation.row["attempts"] = self._attempts.get(key, 0) + 1
        evaluation.row["evaluated_at"] = _now()
        self._evaluations.append(evaluation)

    def flush_if_due(self) -> None:
        waited = time.monotonic() - self._since
        if len(self._evaluations) >= BATCH_ROWS or waited > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._evaluations:
            histograms = [
                self._scores(evaluation.row, evaluation.histogram)
                for evaluation in self._evaluations
                if evaluation.histogram is not None
            ]
            rows = [evaluation.row for evaluation in self._evaluations]
            self._directory.write_batch(rows, merge_scores(histograms))
        self._evaluations = []
        self._since = time.monotonic()

    def _scores(self, row: dict[str, Any], histogram: ScoreHistogram) -> pa.Table:
        n_bins = len(histogram.bin)
        group = self._groups[row["company_id"]]
        columns = {
            "model": pa.repeat(row["model"], n_bins),
            "cutoff": pa.repeat(pa.scalar(row["cutoff"], TIMESTAMP), n_bins),
            "company_group": pa.repeat(pa.scalar(group, pa.int32()), n_bins),
            "bin": histogram.bin,
            "n_positive": histogram.n_positive,
            "n_negative": histogram.n_negative,
            "spend_minor": histogram.spend_minor,
        }
        return pa.table(columns).cast(SCORES_SCHEMA)


def _write_refused(directory: RunDirectory, plan: Plan) -> None:
    """Write the rows of windows that the plan refuses, where they are not there yet."""
    refused = plan.refused
    known = pd.MultiIndex.from_frame(directory.attempts()[KEY])
    refused = refused[~pd.MultiIndex.from_frame(refused[KEY]).isin(known)]
    if len(refused):
        columns = [*KEY, "horizon_end", "status", "reason", "note", "overlaps"]
        table = pa.Table.from_pandas(refused[columns], preserve_index=False)
        now = {"attempts": 1, "evaluated_at": _now()}
        directory.write_batch([row | now for row in table.to_pylist()], None)


def _todo(plan: Plan, rows: pd.DataFrame, models: set[str], *, retry: bool) -> pd.DataFrame:
    """The planned evaluations of `models` without a row that stands, longest first."""
    latest = rows.sort_values("attempts").drop_duplicates(KEY, keep="last")
    standing = latest[~latest["status"].isin(FAILED)] if retry else latest
    todo = plan.planned
    todo = todo[todo["model"].isin(models)]
    done = pd.MultiIndex.from_frame(todo[KEY]).isin(pd.MultiIndex.from_frame(standing[KEY]))
    return todo[~done].sort_values(["cost", *KEY], ascending=[False, True, True, True])


def _missing(plan: Plan, rows: pd.DataFrame) -> int:
    """Evaluations of the plan, refused ones included, that have no row yet."""
    there = pd.MultiIndex.from_frame(rows[KEY])
    return int((~pd.MultiIndex.from_frame(plan.evaluations[KEY]).isin(there)).sum())


def _hash_of(plan: Plan) -> str:
    """SHA-256 of a plan's windows, whatever the models."""
    rows = plan.windows.to_csv(index=False)
    return hashlib.sha256(rows.encode()).hexdigest()


def _finish(
    directory: RunDirectory, plan: Plan, metrics: Sequence[Metric], margins: Mapping[str, float],
    began: float,
) -> None:  # fmt: skip
    reducing = time.monotonic()
    default = {metric.name: metric.margin for metric in (*METRICS.values(), *metrics)}
    margins = {**default, **directory.document.get("margins", {}), **margins}
    reduce_run(directory, metrics, plan.company_groups, margins)
    missing = _missing(plan, directory.attempts())
    ended = time.monotonic()
    directory.record(
        status="finished" if missing == 0 else "unfinished",
        n_missing=missing,
        conventions=CONVENTIONS,
        margins=margins,
        plan_hash=_hash_of(plan),
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
