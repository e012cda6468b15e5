"""Batches: evaluations dealt into tasks, one by one, by company, or many companies together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from scale_eval.datasets.file_layout import PACKED_FROM
from scale_eval.datasets.instants import from_microseconds
from scale_eval.planning.cost_model import PER_COMPANY, Costs
from scale_eval.planning.plan import Plan

GRANULARITIES = ("auto", "evaluation", "company", "batch")
"""What a task may be."""

TASK_SECONDS = 1.2e-3
"""What Dask takes for a task, whatever is in it."""

LITTLE = 0.1
"""The share of a run's time that tasks may take before more is put into each of them."""

FEW_EVALUATIONS, FEW_COMPANIES = 2_000, 500
"""So many tasks take some seconds at most, and are worth seeing on the dashboard. A company a task
is only worth it where that is nearly nothing: batches do it in one read and one call for many."""

BATCH_SECONDS = 5.0
BATCH_EVALUATIONS = 48_000
"""Of a batch: what a worker that dies loses at most, and what it holds in memory (1 kB each)."""

FEW_BATCHES = 32
SHORTEST_BATCH = 0.1
"""A short run is dealt into so many batches, for all workers to have some, of so many seconds or
more: many times what a task takes."""

GIANT_SECONDS = 2 * BATCH_SECONDS
"""A company that takes longer is dealt out by cutoff."""


class EvaluationKey(NamedTuple):
    """One evaluation is named by its company, cutoff (microseconds since 1970 UTC) and model."""

    company_id: str
    cutoff: int
    model: str

    def __str__(self) -> str:
        return f"{self.company_id} {from_microseconds(self.cutoff):%Y-%m-%d} {self.model}"


class CompanyBatch(NamedTuple):
    """Evaluations of one company: each window by each model.

    Attributes
    ----------
    company_id : str
    group : int
        The company group in which its scores are kept.
    windows : tuple of (int, int, bool)
        Cutoff and end of the horizon in microseconds since 1970 UTC, and whether the window
        overlaps with another.
    models : tuple of str
    attempt : int
        The number of this attempt, from 1.
    """

    company_id: str
    group: int
    windows: tuple[tuple[int, int, bool], ...]
    models: tuple[str, ...]
    attempt: int

    @property
    def n_evaluations(self) -> int:
        """Count the evaluations."""
        return len(self.windows) * len(self.models)

    @property
    def first(self) -> EvaluationKey:
        """Name the evaluation that is done first."""
        return EvaluationKey(self.company_id, self.windows[0][0], self.models[0])

    def single_evaluations(self) -> list[CompanyBatch]:
        """Split into batches of one evaluation."""
        return [
            self._replace(windows=(window,), models=(model,))
            for window in self.windows
            for model in self.models
        ]


@dataclass(frozen=True)
class Batch:
    """The evaluations of one Dask task.

    Not a tuple: Dask looks through tuples that are arguments of a task, for other tasks in them.

    Attributes
    ----------
    company_batches : tuple of CompanyBatch
        In the order in which their rows lie on disk.
    writes : bool
        Whether the worker writes the rows, rather than send them back.
    cost : float
        Estimated seconds.
    """

    company_batches: tuple[CompanyBatch, ...]
    writes: bool
    cost: float

    @property
    def n_evaluations(self) -> int:
        """Count the evaluations."""
        return sum(company_batch.n_evaluations for company_batch in self.company_batches)

    @property
    def first(self) -> EvaluationKey:
        """Name the evaluation that is done first."""
        return self.company_batches[0].first

    def split(self, parts: int) -> list[Batch]:
        """Split into smaller batches by company, then by evaluation; one evaluation stays whole."""
        pieces: Sequence[CompanyBatch] = self.company_batches
        if len(pieces) == 1:
            pieces = pieces[0].single_evaluations()
        n = min(parts, len(pieces))
        bounds = np.linspace(0, len(pieces), n + 1).astype(int).tolist()
        return [
            Batch(tuple(pieces[low:high]), self.writes, self.cost / n)
            for low, high in pairwise(bounds)
        ]

    def without(self, evaluation: EvaluationKey) -> list[Batch]:
        """Leave one evaluation out: a batch of the other companies, and one of its company."""
        others, rest = [], []
        for company_batch in self.company_batches:
            if company_batch.company_id != evaluation.company_id:
                others.append(company_batch)
                continue
            rest += [
                single
                for single in company_batch.single_evaluations()
                if single.first != evaluation
            ]
        kept = [tuple(company_batches) for company_batches in (others, rest) if company_batches]
        return [Batch(company_batches, self.writes, self.cost) for company_batches in kept]


def choose_granularity(
    granularity: str, n_evaluations: int, n_companies: int, seconds: float
) -> str:
    """What a task is to be, where that is left open ("auto").

    An evaluation wherever that costs little, for then the dashboard shows what is evaluated; else a
    company; else a batch. Many companies lie together in files, and each alone would be read with
    all its neighbours: they are always taken in batches.
    """
    if granularity != "auto":
        return granularity
    if n_companies >= PACKED_FROM:
        return "batch"
    for name, n_tasks, few in (
        ("evaluation", n_evaluations, FEW_EVALUATIONS),
        ("company", n_companies, FEW_COMPANIES),
    ):
        if n_tasks <= few or n_tasks * TASK_SECONDS <= LITTLE * seconds:
            return name
    return "batch"


def make_batches(
    plan: Plan,
    todo: np.ndarray,
    attempts: np.ndarray,
    costs: Costs,
    granularity: str,
    order: np.ndarray,
) -> Iterator[Batch]:
    """The tasks of a run, longest first; made as they are taken, but for those of many companies.

    Parameters
    ----------
    todo : ndarray of bool, shape (n_windows, n_models)
        Which evaluations of the plan to do.
    attempts : ndarray of int, shape (n_windows, n_models)
        How often each was tried.
    granularity : str
        ``"evaluation"``, ``"company"`` or ``"batch"``.
    order : ndarray of int, shape (n_companies,)
        Positions of the companies in the order in which their rows lie on disk.
    """
    if granularity == "batch":
        busy = todo.any(axis=1)
        n_companies = len(np.unique(plan.windows.company[busy]))
        total = float(plan.costs(costs)[busy].sum()) + n_companies * PER_COMPANY
        longest = min(max(total / FEW_BATCHES, SHORTEST_BATCH), BATCH_SECONDS)
        company_batches = _dealt(_company_batches(plan, todo, attempts, costs, order))
        batches = _filled(company_batches, longest, _lie_by_group(plan.group[order]))
        yield from sorted(batches, key=lambda batch: -batch.cost)  # stable: as they lie on disk
        return
    n_todo = todo.sum(axis=1)
    n_companies = len(plan.company_ids)
    seconds: np.ndarray = np.bincount(
        plan.windows.company, plan.costs(costs) * (n_todo > 0), minlength=n_companies
    )
    if granularity == "evaluation":
        n_evaluations = np.bincount(plan.windows.company, n_todo, minlength=n_companies)
        seconds = seconds / np.maximum(n_evaluations, 1)
    longest_first = order[np.argsort(-seconds[order], kind="stable")]
    for company_batch, cost in _company_batches(plan, todo, attempts, costs, longest_first):
        if granularity == "company":
            yield Batch((company_batch,), False, cost)
            continue
        for single in company_batch.single_evaluations():
            yield Batch((single,), False, cost / company_batch.n_evaluations)


def _company_batches(
    plan: Plan, todo: np.ndarray, attempts: np.ndarray, costs: Costs, order: np.ndarray
) -> Iterator[tuple[CompanyBatch, float]]:
    """Yield the evaluations to do by company, and the seconds they take.

    A company has one batch for each number of attempts and set of models: one, but for resumed
    runs.
    """
    windows, models = plan.windows, plan.models
    seconds = plan.costs(costs)
    starts = np.searchsorted(windows.company, np.arange(len(plan.company_ids) + 1)).tolist()
    cutoff, horizon_end, overlaps = (
        a.tolist() for a in (windows.cutoff, windows.horizon_end, windows.overlaps)
    )
    any_todo = np.asarray(todo.any(axis=1)).tolist()
    usual = _all_alike(todo, attempts)
    every = tuple(np.array(models)[np.flatnonzero(todo.any(axis=0))].tolist())
    group = plan.group.tolist()
    for company in order.tolist():
        mine = [w for w in range(starts[company], starts[company + 1]) if any_todo[w]]
        if not mine:
            continue
        cost = float(seconds[mine].sum()) + PER_COMPANY
        if usual:
            spans = tuple((cutoff[w], horizon_end[w], overlaps[w]) for w in mine)
            yield CompanyBatch(plan.company_ids[company], group[company], spans, every, 1), cost
            continue
        kinds: dict[tuple[tuple[str, ...], int], list[int]] = {}
        for w in mine:
            for attempt in np.unique(attempts[w, todo[w]]).tolist():
                chosen = todo[w, :] & np.equal(attempts[w, :], attempt)
                names = tuple(models[m] for m in np.flatnonzero(chosen).tolist())
                kinds.setdefault((names, attempt + 1), []).append(w)
        for (names, attempt), rows in kinds.items():
            spans = tuple((cutoff[w], horizon_end[w], overlaps[w]) for w in rows)
            share = len(names) * len(rows) / max(len(models) * len(mine), 1)
            yield (
                CompanyBatch(plan.company_ids[company], group[company], spans, names, attempt),
                cost * share,
            )


def _all_alike(todo: np.ndarray, attempts: np.ndarray) -> bool:
    """Whether each window that has something to do has the same, for the first time."""
    busy = todo[todo.any(axis=1)]
    return bool(len(busy) == 0 or ((busy == busy[0]).all() and not attempts[todo].any()))


def _dealt(
    company_batches: Iterator[tuple[CompanyBatch, float]],
) -> Iterator[tuple[CompanyBatch, float]]:
    """Split giant companies by cutoff."""
    for company_batch, cost in company_batches:
        if cost > GIANT_SECONDS and len(company_batch.windows) > 1:
            for window in company_batch.windows:
                yield (
                    company_batch._replace(windows=(window,)),
                    cost / len(company_batch.windows),
                )
        else:
            yield company_batch, cost


def _lie_by_group(group: np.ndarray) -> bool:
    """Whether companies on disk, of these groups, lie group by group, and many to a group."""
    n_runs = int(np.count_nonzero(np.diff(group))) + 1
    return n_runs <= 2 * len(np.unique(group)) and 2 * n_runs < len(group)


def _filled(
    company_batches: Iterator[tuple[CompanyBatch, float]], longest: float, by_group: bool
) -> Iterator[Batch]:
    """Batches of neighbours of about the same cost, `longest` seconds; of one group of
    companies, so that its scores are counted together, where groups hold many.
    """
    for _, members in groupby(company_batches, key=lambda item: by_group and item[0].group):
        held: list[CompanyBatch] = []
        cost, n = 0.0, 0
        for company_batch, seconds in members:
            full = cost + seconds > longest or n + company_batch.n_evaluations > BATCH_EVALUATIONS
            if held and full:
                yield Batch(tuple(held), True, cost)
                held, cost, n = [], 0.0, 0
            held.append(company_batch)
            cost, n = cost + seconds, n + company_batch.n_evaluations
        if held:
            yield Batch(tuple(held), True, cost)
