"""Reduce evaluations and scores to the result tables.

Metrics are reduced one after another, because their sums of influence take most of the memory: the
next metric is read, and begun, while threads finish the one before. The tables of the whole run are
made at the same time, in a thread of their own. One thread computes all figures of a model, and
sums are taken in one order, because the last bits of a sum depend on how it is divided.
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
from scale_eval.results.memory import give_back, system_allocator
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import Parts, parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables import tables_of
from scale_eval.results.tables.base import MetricInputs, MetricTable, RunInputs, RunTable
from scale_eval.statistics.survey import Design
from scale_eval.storage import write_tables

THREADS = min(os.cpu_count() or 1, 4)
"""The number of threads that make tables."""


def reduce_run(
    run: RunDirectory,
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    design: Design | None = None,
) -> None:
    """Make the tables of a run, and write them into its directory.

    Parameters
    ----------
    run : RunDirectory
    metrics : list of Metric
        The user's metrics; the built-in ones are always reduced.
    groups : dict
        The group of companies in which each company's scores were kept.
    margins : dict
        The smallest differences of practical interest that the user set, by metric.
    design : Design, optional
        How the companies were drawn, for a run of a sample of them; the table `sampled` is then
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
        With the schemas of `scale_eval.evaluation.schema`; in any order.
    metrics, groups, margins
        As for `reduce_run`.
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

    The parts of the first table, by far the largest, are made while they are taken, so that it is
    never whole in memory.
    """
    tables = tables_of(sample=design is not None)
    run_tables = [table for table in tables if isinstance(table, RunTable)]
    metric_tables = [table for table in tables if isinstance(table, MetricTable)]
    with (
        system_allocator(),
        threadpoolctl.threadpool_limits(1),
        ThreadPoolExecutor(THREADS) as threads,
    ):
        give_back()
        panel = Panel.of(evaluations).holding([])  # computes what the threads share
        pending_scores = threads.submit(PooledHistograms, scores, panel, groups)
        inputs = RunInputs(panel, pending_scores, groups, margins, seed, design)
        # The last in the registry need no scores: they are made while those are pooled.
        made = threads.submit(
            lambda: {table.name: table.make(inputs) for table in reversed(run_tables)}
        )
        pending_scores.result()  # the memory that pooling takes is free before a metric is read
        first, *others = metric_tables
        kept: dict[str, list[pa.Table]] = {table.name: [] for table in others}

        def parts_of_first() -> Iterator[pa.Table]:
            for results in _by_metric(
                threads, inputs, [*METRICS.values(), *metrics], metric_tables
            ):
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
    begun: deque[_Pending] = deque()
    for metric in metrics:
        while len(begun) > 1 or (metric.influence and any(of.metric.influence for of in begun)):
            yield begun.popleft().results()
        begun.append(_Pending.of(threads, inputs, metric, tables))
    while begun:
        yield begun.popleft().results()


@dataclass(frozen=True)
class _Pending:
    """The parts of the tables of one metric, which threads are making."""

    metric: Metric
    parts: dict[str, list[Future[pa.Table]]]

    @classmethod
    def of(
        cls,
        threads: ThreadPoolExecutor,
        run: RunInputs,
        metric: Metric,
        tables: Sequence[MetricTable],
    ) -> _Pending:
        give_back()  # the memory of the last metric, before as much again is read
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
        """Wait for the parts and return them, without keeping a reference."""
        made = {name: [of.result() for of in parts] for name, parts in self.parts.items()}
        self.parts.clear()
        return made
