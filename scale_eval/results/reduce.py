"""Reduce evaluations and scores to the result tables.

The work is divided into tasks that do not depend on each other: the rows of one metric, in every
table that is made metric by metric, or one table of the whole run. A process that does several
tasks of a run does them with one `Reducer`, which reads once what they share. A task gives the same
bits in any process: its sums are taken in one order, because the last bits of a sum depend on how
it is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import threadpoolctl

from scale_eval.metrics import METRICS, Metric
from scale_eval.results.directory import RunDirectory
from scale_eval.results.memory import give_back, system_allocator
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import Parts, parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables import tables_of
from scale_eval.results.tables.base import MetricInputs, MetricTable, RunInputs, RunTable
from scale_eval.statistics.survey import Design
from scale_eval.storage import write_tables

ON_WORKERS_FROM = 50_000
"""Number of evaluations from which workers reduce a run: to start them takes two seconds."""


@dataclass(frozen=True)
class ReductionTask:
    """A task of a reduction: the rows of one metric, or one table of the whole run.

    Attributes
    ----------
    name : str
        Of the metric, or of the table.
    is_metric : bool
    """

    name: str
    is_metric: bool


Made = dict[str, list[pa.Table]]
"""What a task makes: parts of tables, by the name of the table."""

Do = Callable[[Sequence[ReductionTask]], Iterable[Made]]
"""A function that does tasks, and yields what they make in the order of the tasks."""


class Reducer:
    """A reducer makes parts of the tables of one run; what they share is read once and kept.

    Parameters
    ----------
    evaluations : Parts
    scores : callable
        Returns the table `scores`, part by part, in any order; called once at most.
    metrics : sequence of Metric
        The user's metrics; the built-in ones are always reduced.
    groups : dict
        The group of companies in which each company's scores were kept.
    margins : dict
        The smallest differences of practical interest that the user set, by metric.
    seed : int
        The seed of the resampling of companies.
    design : Design, optional
        How the companies were drawn, for a run of a sample of them; the table `sampled` is then
        made as well.
    """

    def __init__(
        self,
        evaluations: Parts,
        scores: Callable[[], Iterable[pa.Table]],
        metrics: Sequence[Metric],
        groups: Mapping[str, int],
        margins: Mapping[str, float],
        *,
        seed: int,
        design: Design | None = None,
    ) -> None:
        self._evaluations, self._scores = evaluations, scores
        self._metrics = {**METRICS, **{metric.name: metric for metric in metrics}}
        self._groups, self._margins, self._seed, self._design = groups, margins, seed, design
        self._tables = {table.name: table for table in tables_of(sample=design is not None)}

    @property
    def tasks(self) -> list[ReductionTask]:
        """Return the tasks that make all tables; metrics come first, in the order of the tables."""
        whole = [name for name, table in self._tables.items() if isinstance(table, RunTable)]
        return [
            *(ReductionTask(name, is_metric=True) for name in self._metrics),
            *(ReductionTask(name, is_metric=False) for name in whole),
        ]

    def do(self, tasks: Iterable[ReductionTask]) -> Iterator[Made]:
        """Do the tasks one after another."""
        return map(self.make, tasks)

    def make(self, task: ReductionTask) -> Made:
        """Do one task."""
        with system_allocator(), threadpoolctl.threadpool_limits(1):
            give_back()  # the memory of the last task, before as much again is read
            if task.is_metric:
                return self._of_metric(self._metrics[task.name])
            table = self._tables[task.name]
            assert isinstance(table, RunTable)
            return {table.name: [table.make(self._inputs)]}

    def tables(self, do: Do) -> Iterator[tuple[str, Iterable[pa.Table]]]:
        """Yield the name and the parts of each table; take them in this order, each to its end.

        The parts of the first table, by far the largest, are made while they are taken, so that it
        is never whole in memory.
        """
        tasks = self.tasks
        made = iter(do(tasks))
        first, *others = self._tables
        kept: dict[str, list[pa.Table]] = {name: [] for name in others}

        def parts_of_first() -> Iterator[pa.Table]:
            for task in tasks:
                if task.is_metric:
                    parts = next(made)
                    yield from parts.pop(first)
                    for name in parts:
                        kept[name] += parts[name]

        yield first, parts_of_first()
        for parts in made:
            kept |= parts
        for name in others:
            table = self._tables[name]
            yield name, kept[name] if isinstance(table, RunTable) else [table.joined(kept[name])]

    @cached_property
    def _inputs(self) -> RunInputs:
        panel = Panel.of(self._evaluations).holding([])  # computes what the tasks share

        def pooled_scores() -> PooledHistograms:
            return PooledHistograms(self._scores(), panel, self._groups)

        return RunInputs(
            panel, pooled_scores, self._groups, self._margins, self._seed, self._design
        )

    def _of_metric(self, metric: Metric) -> Made:
        panel = self._inputs.panel.holding(metric.columns)
        influence = panel.influences(metric)
        models = range(len(panel.models))
        each, together = [[m] for m in models], [models]
        return {
            table.name: [
                table.make(MetricInputs(self._inputs, panel, metric, influence, some))
                for some in (each if table.by_model else together)
            ]
            for table in reversed(self._tables.values())  # the first is the largest: it waits least
            if isinstance(table, MetricTable)
        }


def reducer_of(
    run: RunDirectory,
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    design: Design | None = None,
) -> Reducer:
    """Return the reducer of the run in a directory; see `Reducer` for the parameters."""
    return Reducer(
        run.evaluation_parts,
        run.score_parts,
        metrics,
        groups,
        margins,
        seed=int(run.document["settings"]["seed"]),
        design=design,
    )


def write_reduced(run: RunDirectory, reducer: Reducer, do: Do | None = None) -> None:
    """Make the tables of a run, by `do` or in this process, and write them into its directory."""
    for name, parts in reducer.tables(do or reducer.do):
        write_tables(run.store, f"{name}.parquet", parts, plain_texts=True)


def reduce_tables(
    evaluations: pa.Table,
    scores: pa.Table,
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
) -> dict[str, pa.Table]:
    """Return the result tables, by name, of evaluations and scores in memory.

    Parameters
    ----------
    evaluations, scores : Table
        With the schemas of `scale_eval.evaluation.schema`; in any order.
    metrics, groups, margins, seed
        As for `Reducer`.
    """
    reducer = Reducer(
        parts_of(evaluations), lambda: [scores], metrics, groups, margins or {}, seed=seed
    )
    schemas = {table.name: table.schema for table in tables_of(sample=False)}
    return {
        name: pa.concat_tables(list(parts)).cast(schemas[name])
        for name, parts in reducer.tables(reducer.do)
    }
