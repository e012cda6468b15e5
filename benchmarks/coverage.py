"""Coverage of the published intervals, beside intervals that others would have published.

    python -m benchmarks.coverage [--replicates 400] [--companies 10000] [--sizes 3 10 30 100 300]

Companies of skewed sizes with known true effects (`benchmarks.population`) are evaluated once;
samples of k companies are drawn and reduced as a run is. An interval of a pooled figure or of a
difference is right where it holds the figure of all companies; a prediction is right by the share
of true effects that it holds; an interval of tau where it holds their standard deviation. For
`sampling_std_error`, which is for fixed companies, their customers are drawn again. A row of the
table has the coverage, the medians of n_effective and of the width, and the share of refusals.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.judged_intervals import Judged, Truth, Z, held, judge, judge_sample
from benchmarks.machine import keep
from benchmarks.population import CUTOFFS, MODELS, Bank, Company, Population, make_bank
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.planning.plan import company_groups
from scale_eval.results.panel import Panel, parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.comparisons import comparisons_of
from scale_eval.results.tables.pooled import pooled_of
from scale_eval.results.tables.spread import spread_table


def fixed_companies(population: Population, k: int, draws: int, seed: int) -> list[Judged]:
    """Judge `sampling_std_error` at the same companies, with customers drawn again."""
    companies = [Company.drawn(i, population, seed) for i in range(k)]
    figures: list[tuple[tuple[str, ...], float, float]] = []
    for draw in range(draws):
        evaluated = [e for c in companies for e in c.evaluations(seed, draw)]
        table = pa.Table.from_pylist([row for row, _ in evaluated], schema=evaluations_schema())
        panel = Panel.of(parts_of(table)).holding([*METRICS, *STANDARD_ERRORS])
        groups = company_groups(list(panel.company_ids))
        rows = PooledHistograms([], panel, groups)
        for name in ("log_loss", "brier_score", "roc_auc", "observed_expected_ratio"):
            influence = panel.influences(METRICS[name])
            for estimand in ("row", "equal_company", "within_company"):
                figures += _sampled(panel, rows, name, estimand, influence)
    by_key: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for key, value, error in figures:
        by_key.setdefault(key, []).append((value, error))
    judged = []
    for (what, name, estimand), pairs in by_key.items():
        values, errors = np.array(pairs).T
        truth = values.mean()
        judged += [
            held(what, name, estimand, "ours", (v - Z * e, v + Z * e), truth, k)
            for v, e in zip(values, errors, strict=True)
        ]
    return judged


def _sampled(
    panel: Panel, rows: PooledHistograms, name: str, estimand: str, influence: np.ndarray | None
) -> Iterator[tuple[tuple[str, ...], float, float]]:
    for row in pooled_of(panel, METRICS[name], rows, influence):
        if (row["cutoff"], row["coverage"], row["estimand"]) != (None, "own", estimand):
            continue
        if np.isfinite(row.get("sampling_std_error", np.nan)) and row["model"] == MODELS[0]:
            yield ("these companies", name, estimand), row["value"], row["sampling_std_error"]
    for row in comparisons_of(panel, METRICS[name], rows, influence, {}):
        if (row["stratum"], row["estimand"]) != ("all", estimand):
            continue
        if METRICS[name].target is None and "sampling_std_error" in row:
            key = ("these companies, difference", name, estimand)
            yield key, row["mean_difference"], row["sampling_std_error"]


def spread_of_cutoffs(k: int, c: int, seed: int) -> list[Judged]:
    """Judge `spread` with normal effects of companies and cutoffs on the log loss."""
    rng = np.random.default_rng(seed)
    sd = {"company": 0.05, "cutoff": 0.03, "residual": 0.02}
    of_company, of_cutoff = rng.normal(0, sd["company"], k), rng.normal(0, sd["cutoff"], c + 1)
    cutoffs = pd.date_range(CUTOFFS[0], periods=c, freq="6MS")
    rows = [
        {
            "company_id": f"company-{i:06}",
            "cutoff": cutoff,
            "model": "model_a",
            "status": "ok",
            "undefined": "",
            "overlaps": False,
            "attempts": 1,
            "n_customers": 100,
            "n_positive": 20,
            "log_loss_se": 0.01,
            "log_loss": 0.5 + of_company[i] + of_cutoff[j] + rng.normal(0, sd["residual"]),
        }
        for i in range(k)
        for j, cutoff in enumerate(cutoffs)
    ]
    table = pa.Table.from_pylist(rows, schema=evaluations_schema())
    panel = Panel.of(parts_of(table)).holding([*METRICS, *STANDARD_ERRORS])
    row = spread_table(panel, np.arange(k)).to_pylist()[0]
    what = f"spread, {c} cutoffs"
    judged = [
        judge(what, "log_loss", name, "ours", row, sd[name], f"{name}_sd_low", f"{name}_sd_high")
        for name in ("company", "cutoff")
    ]
    of_next = 0.5 + of_company.mean() + of_cutoff[c]  # these companies, at the next half-year
    ends = row["next_cutoff_low"], row["next_cutoff_high"]
    return [*judged, held(what, "log_loss", "next half-year", "ours", ends, of_next, k)]


_BANKS: dict[float, tuple[Bank, Truth]] = {}


def _replicate(task: tuple[float, int, int, bool]) -> list[Judged]:
    sigma, k, replicate, curves = task
    bank, truth = _BANKS[sigma]
    rng = np.random.default_rng([k, replicate])
    companies = np.sort(rng.choice(len(bank), k, replace=False))
    return judge_sample(bank, truth, companies, curves=curves)


def measure(
    populations: list[tuple[Population, list[int]]],
    n_companies: int,
    replicates: int,
    *,
    n_processes: int = 2,
    curves: int = 5,
    seed: int = 1,
) -> pd.DataFrame:
    """Judge all intervals, by (sigma, k, what, metric, estimand, method).

    Returns
    -------
    DataFrame
        Columns `coverage`, `n_effective` and `width` (medians), `n` intervals, `refused` (a share).
    """
    frames = []
    for population, sizes in populations:
        bank = make_bank(n_companies, population, seed, n_processes)
        _BANKS[population.sigma] = bank, Truth(bank)
        tasks = [
            (population.sigma, k, replicate, replicate % curves == 0)
            for k in sizes
            for replicate in range(replicates)
        ]
        if n_processes > 1:
            with multiprocessing.get_context("fork").Pool(n_processes) as pool:
                done = pool.map(_replicate, tasks, chunksize=5)
        else:
            done = list(map(_replicate, tasks))
        for (sigma, k, _, _), judged in zip(tasks, done, strict=True):
            frames += [(sigma, k, *one) for one in judged]
        del _BANKS[population.sigma]
    return summary(frames)


def summary(judged: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(judged, columns=["sigma", "k", *Judged._fields])
    keys = ["what", "metric", "estimand", "method", "sigma", "k"]
    grouped = frame.groupby(keys, sort=False)
    return grouped.agg(
        coverage=("right", "mean"),
        n_effective=("n_effective", "median"),
        width=("width", "median"),
        n=("right", "count"),
        refused=("right", lambda right: right.isna().mean()),
    ).reset_index()


def other_intervals(draws: int) -> pd.DataFrame:
    """Judge the intervals of fixed companies, and of the next half-year."""
    judged: list[tuple[Any, ...]] = []
    judged += [(1.4, 30, *one) for one in fixed_companies(Population(), 30, draws, seed=3)]
    for c in (3, 6):
        for replicate in range(2 * draws):
            judged += [(np.nan, 40, *one) for one in spread_of_cutoffs(40, c, replicate)]
    return summary(judged)


def show(table: pd.DataFrame) -> str:
    """Print a line a (what, metric, estimand, method), with a column a (sigma, k)."""
    lines = []
    for keys, rows in table.groupby(["what", "metric", "estimand", "method"], sort=False):
        what = f"{keys[0]:30}{keys[1]:25}{keys[2]:16}{keys[3]:24}"
        cells = []
        for row in rows.itertuples():
            mark = " " if row.n_effective >= 30 else "~"
            cell = f"{row.coverage:.3f}{mark}" if row.n else "   -  "
            cells.append(f"{cell:>8}")
        lines.append(what + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--companies", type=int, default=10_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 10, 30, 100, 300])
    parser.add_argument("--even-sizes", type=int, nargs="*", default=[30, 100, 300])
    arguments = parser.parse_args()
    began = time.perf_counter()
    populations = [(Population(), arguments.sizes)]
    if arguments.even_sizes:
        populations.append((Population(sigma=0.6, median_size=250), arguments.even_sizes))
    table = measure(populations, arguments.companies, arguments.replicates)
    heads = [f"{p.sigma}/{k}" for p, sizes in populations for k in sizes]
    print("coverage of nominal .95 by sigma of log sizes / companies; ~: n_effective below 30")
    print(" " * 95 + "".join(f"{head:>8}" for head in heads))
    print(show(table))
    others = other_intervals(arguments.replicates // 2)
    print(show(others))
    sure = table[
        (table["method"] == "ours")
        & (table["n_effective"] >= 30)
        & (table["n"] >= arguments.replicates / 4)  # too few to judge where most were refused
    ]
    inside = sure["coverage"].between(0.93, 0.97)
    print(f"ours with n_effective >= 30: {inside.sum()} of {len(sure)} between .93 and .97")
    print(sure[~inside].to_string())
    figures = {
        "asked": vars(arguments),
        "seconds": time.perf_counter() - began,
        "coverage": [
            {k: v for k, v in row.items() if v == v}  # no NaN in JSON
            for row in pd.concat([table, others]).to_dict("records")
        ],
    }
    print(keep("coverage", figures).name)


if __name__ == "__main__":
    main()
