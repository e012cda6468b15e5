"""Batches: evaluations dealt into tasks, one by one, by company, or many companies together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from scale_eval.datasets.file_layout import SHARED_FROM
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


class CompanyBatch(NamedTuple):
    """Evaluations of one company: each window by each model.

    Attributes
    ----------
    company_id : str
    group : int
        In which its scores are kept.
    windows : tuple of (int, int, bool)
        Begin and end in microseconds since 1970 UTC, and whether it overlaps with another.
    models : tuple of str
    attempt : int
        Which try it is.
    """

    company_id: str
    group: int
    windows: tuple[tuple[int, int, bool], ...]
    models: tuple[str, ...]
    attempt: int

    @property
    def n_evaluations(self) -> int:
        """How many."""
        return len(self.windows) * len(self.models)

    def singles(self) -> list[CompanyBatch]:
        """Its evaluations, each an entry of its own."""
        return [
            self._replace(windows=(window,), models=(model,))
            for window in self.windows
            for model in self.models
        ]


@dataclass(frozen=True)
class Batch:
    """What one task does.

    Not a tuple: Dask looks through tuples that are arguments of a task, for other tasks in them.

    Attributes
    ----------
    entries : tuple of CompanyBatch
        In the order in which their rows lie on disk.
    writes : bool
        Whether the worker writes what comes of it, rather than send it back.
    cost : float
        Estimated seconds.
    """

    entries: tuple[CompanyBatch, ...]
    writes: bool
    cost: float

    @property
    def n_evaluations(self) -> int:
        """How many."""
        return sum(entry.n_evaluations for entry in self.entries)

    def split(self, parts: int) -> list[Batch]:
        """Itself as smaller batches: by company, then by evaluation; one evaluation stays whole."""
        entries: Sequence[CompanyBatch] = self.entries
        if len(entries) == 1:
            entries = entries[0].singles()
        n = min(parts, len(entries))
        bounds = np.linspace(0, len(entries), n + 1).astype(int).tolist()
        return [
            Batch(tuple(entries[low:high]), self.writes, self.cost / n)
            for low, high in pairwise(bounds)
        ]

    def without(self, company_id: str, cutoff: int, model: str) -> list[Batch]:
        """Itself but for one evaluation: as two batches, for the rest of its entry stands apart."""
        others, rest = [], []
        for entry in self.entries:
            if entry.company_id != company_id:
                others.append(entry)
                continue
            rest += [
                single
                for single in entry.singles()
                if (single.windows[0][0], single.models[0]) != (cutoff, model)
            ]
        kept = [tuple(entries) for entries in (others, rest) if entries]
        return [Batch(entries, self.writes, self.cost) for entries in kept]


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
    if n_companies >= SHARED_FROM:
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
        entries = _dealt(_entries(plan, todo, attempts, costs, order))
        batches = _filled(entries, longest, _lie_by_group(plan.group[order]))
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
    for entry, cost in _entries(plan, todo, attempts, costs, longest_first):
        if granularity == "company":
            yield Batch((entry,), False, cost)
            continue
        for single in entry.singles():
            yield Batch((single,), False, cost / entry.n_evaluations)


def _entries(
    plan: Plan, todo: np.ndarray, attempts: np.ndarray, costs: Costs, order: np.ndarray
) -> Iterator[tuple[CompanyBatch, float]]:
    """Companies with something to do, and the seconds it takes.

    A company has one entry a number of attempts and set of models: one, but for resumed runs.
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


def _dealt(entries: Iterator[tuple[CompanyBatch, float]]) -> Iterator[tuple[CompanyBatch, float]]:
    """Entries, giant companies cutoff by cutoff."""
    for entry, cost in entries:
        if cost > GIANT_SECONDS and len(entry.windows) > 1:
            for window in entry.windows:
                yield entry._replace(windows=(window,)), cost / len(entry.windows)
        else:
            yield entry, cost


def _lie_by_group(group: np.ndarray) -> bool:
    """Whether companies on disk, of these groups, lie group by group, and many to a group."""
    n_runs = int(np.count_nonzero(np.diff(group))) + 1
    return n_runs <= 2 * len(np.unique(group)) and 2 * n_runs < len(group)


def _filled(
    entries: Iterator[tuple[CompanyBatch, float]], longest: float, by_group: bool
) -> Iterator[Batch]:
    """Batches of neighbours of about the same cost, `longest` seconds; of one group of
    companies, so that its scores are counted together, where groups hold many.
    """
    for _, members in groupby(entries, key=lambda item: by_group and item[0].group):
        held: list[CompanyBatch] = []
        cost, n = 0.0, 0
        for entry, seconds in members:
            full = cost + seconds > longest or n + entry.n_evaluations > BATCH_EVALUATIONS
            if held and full:
                yield Batch(tuple(held), True, cost)
                held, cost, n = [], 0.0, 0
            held.append(entry)
            cost, n = cost + seconds, n + entry.n_evaluations
        if held:
            yield Batch(tuple(held), True, cost)
