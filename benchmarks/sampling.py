"""Coverage of the intervals of a sample of 1,000 of 100,000 companies.

    python -m benchmarks.sampling [--replicates 1000] [--companies 100000] [--sample 1000]
                                  [--pareto 1.2] [--pareto-spend 1.3]

Companies (`benchmarks.sampled_population`) are evaluated for two models. The figures of all of them
are those that `pooled` and `comparisons` give. Samples are then drawn as `scale-eval run --sample`
draws them and reduced to the table `sampled`, which is read beside a simple random sample of as
many companies with the intervals that `pooled` and `comparisons` give.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.coverage import HIGH, LOW, SURE
from benchmarks.machine import keep
from benchmarks.population import Pareto
from benchmarks.sampled_population import SIZES, SPEND, Population, make_population
from scale_eval.metrics import METRICS
from scale_eval.planning.company_sample import Sample, SamplingFrame
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.comparisons import comparisons_of
from scale_eval.results.tables.finite_population import sampled_of
from scale_eval.results.tables.pooled import pooled_of

Key = tuple[str, str, str, str]
"""The key of a figure: (metric, model or "difference", estimand, figure)."""


def of_all(population: Population) -> dict[Key, float]:
    """Return the figures of all companies."""
    panel, rows = population.of(np.arange(len(population.manifest)))
    return {key: row["value"] for key, row in _usual(panel, rows)}


def _usual(panel: Panel, scores: PooledHistograms) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Return the figures of `pooled` and `comparisons`, with intervals where they have one."""
    for name, metric in METRICS.items():
        influence = panel.influences(metric)
        for row in pooled_of(panel, metric, scores, influence):
            if row["cutoff"] is not None or row["coverage"] != "own":
                continue
            yield (name, row["model"], row["estimand"], "value"), row
            if row["estimand"] == "equal_company":
                for figure in ("mean", "std", "p05", "p25", "p50", "p75", "p95"):
                    yield (name, row["model"], "equal_company", figure), {"value": row[figure]}
                if "tau" in row:
                    figure = {
                        "value": row["tau"],
                        "ci_low": row["tau_low"],
                        "ci_high": row["tau_high"],
                    }
                    yield (name, row["model"], "equal_company", "tau"), figure
        for row in comparisons_of(panel, metric, scores, influence, {}):
            if row["stratum"] == "all":
                figure = row | {"value": row["mean_difference"]}
                yield (name, "difference", row["estimand"], "value"), figure
                if "tau" in row:
                    key = (name, "difference", row["estimand"], "tau")
                    yield key, {"value": row["tau"]}


def of_sample(population: Population, sample: Sample) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Return the table `sampled` of a sample, figure by figure."""
    companies = np.array([int(c[-6:]) for c in sample.company_ids])
    panel, scores = population.of(companies)
    for name, metric in METRICS.items():
        influence = panel.influences(metric)
        for row in sampled_of(panel, metric, scores, influence, sample.design):
            if "model_b" in row:
                yield (name, "difference", row["estimand"], row["figure"]), row
            elif row["coverage"] == "own":
                yield (name, row["model"], row["estimand"], row["figure"]), row


_SHARED: list[Any] = []


def _replicate(task: tuple[int, int, bool]) -> list[tuple[Any, ...]]:
    """Return key, method, right (1, 0, or NaN: none), half-width, error, n_effective, and `sure`.

    An interval is published as sure where 30 companies or more are effective, without a condition.
    """
    seed, n, beside = task
    population, truth = _SHARED
    judged: list[tuple[Any, ...]] = []
    by_method = {
        "sampled": of_sample(population, SamplingFrame(population.manifest, seed).sample(n))
    }
    if beside:
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(len(population.manifest), n, replace=False))
        by_method["simple random"] = _usual(*population.of(chosen))
    for method, figures in by_method.items():
        for key, row in figures:
            if key not in truth or not np.isfinite(truth[key]):
                continue
            low, high = row.get("ci_low", np.nan), row.get("ci_high", np.nan)
            known = low is not None and np.isfinite(low)
            right = float(low <= truth[key] <= high) if known else np.nan
            half = (high - low) / 2 if known else np.nan
            n_effective, error = row.get("n_effective", np.nan), row["value"] - truth[key]
            sure = known and n_effective >= SURE and not row.get("ci_condition")
            of_sure = right if sure else np.nan
            judged.append((*key, method, right, half, error, n_effective, of_sure))
    return judged


def measure(
    population: Population, n: int, replicates: int, *, beside: int = 0, n_processes: int = 2
) -> pd.DataFrame:
    """Measure coverage by figure and method; simple random samples in the first `beside`.

    Returns
    -------
    DataFrame
        Columns `metric`, `model`, `estimand`, `figure`, `method`, `coverage`, `half_width`
        (median), `rmse` (of the figure itself), `bias` (in rmse), `n_effective` (median), `n`
        intervals, and of those published as sure the coverage, `sure`, and number, `n_sure`.
    """
    _SHARED[:] = [population, of_all(population)]
    tasks = [(seed, n, seed < beside) for seed in range(replicates)]
    if n_processes > 1:
        with multiprocessing.get_context("fork").Pool(n_processes) as pool:
            replicates_done = pool.map(_replicate, tasks, chunksize=2)
    else:
        replicates_done = list(map(_replicate, tasks))
    keys = ["metric", "model", "estimand", "figure", "method"]
    frame = pd.DataFrame(
        [row for replicate in replicates_done for row in replicate],
        columns=[*keys, "right", "half_width", "error", "n_effective", "sure"],
    )
    frame["squared"] = frame["error"] ** 2
    grouped = frame.groupby(keys, sort=False)
    table = grouped.agg(
        coverage=("right", "mean"),
        half_width=("half_width", "median"),
        rmse=("squared", lambda squared: float(np.sqrt(squared.mean()))),
        bias=("error", "mean"),
        n_effective=("n_effective", "median"),
        n=("right", "count"),
        sure=("sure", "mean"),
        n_sure=("sure", "count"),
    ).reset_index()
    table["bias"] /= table["rmse"]
    return table


def show(table: pd.DataFrame) -> str:
    """Print a line a figure with coverage and rmse of both methods."""
    wide = table.pivot_table(
        index=["metric", "model", "estimand", "figure"],
        columns="method",
        values=["coverage", "rmse", "bias"],
        sort=False,
    )
    return str(wide.to_string(float_format="%.4f", na_rep="-"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=1_000)
    parser.add_argument("--beside", type=int, default=200, help="simple random samples")
    parser.add_argument("--companies", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=1_000)
    parser.add_argument("--pareto", type=float, help="sizes are Pareto, with this index")
    parser.add_argument(
        "--pareto-spend", type=float, help="what a buyer spends is Pareto over companies"
    )
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    sizes = Pareto(40, arguments.pareto) if arguments.pareto else SIZES
    spend = Pareto(10, arguments.pareto_spend) if arguments.pareto_spend else SPEND
    population = make_population(arguments.companies, sizes=sizes, spend=spend)
    began = time.perf_counter()
    table = measure(
        population,
        arguments.sample,
        arguments.replicates,
        beside=arguments.beside,
        n_processes=arguments.processes,
    )
    print(f"{arguments.sample:,} of {arguments.companies:,} companies, nominal .95")
    print(show(table))
    enough = table["n_sure"] >= arguments.replicates / 5
    ours = table[(table["method"] == "sampled") & enough]
    inside = ours["sure"].between(LOW, HIGH)
    print(f"sampled: {inside.sum()} of {len(ours)} figures between {LOW} and {HIGH} where sure")
    print(ours[~inside].to_string())
    figures = {
        "asked": vars(arguments),
        "seconds": time.perf_counter() - began,
        "coverage": [
            {k: v for k, v in row.items() if v == v}  # no NaN in JSON
            for row in table.to_dict("records")
        ],
    }
    name = "sampling"
    if arguments.pareto:
        name += f"-pareto-{arguments.pareto:g}"
    if arguments.pareto_spend:
        name += f"-spend-{arguments.pareto_spend:g}"
    print(keep(name, figures).name)


if __name__ == "__main__":
    main()
