"""From evaluations and scores to the tables that a decision is made on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import threadpoolctl

from scale_eval.metrics import METRICS, Metric
from scale_eval.results.directory import RunDirectory
from scale_eval.results.memory import give_back, little_kept
from scale_eval.results.panel import Panel, Parts, parts_of
from scale_eval.results.pooled_histograms import RowScores, groups_of
from scale_eval.results.tables.companies import companies_of
from scale_eval.results.tables.comparisons import comparisons_of, comparisons_table
from scale_eval.results.tables.finite_population import sampled_of, sampled_table
from scale_eval.results.tables.periods import periods_table
from scale_eval.results.tables.pooled import pooled_of, pooled_table
from scale_eval.results.tables.reliability import calibration_tables
from scale_eval.results.tables.spread import spread_table
from scale_eval.statistics.survey import Design
from scale_eval.storage import write_tables

THREADS = min(os.cpu_count() or 1, 4)
"""Models, and comparisons, that are reduced side by side."""

CONVENTIONS = {
    "std": "ddof 1, of companies' own figures; in companies, of cutoffs' values",
    "quantiles": "linear between order statistics (Hyndman & Fan 1996, type 7)",
    "mad": "median absolute deviation from the median, unscaled",
    "company figure": "mean over defined cutoffs; O:E: sum O / sum E; "
    "skill: 1 - mean loss / mean reference loss",
    "equal_company": "mean of company figures; O:E: geometric; skill: 1 - mean loss / "
    "mean reference loss, each first averaged within companies; calibration slope: mean of random "
    "effects (REML)",
    "within_company": "roc_auc by pairs; average_precision, gain and lift by positives; "
    "value captured by spend; calibration slope: one slope, an intercept a company and cutoff",
    "row rank metrics": "histograms of logit scores, bins of 1/128; error_bound is certified",
    "common coverage": "windows ok for every model that answered anywhere",
    "wins": "companies better by more than the margin of the metric",
    "roc_auc_se": "DeLong 1988, ddof 1",
    "influence": "sums over 16 groups of customers, group = crc32(customer_id) mod 16; a variance "
    "is 16 / 15 of the sum of their squares",
    "ci": "95 %, over companies: linearised standard error, Student's t with n_effective - 1 "
    "degrees of freedom (row rank metrics: delete-a-group jackknife, companies dealt to at most 64 "
    "groups; bias-corrected, but for gain, lift and value captured, taken to first order); O:E on "
    "the log scale; row and within_company from 5 companies on; none for a difference of distances "
    "from a target but at the average company",
    "n_effective": "(sum w)^2 / sum w^2 (Kish 1965); below 30 a figure is warned of",
    "sampling_std_error": "customers' chance alone, clustered by customer and paired through the "
    "influence sums: these companies in these half-years",
    "tau": "REML on logit AUC, log O:E, slope, raw differences of losses and AUC; companies with "
    "10 positives and 10 negatives at a cutoff; tau_low, tau_high: Q-profile (Viechtbauer 2007), "
    "extended to hold tau",
    "v": "variance of a company's effect: 16 customer groups, moderated by empirical Bayes towards "
    "the evaluations' own standard errors (Smyth 2004)",
    "expected": "mean of the random effects, Knapp & Hartung 2003",
    "i_squared": "tau^2 / (tau^2 + s^2), s^2 = (k - 1) sum w / ((sum w)^2 - sum w^2)",
    "prediction": "95 %, of the true figure at the next company: confidence distribution of tau^2 "
    "from the generalised Q statistic, integrated, not drawn; normal effects below 60 companies, "
    "their own shape beside them from there on, by k / (k + 100)",
    "shrunk": "mu + w (y - mu), w = tau^2 / (tau^2 + v)",
    "p_value": "Wilcoxon signed rank over companies, zeros dropped, from 6 companies on; exact up "
    "to 50, with ties too; above by the normal approximation, corrected for ties",
    "p_adjusted": "Benjamini & Hochberg 1995 over pairs of models, by metric, estimand, stratum",
    "equivalent": "two one-sided t tests at 5 % (TOST, Schuirmann 1987) within the margin",
    "probability_a_better": "of the true difference at the next company, by the same distribution "
    "as the prediction",
    "reliability": "CORP (Dimitriadis, Gneiting & Jordan 2021); band by Poisson resampling of "
    "companies' groups, 2,000 replicates",
    "sampled": "of all companies of the dataset, from a stratified sample with permanent random "
    "numbers (Ohlsson 1995): weights 1 / inclusion probability, linearised by stratum with finite "
    "population correction (Särndal, Swensson & Wretman 1992), quantiles by Woodruff 1952",
    "spread": "crossed random effects by REML; next cutoff: Student's t, cutoffs - 1",
}
"""What the figures are, named in `run.json`."""


def reduce_run(
    run: RunDirectory,
    metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    design: Design | None = None,
) -> None:
    """Make the tables of a run, and write them into it.

    Of a run of a sample of companies, drawn by `design`, also what all of them would give.
    """
    seed = int(run.document["asked"]["seed"])
    tables = reduce_parts(
        run.evaluation_parts, run.score_parts(), metrics, groups, margins, seed=seed, design=design
    )
    for name, parts in tables:
        write_tables(run.store, f"{name}.parquet", parts)


def reduce_tables(
    evaluations: pa.Table,
    scores: pa.Table,
    own_metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
) -> dict[str, pa.Table]:
    """The tables of a run, by name, of these evaluations and scores in memory alone.

    Parameters
    ----------
    evaluations, scores : Table
        By the schemas of `scale_eval.evaluation.schema`; in any order.
    own_metrics : list of Metric
        Beyond those always computed.
    groups : dict
        The group of companies in which each company's scores were kept.
    margins : dict, optional
        By metric, where not its own: the difference that is worth having.
    seed : int
        Of the resampling of companies.
    """
    reduced = reduce_parts(
        parts_of(evaluations), [scores], own_metrics, groups, margins or {}, seed=seed
    )
    return {name: pa.concat_tables(list(parts)) for name, parts in reduced}


def reduce_parts(
    evaluations: Parts,
    scores: Iterable[pa.Table],
    own_metrics: Sequence[Metric],
    groups: Mapping[str, int],
    margins: Mapping[str, float],
    *,
    seed: int,
    design: Design | None = None,
) -> Iterator[tuple[str, Iterable[pa.Table]]]:
    """The tables of a run one after another, to be taken in this order, each in parts.

    So that never all are in memory. Metrics are reduced one after another, for each holds what its
    evaluations keep by group of customers: the next one is read, and begun, while threads end the
    one before. A model's figures are one thread's, and sums are taken in one order, for their last
    bits depend on how they are divided.
    """
    metrics = [*METRICS.values(), *own_metrics]
    with (
        little_kept(),
        threadpoolctl.threadpool_limits(1),
        ThreadPoolExecutor(THREADS) as threads,
    ):
        give_back()
        panel = Panel.of(evaluations).holding([])  # what threads share is worked out before
        over_time = threads.submit(_over_time, panel, groups)
        rows = RowScores(scores, panel, groups)
        calibration = threads.submit(calibration_tables, panel, rows, seed)
        pooled, comparisons, sampled = [], [], []

        def companies() -> Iterator[pa.Table]:
            begun: deque[_OfMetric] = deque()

            def results() -> Iterator[pa.Table]:
                oldest = begun.popleft()
                pooled.append(_results(oldest.pooled))
                comparisons.append(_results(oldest.comparisons))
                sampled.append(_results(oldest.sampled))
                yield from _results(oldest.companies)

            for metric in metrics:
                while len(begun) > 1 or (metric.influence and _hold_influence(begun)):
                    yield from results()
                begun.append(_of_metric(threads, panel, metric, rows, margins, design))
            while begun:
                yield from results()

        yield "companies", companies()
        yield "pooled", [pooled_table(pooled)]
        yield "comparisons", [comparisons_table(comparisons)]
        reliability, decompositions = calibration.result()
        yield "reliability", [reliability]
        yield "decompositions", [decompositions]
        spread, periods = over_time.result()
        yield "spread", [spread]
        yield "periods", [periods]
        if design is not None:
            yield "sampled", [sampled_table(sampled)]


def _over_time(panel: Panel, groups: Mapping[str, int]) -> tuple[pa.Table, pa.Table]:
    """The tables `spread` and `periods`, one after the other: each holds columns of its own."""
    periods = periods_table(panel)
    return spread_table(panel, groups_of(panel, groups)), periods


@dataclass(frozen=True)
class _OfMetric:
    """What the tables hold of one metric, as threads make it: in the order of the tables."""

    metric: Metric
    companies: list[Future[list[pa.Table]]]
    pooled: list[Future[list[dict[str, Any]]]]
    comparisons: list[Future[list[dict[str, Any]]]]
    sampled: list[Future[list[dict[str, Any]]]]


def _of_metric(
    threads: ThreadPoolExecutor,
    panel: Panel,
    metric: Metric,
    rows: RowScores,
    margins: Mapping[str, float],
    design: Design | None,
) -> _OfMetric:
    """Begin what is to be made of one metric; what takes longest first."""
    give_back()  # what the last metric took, before as much again is read
    panel = panel.holding(metric.columns)
    influence = panel.influences(metric)

    def begin(of: Callable[..., Iterable[Any]], *arguments: Any) -> Future[list[Any]]:
        return threads.submit(lambda: list(of(panel, metric, *arguments)))

    return _OfMetric(
        metric,
        comparisons=[begin(comparisons_of, rows, influence, margins)],
        sampled=[] if design is None else [begin(sampled_of, rows, influence, design)],
        pooled=[begin(pooled_of, rows, influence, [m]) for m in range(len(panel.models))],
        companies=[begin(companies_of, influence)],
    )


def _hold_influence(begun: Iterable[_OfMetric]) -> bool:
    """Sums of influence are most of what is in memory: never those of two metrics."""
    return any(of.metric.influence is not None for of in begun)


def _results(begun: list[Future[list[Any]]]) -> list[Any]:
    """What several make, in one list; nothing is held of them any more."""
    made = [result for future in begun for result in future.result()]
    begun.clear()
    return made
