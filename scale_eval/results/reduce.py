"""Reduce evaluations and scores to the result tables.

Metrics are reduced one after another, since the sums of influence that the evaluations of one keep
are most of what a reduction holds in memory: the next metric is read, and begun, while threads
finish the one before. The tables of the whole run are made meanwhile, in a thread of their own. A
model's figures are one thread's, and sums are taken in one order, because the last bits of a sum
depend on how it is divided.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import threadpoolctl

from scale_eval.metrics import METRICS, Metric
from scale_eval.results.directory import RunDirectory
from scale_eval.results.memory import give_back, little_kept
from scale_eval.results.panel import Panel, Parts, parts_of
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.results.tables import MetricInputs, MetricTable, RunInputs, RunTable, tables_of
from scale_eval.statistics.survey import Design
from scale_eval.storage import write_tables

THREADS = min(os.cpu_count() or 1, 4)
"""The number of threads in which tables are made."""


def reduce_run(
    run: RunDirectory,
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    design: Design | None = None,
) -> None:
    """Make the tables of a run, and write them into it.

    Parameters
    ----------
    run : RunDirectory
    metrics : list of Metric
        The user's metrics; the built-in ones are always reduced.
    groups : dict
        The group of companies in which each company's scores were kept.
    margins : dict
        The smallest difference of practical interest, by metric.
    design : Design, optional
        How the companies were drawn, for a run of a sample of them: then the table `sampled` is
        made as well.
    """
    seed = int(run.document["settings"]["seed"])
    tables = reduce_parts(
        run.evaluation_parts, run.score_parts(), metrics, groups, margins, seed=seed, design=design
    )
    for name, parts in tables:
        write_tables(run.store, f"{name}.parquet", parts)


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
        By the schemas of `scale_eval.evaluation.schema`; in any order.
    metrics, groups, margins
        As for `reduce_run`; without a margin, a metric has its own.
    seed : int
        The seed of the resampling of companies.
    """
    reduced = reduce_parts(
        parts_of(evaluations), [scores], metrics, groups, margins or {}, seed=seed
    )
    return {name: pa.concat_tables(list(parts)) for name, parts in reduced}


def reduce_parts(
    evaluations: Parts,
    scores: Iterable[pa.Table],
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    *,
    seed: int,
    design: Design | None = None,
) -> Iterator[tuple[str, Iterable[pa.Table]]]:
    """Yield the name and the parts of each table; take them in this order, each to its end.

    The parts of the first table, by far the largest, are made as they are taken, so that it is
    never in memory whole.
    """
    tables = tables_of(sample=design is not None)
    of_run = [table for table in tables if isinstance(table, RunTable)]
    of_metrics = [table for table in tables if isinstance(table, MetricTable)]
    with (
        little_kept(),
        threadpoolctl.threadpool_limits(1),
        ThreadPoolExecutor(THREADS) as threads,
    ):
        give_back()
        panel = Panel.of(evaluations).holding([])  # what threads share is worked out before
        inputs = RunInputs(panel, RowScores(scores, panel, groups), groups, margins, seed, design)
        made = threads.submit(lambda: {table.name: table.make(inputs) for table in of_run})
        first, *others = of_metrics
        kept: dict[str, list[pa.Table]] = {table.name: [] for table in others}

        def parts_of_first() -> Iterator[pa.Table]:
            for results in _by_metric(threads, inputs, [*METRICS.values(), *metrics], of_metrics):
                yield from results.pop(first.name)
                for name, parts in results.items():
                    kept[name] += parts

        yield first.name, parts_of_first()
        whole = made.result() | {table.name: table.joined(kept[table.name]) for table in others}
        for table in tables[1:]:
            yield table.name, [whole[table.name]]


def _by_metric(
    threads: ThreadPoolExecutor,
    inputs: RunInputs,
    metrics: Iterable[Metric],
    tables: Sequence[MetricTable],
) -> Iterator[dict[str, list[pa.Table]]]:
    """Yield the parts of each table, metric by metric.

    Two metrics are under way at a time, but never two that keep influence sums.
    """
    begun: deque[_Begun] = deque()
    for metric in metrics:
        while len(begun) > 1 or (metric.influence and any(of.metric.influence for of in begun)):
            yield begun.popleft().results()
        begun.append(_Begun.of(threads, inputs, metric, tables))
    while begun:
        yield begun.popleft().results()


@dataclass(frozen=True)
class _Begun:
    """The parts of tables that threads are making of one metric."""

    metric: Metric
    parts: dict[str, list[Future[pa.Table]]]

    @classmethod
    def of(
        cls,
        threads: ThreadPoolExecutor,
        run: RunInputs,
        metric: Metric,
        tables: Sequence[MetricTable],
    ) -> _Begun:
        give_back()  # what the last metric took, before as much again is read
        panel = run.panel.holding(metric.columns)
        influence = panel.influences(metric)
        models = range(len(panel.models))
        each, together = [[m] for m in models], [models]
        parts = {
            table.name: [
                threads.submit(table.make, MetricInputs(run, panel, metric, influence, some))
                for some in (each if table.by_model else together)
            ]
            for table in reversed(tables)  # those whose rows take longest are last in the registry
        }
        return cls(metric, parts)

    def results(self) -> dict[str, list[pa.Table]]:
        """Wait for the parts; nothing is held of them any more."""
        made = {name: [of.result() for of in parts] for name, parts in self.parts.items()}
        self.parts.clear()
        return made
