"""The companies that a benchmark evaluates, and the plan and batches of evaluating them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.machine import cores
from scale_eval.datasets import Dataset, open_dataset
from scale_eval.datasets.file_layout import CompanyToWrite, write_shared_file
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.manifest import commit, manifest_table
from scale_eval.datasets.synthetic.synthesize import synthesize
from scale_eval.execution.tasks import RunContext
from scale_eval.models import NamedModel
from scale_eval.models.built_in import DEFAULT_MODELS
from scale_eval.models.registry import named_models
from scale_eval.planning.batches import Batch, make_batches
from scale_eval.planning.cost_model import Costs
from scale_eval.planning.plan import Plan, plan_run
from scale_eval.planning.settings import Settings, make_settings
from scale_eval.storage import open_store

SEED = 1
LAST = 6
"""Half-yearly windows of each company."""


@contextlib.contextmanager
def dataset_of(place: str | None, companies: int) -> Iterator[Dataset]:
    """Yield the dataset at `place`, or synthetic companies that exist during the block."""
    if place is not None:
        yield open_dataset(place)
        return
    with tempfile.TemporaryDirectory() as directory:
        yield synthesize(
            Path(directory) / "dataset",
            companies=companies,
            seed=SEED,
            observed_whole=True,
            workers=cores(),
            progress=True,
        )


def with_all_windows(dataset: Dataset) -> list[str]:
    """Return the companies that have six windows, and two horizons before the first of them.

    Models train on a whole horizon there, so that an evaluation written by hand need not copy how
    scale_eval treats shorter ones.
    """
    plan = Job(dataset).plan
    company, begin = (a[plan.is_planned] for a in (plan.windows.company, plan.windows.cutoff))
    earliest = np.full(len(plan.company_ids), np.iinfo(np.int64).max)
    np.minimum.at(earliest, company, begin)
    n_windows = np.bincount(company, minlength=len(earliest))
    old = earliest - plan.observed.first > 370 * DAY
    return [plan.company_ids[i] for i in np.flatnonzero((n_windows == LAST) & old).tolist()]


def of_all_sizes(dataset: Dataset, n: int) -> list[str]:
    """Return companies whose mean size is about that of all.

    Companies by size are cut into n strata of equal number; from each comes the company whose
    number of customers is nearest to the stratum's mean.
    """
    size = dataset.manifest_table["n_customers"].to_numpy()
    chosen = []
    for stratum in np.array_split(np.argsort(size, kind="stable"), n):
        nearest = np.argmin(np.abs(size[stratum] - size[stratum].mean()))
        chosen.append(dataset.company_ids[stratum[nearest]])
    return sorted(chosen)


def copy_of(dataset: Dataset, company_ids: Sequence[str], into: Path) -> Dataset:
    """Copy companies to a dataset of their own, so that reading it passes over no others."""
    store = open_store(into)
    copies = (
        CompanyToWrite(dataset.read(company_id), dates_only=False, sources=["copied"])
        for company_id in sorted(company_ids, key=str.encode)
    )
    commit(store, manifest_table(write_shared_file(store, copies)))
    return open_dataset(into)


@dataclass(frozen=True)
class Job:
    """The companies, six half-years each, and the models of a benchmark.

    Attributes
    ----------
    dataset : Dataset
    models : tuple of str
    """

    dataset: Dataset
    models: tuple[str, ...] = DEFAULT_MODELS

    @cached_property
    def settings(self) -> Settings:
        return make_settings(last=LAST)

    @cached_property
    def named(self) -> dict[str, NamedModel]:
        return named_models(self.models)

    @cached_property
    def plan(self) -> Plan:
        return plan_run(self.dataset, list(self.named), self.settings)

    @property
    def n_evaluations(self) -> int:
        return self.plan.n_planned

    @property
    def n_companies(self) -> int:
        return len(self.dataset.company_ids)

    @property
    def mean_customers(self) -> float:
        return float(self.dataset.manifest_table["n_customers"].to_numpy().mean())

    def work(self, run: Path) -> RunContext:
        """Return what workers need to do the job, and to write it to `run`."""
        return RunContext(self.dataset, self.named, self.settings.rules, open_store(run))

    def batches(self, granularity: str, costs: Costs) -> list[Batch]:
        """Return the tasks, longest first."""
        plan, dataset = self.plan, self.dataset
        todo = np.repeat(plan.is_planned[:, None], len(plan.models), axis=1)
        place = {company_id: i for i, company_id in enumerate(plan.company_ids)}
        order = np.array([place[name] for name in dataset.reading_order(plan.company_ids)])
        attempts = np.zeros(todo.shape, np.int64)
        return list(make_batches(plan, todo, attempts, costs, granularity, order))
