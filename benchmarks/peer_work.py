"""What each peer does: the evaluations of a task, by its own means; see `benchmarks.peers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from dask import compute, delayed  # type: ignore[attr-defined]
from distributed import Client

from benchmarks import analyst
from benchmarks.companies import LAST, Job
from benchmarks.machine import cores
from scale_eval.datasets.instants import from_microseconds
from scale_eval.evaluation.evaluate import (
    LoadedCompany,
    WindowPredictions,
    evaluate_companies,
)
from scale_eval.evaluation.histograms import ScoreCounts
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.windows import Window
from scale_eval.execution.coordinator import execute
from scale_eval.planning.cost_model import Costs

N_GROUPS = 64


@dataclass(frozen=True)
class Task:
    """The companies to evaluate, in the shape that each peer takes."""

    job: Job

    @property
    def n(self) -> int:
        """Return the number of evaluations."""
        return self.job.n_evaluations

    @cached_property
    def files(self) -> list[Path]:
        """Return the files of the transactions."""
        return sorted((Path(self.job.dataset.store.root) / "transactions").rglob("*.parquet"))

    @cached_property
    def begins(self) -> np.ndarray:
        """Return the starts of the windows in microseconds since 1970 UTC, (n_companies, LAST)."""
        return self.job.plan.windows.cutoff.reshape(-1, LAST)

    @cached_property
    def ends(self) -> np.ndarray:
        """Return the ends of the windows, as `begins`."""
        return self.job.plan.windows.horizon_end.reshape(-1, LAST)

    @cached_property
    def stamps(self) -> dict[str, list[tuple[pd.Timestamp, pd.Timestamp]]]:
        """Return the windows of each company as timestamps."""
        return {
            company_id: [
                (from_microseconds(begin), from_microseconds(end))
                for begin, end in zip(begins, ends, strict=True)
            ]
            for company_id, begins, ends in zip(
                self.job.plan.company_ids, self.begins.tolist(), self.ends.tolist(), strict=True
            )
        }

    @cached_property
    def windows(self) -> dict[str, list[tuple[Window, bool]]]:
        """Return the windows in scale_eval's form."""
        return {
            company_id: [(Window(begin, end), False) for begin, end in windows]
            for company_id, windows in self.stamps.items()
        }


def by_analyst(task: Task) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for company_id, company in _read(task).groupby("company_id"):
        rows += analyst.evaluate_company(
            company_id, company, task.stamps[company_id], task.job.models
        )
    return pd.DataFrame(rows)


def by_joblib(task: Task) -> pd.DataFrame:
    parallel = joblib.Parallel(n_jobs=cores(), backend="loky")
    parts = parallel(
        joblib.delayed(analyst.evaluate_company)(
            company_id, company, task.stamps[company_id], task.job.models
        )
        for company_id, company in _read(task).groupby("company_id")
    )
    return pd.DataFrame([row for part in parts for row in part])


def by_delayed(task: Task) -> pd.DataFrame:
    """Evaluate by a graph that reads each company once and has a node an evaluation."""
    nodes, keys = [], []
    for company_id, windows in task.stamps.items():
        company = delayed(_company)(task.files, company_id)
        for begin, end in windows:
            for model in task.job.models:
                nodes.append(delayed(analyst.evaluate)(company, begin, end, model))
                keys.append({"company_id": company_id, "cutoff": begin, "model": model})
    figures = compute(*nodes)
    return pd.DataFrame([key | found for key, found in zip(keys, figures, strict=True)])


def by_polars(task: Task) -> pd.DataFrame:
    from benchmarks import polars_query

    bounds = polars_query.bounds_of(task.job.plan.company_ids, task.begins, task.ends)
    return polars_query.evaluate(task.files, bounds, task.job.models).to_pandas()


def by_scale_eval(task: Task) -> pd.DataFrame:
    return in_one_process(task).table().to_pandas()


def in_one_process(
    task: Task, keep: Callable[[WindowPredictions], None] | None = None
) -> EvaluationRows:
    """Evaluate as a worker does, but for writing.

    Scores are counted by groups of companies, as in a run of many companies.
    """
    job = task.job
    rows, counts = EvaluationRows(job.n_evaluations), ScoreCounts()
    models = list(job.named.values())
    ids = job.dataset.reading_order(job.plan.company_ids)
    group = dict(zip(job.plan.company_ids, job.plan.group.tolist(), strict=True))

    def loaded() -> Iterator[LoadedCompany]:
        for company_id, company in job.dataset.read_many(ids):
            if isinstance(company, Exception):
                raise company
            windows = task.windows[company_id]
            yield LoadedCompany(company, windows, models, group[company_id] % N_GROUPS)

    evaluate_companies(loaded(), job.settings.rules, rows, counts, keep=keep)
    rows.table()
    counts.sparse()
    return rows


def in_batches(client: Client, task: Task, costs: Costs, run: Path) -> pd.DataFrame:
    """Evaluate on Dask in batches, as a run does, into `run`."""
    batches, work = task.job.batches("batch", costs), task.job.work(run)
    for _ in execute(client, batches, work, timeout=3600):
        pass
    return pd.read_parquet(run / "evaluations")


def _read(task: Task) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in task.files])


def _company(files: list[Path], company_id: str) -> analyst.Company:
    chosen = [("company_id", "==", company_id)]
    return analyst.Company(pd.concat([pd.read_parquet(f, filters=chosen) for f in files]))
