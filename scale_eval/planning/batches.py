"""Divide the evaluations of a run into batches, each of which is a task.

A task holds one evaluation, those of one company, or those of many companies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from scale_eval.datasets.file_layout import SHARED_FROM
from scale_eval.datasets.instants import from_microseconds
from scale_eval.planning.calendar import PlannedWindow
from scale_eval.planning.cost_model import PER_COMPANY, Costs
from scale_eval.planning.plan import Plan

TASK_SECONDS = 1.2e-3
"""Seconds of overhead that Dask has for each task."""

LARGEST_OVERHEAD = 0.1
"""Largest share of a run's time that the overhead of small tasks may take."""

FEW_EVALUATIONS, FEW_COMPANIES = 2_000, 500
"""Numbers of tasks up to which their overhead is a few seconds, which the view on the dashboard is
worth. It must be nearly free, since a batch reads and evaluates many companies in one call."""

BATCH_SECONDS = 5.0
BATCH_EVALUATIONS = 48_000
"""Limits of a batch: a worker that dies loses no more than one, and an evaluation takes about 1 kB
of memory."""

FEW_BATCHES = 32
SHORTEST_BATCH = 0.1
"""The number of batches of a short run, approximately, so that every worker gets some; and the
fewest seconds of one, many times Dask's overhead."""

GIANT_SECONDS = 2 * BATCH_SECONDS
"""Seconds above which a company is divided by cutoff."""


class EvaluationKey(NamedTuple):
    """The key of an evaluation: its company, cutoff (microseconds since 1970 UTC) and model."""

    company_id: str
    cutoff: int
    model: str

    def __str__(self) -> str:
        return f"{self.company_id} {from_microseconds(self.cutoff):%Y-%m-%d} {self.model}"


class CompanyBatch(NamedTuple):
    """The evaluations of one company in a batch: each window by each model.

    Attributes
    ----------
    company_id : str
    group : int
        The group of companies in which its scores are kept.
    windows : tuple of PlannedWindow
    models : tuple of str
    attempt : int
        The number of this attempt, from 1.
    """

    company_id: str
    group: int
    windows: tuple[PlannedWindow, ...]
    models: tuple[str, ...]
    attempt: int

    @property
    def n_evaluations(self) -> int:
        """Return the number of evaluations."""
        return len(self.windows) * len(self.models)

    @property
    def first(self) -> EvaluationKey:
        """Return the evaluation that is done first."""
        return EvaluationKey(self.company_id, self.windows[0].cutoff, self.models[0])

    def single_evaluations(self) -> list[CompanyBatch]:
        """Return its evaluations, each as a `CompanyBatch` of its own."""
        return [
            self._replace(windows=(window,), models=(model,))
            for window in self.windows
            for model in self.models
        ]


@dataclass(frozen=True)
class Batch:
    """A batch holds the evaluations that one task does.

    It is not a tuple, because Dask searches tuples among a task's arguments for other tasks.

    Attributes
    ----------
    companies : tuple of CompanyBatch
        In the order in which their rows lie on disk.
    writes : bool
        Whether the worker writes the results itself, rather than sending them back.
    cost : float
        Estimated seconds.
    """

    companies: tuple[CompanyBatch, ...]
    writes: bool
    cost: float

    @property
    def n_evaluations(self) -> int:
        """Return the number of evaluations."""
        return sum(company.n_evaluations for company in self.companies)

    @property
    def first(self) -> EvaluationKey:
        """Return the evaluation that is done first."""
        return self.companies[0].first

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle plain tuples: named ones take ten times as long."""
        plain = [
            (company_id, group, [tuple(window) for window in windows], models, attempt)
            for company_id, group, windows, models, attempt in self.companies
        ]
        return _unpickled, (plain, self.writes, self.cost)

    def split(self, parts: int) -> list[Batch]:
        """Split the batch by company, or a single company by evaluation.

        A batch of one evaluation stays whole.
        """
        companies: Sequence[CompanyBatch] = self.companies
        if len(companies) == 1:
            companies = companies[0].single_evaluations()
        n = min(parts, len(companies))
        bounds = np.linspace(0, len(companies), n + 1).astype(int).tolist()
        return [
            Batch(tuple(companies[low:high]), self.writes, self.cost / n)
            for low, high in pairwise(bounds)
        ]

    def without(self, evaluation: EvaluationKey) -> list[Batch]:
        """Return the batch without one evaluation, as up to two batches.

        One holds the other companies, the other holds the rest of this company.
        """
        company_id = evaluation.company_id
        others = [company for company in self.companies if company.company_id != company_id]
        rest = [
            single
            for company in self.companies
            if company.company_id == company_id
            for single in company.single_evaluations()
            if single.first != evaluation
        ]
        return [Batch(tuple(kept), self.writes, self.cost) for kept in (others, rest) if kept]


def _unpickled(companies: list[tuple[Any, ...]], writes: bool, cost: float) -> Batch:
    return Batch(
        tuple(
            [
                CompanyBatch(
                    company_id, group, tuple(map(PlannedWindow._make, windows)), models, attempt
                )
                for company_id, group, windows, models, attempt in companies
            ]
        ),
        writes,
        cost,
    )


def choose_granularity(
    granularity: str, n_evaluations: int, n_companies: int, seconds: float
) -> str:
    """Choose what a task holds, where `granularity` is "auto".

    One evaluation if that costs little, because the dashboard then shows what is evaluated; else
    one company; else a batch. From `SHARED_FROM` companies on, many share a file and are read
    together, so that a task is always a batch.
    """
    if granularity != "auto":
        return granularity
    if n_companies >= SHARED_FROM:
        return "batch"
    for name, n_tasks, few in (
        ("evaluation", n_evaluations, FEW_EVALUATIONS),
        ("company", n_companies, FEW_COMPANIES),
    ):
        if n_tasks <= few or n_tasks * TASK_SECONDS <= LARGEST_OVERHEAD * seconds:
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
    """Yield the batches of a run, longest first.

    Batches of single evaluations or companies are made lazily.

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
        companies = _divide_giants(_company_batches(plan, todo, attempts, costs, order))
        batches = _fill(companies, longest, _lie_by_group(plan.group[order]))
        yield from sorted(batches, key=lambda batch: -batch.cost)  # stable: else in disk order
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
    for company, cost in _company_batches(plan, todo, attempts, costs, longest_first):
        if granularity == "company":
            yield Batch((company,), False, cost)
            continue
        for single in company.single_evaluations():
            yield Batch((single,), False, cost / company.n_evaluations)


def _company_batches(
    plan: Plan, todo: np.ndarray, attempts: np.ndarray, costs: Costs, order: np.ndarray
) -> Iterator[tuple[CompanyBatch, float]]:
    """Yield companies with something to do, and the seconds that it takes.

    A company is yielded once for each combination of attempt and models to do; in a run that was
    not resumed that is once.
    """
    windows, models = plan.windows, plan.models
    seconds = plan.costs(costs)
    starts = np.searchsorted(windows.company, np.arange(len(plan.company_ids) + 1)).tolist()
    planned = windows.each()
    any_todo = np.asarray(todo.any(axis=1)).tolist()
    all_alike = _all_alike(todo, attempts)
    every = tuple(np.array(models)[np.flatnonzero(todo.any(axis=0))].tolist())
    group = plan.group.tolist()
    for company in order.tolist():
        mine = [w for w in range(starts[company], starts[company + 1]) if any_todo[w]]
        if not mine:
            continue
        kinds: dict[tuple[tuple[str, ...], int], list[int]] = {(every, 1): mine}
        if not all_alike:
            kinds = _kinds(mine, models, todo, attempts)
        cost = float(seconds[mine].sum()) + PER_COMPANY
        for (names, attempt), rows in kinds.items():
            share = 1.0 if all_alike else len(names) * len(rows) / (len(models) * len(mine))
            yield (
                CompanyBatch(
                    plan.company_ids[company],
                    group[company],
                    tuple([planned[w] for w in rows]),
                    names,
                    attempt,
                ),
                cost * share,
            )


def _kinds(
    mine: Sequence[int], models: Sequence[str], todo: np.ndarray, attempts: np.ndarray
) -> dict[tuple[tuple[str, ...], int], list[int]]:
    """Group a company's windows by the models that are missing and the number of the attempt."""
    kinds: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for w in mine:
        for attempt in np.unique(attempts[w, todo[w]]).tolist():
            chosen = todo[w, :] & np.equal(attempts[w, :], attempt)
            names = tuple(models[m] for m in np.flatnonzero(chosen).tolist())
            kinds.setdefault((names, attempt + 1), []).append(w)
    return kinds


def _all_alike(todo: np.ndarray, attempts: np.ndarray) -> bool:
    """Return whether all windows with something to do lack the same models, never yet tried."""
    busy = todo[todo.any(axis=1)]
    return bool(len(busy) == 0 or ((busy == busy[0]).all() and not attempts[todo].any()))


def _divide_giants(
    companies: Iterator[tuple[CompanyBatch, float]],
) -> Iterator[tuple[CompanyBatch, float]]:
    """Divide giant companies by cutoff."""
    for company, cost in companies:
        n = len(company.windows) if cost > GIANT_SECONDS else 1
        if n == 1:
            yield company, cost
            continue
        for window in company.windows:
            yield company._replace(windows=(window,)), cost / n


def _lie_by_group(group: np.ndarray) -> bool:
    """Return whether companies with these groups lie on disk group by group, many to a group."""
    n_runs = int(np.count_nonzero(np.diff(group))) + 1
    return n_runs <= 2 * len(np.unique(group)) and 2 * n_runs < len(group)


def _fill(
    companies: Iterator[tuple[CompanyBatch, float]], longest: float, by_group: bool
) -> Iterator[Batch]:
    """Fill batches with neighbours, to about `longest` seconds each.

    With `by_group` a batch holds companies of one group only, whose scores are counted together.
    """
    for _, members in groupby(companies, key=lambda item: by_group and item[0].group):
        batch: list[CompanyBatch] = []
        cost, n = 0.0, 0
        for company, seconds in members:
            full = cost + seconds > longest or n + company.n_evaluations > BATCH_EVALUATIONS
            if batch and full:
                yield Batch(tuple(batch), True, cost)
                batch, cost, n = [], 0.0, 0
            batch.append(company)
            cost, n = cost + seconds, n + company.n_evaluations
        if batch:
            yield Batch(tuple(batch), True, cost)
