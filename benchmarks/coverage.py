"""Coverage of the published intervals and probabilities, by a truth that owes nothing to them.

    python -m benchmarks.coverage [--replicates 100] [--companies 10000] [--sizes 5 10 30 300]
                                  [--populations "log-normal 1.4" "Pareto 1.2"]

The companies of each population (`benchmarks.population`) are evaluated once; samples of k
companies are drawn and reduced as a run is. An interval of a pooled figure or of a difference is
right where it holds the figure of the whole population, which is computed from the companies' true
parameters (`benchmarks.true_figures`); a prediction is right by the share of true effects that it
holds; an interval of tau where it holds their standard deviation. An interval is published as sure
where `n_effective` is 30 or more and `ci_condition` is empty; others are marked, or refused.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from benchmarks.bank import make_bank
from benchmarks.judged_half_years import fixed_companies, spread_of_cutoffs
from benchmarks.judged_intervals import (
    WITH_PROBABILITIES,
    Judged,
    Said,
    Truth,
    judge_sample,
    said_of_sample,
)
from benchmarks.machine import keep
from benchmarks.population import POPULATIONS, Population
from benchmarks.shortfalls import why

SURE = 30
"""Effective companies from which on an interval is published as sure."""

LOW, HIGH = 0.93, 0.97
"""How often a sure interval of 95 % may hold the truth."""

FIGURE = ["what", "metric", "estimand", "population", "k"]
KEYS = [*FIGURE, "method"]

SHARES = ("next company", "next difference", "reliability band")
"""What is judged by a share of truths in each sample, not by one."""

_SHARED: list[Any] = []


def _replicate(task: tuple[int, int, bool]) -> list[Judged]:
    k, replicate, curves = task
    bank, truth = _SHARED
    rng = np.random.default_rng([k, replicate])
    numbers = np.sort(rng.choice(len(bank), k, replace=False))
    return judge_sample(bank, truth, numbers, curves=curves)


def _tilted(task: tuple[int, int]) -> list[Said]:
    """Judge probabilities in a population of its own, in which a is better here, worse there.

    It is the bank, with companies as many as the difference of their log losses says. A population
    that is always the same would show the chance of the samples alone.
    """
    k, replicate = task
    bank, truth = _SHARED
    rng = np.random.default_rng([k, replicate, 1])
    difference = truth.own_difference
    rank = (np.argsort(np.argsort(difference)) + 0.5) / len(difference)
    weights = np.exp(rng.uniform(-1.2, 1.2) * ndtri(rank))
    weights /= weights.sum()
    numbers = np.sort(rng.choice(len(bank), k, replace=False, p=weights))
    of_margin = rng.uniform(0, 1.5)  # in typical differences
    margins = {
        name: float(of_margin * np.sqrt(np.square(truth.of_difference[name]).mean()))
        for name in WITH_PROBABILITIES
    }
    return said_of_sample(bank, truth, numbers, margins, weights)


def measure(
    population: Population,
    sizes: Sequence[int],
    n_companies: int,
    replicates: int,
    *,
    n_processes: int = 2,
    curves: int = 25,
    tilted: int | None = None,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge the intervals and the probabilities of samples of each size of a population.

    Parameters
    ----------
    curves : int
        Every so many samples, the bands of reliability curves are judged too.
    tilted : int, optional
        Samples in which probabilities are judged; as many as `replicates` by default.

    Returns
    -------
    intervals : DataFrame
        See `summary`.
    said : DataFrame
        A row for each probability, with the columns of `Said`, `population` and `k`.
    """
    bank = make_bank(n_companies, population, seed, n_processes)
    _SHARED[:] = bank, Truth(bank)
    tasks = [(k, i, i % curves == 0) for i in range(replicates) for k in sizes]
    done = zip(tasks, _map(_replicate, tasks, n_processes), strict=True)
    judged = [(population.name, *task[:2], *one) for task, ones in done for one in ones]
    of_said = [(k, i) for i in range(replicates if tilted is None else tilted) for k in sizes]
    told = zip(of_said, _map(_tilted, of_said, n_processes), strict=True)
    said = [(population.name, task[0], *one) for task, ones in told for one in ones]
    return summary(judged), pd.DataFrame(said, columns=["population", "k", *Said._fields])


def _map(function: Any, tasks: list[Any], n_processes: int) -> Iterable[Any]:
    if n_processes == 1:
        return list(map(function, tasks))
    with multiprocessing.get_context("fork").Pool(n_processes) as pool:
        return pool.map(function, tasks, chunksize=4)


def measure_half_years(replicates: int) -> pd.DataFrame:
    """Judge the intervals of fixed companies and of half-years; see `summary`."""
    judged: list[tuple[Any, ...]] = []
    for draw, ones in enumerate(fixed_companies(POPULATIONS[1], 30, replicates, seed=3)):
        judged += [(POPULATIONS[1].name, 30, draw, *one) for one in ones]
    for c, serial in ((3, 0.0), (6, 0.0), (6, 0.6)):
        name = f"{c} half-years" + (", correlated" if serial else "")
        for seed in range(4 * replicates):
            judged += [
                (name, 40, seed, *one) for one in spread_of_cutoffs(40, c, seed, serial=serial)
            ]
    return summary(judged)


def summary(judged: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return coverage by figure, population and k, of sure intervals, marked ones, and all.

    Parameters
    ----------
    judged : list of tuple
        Population, k, replicate, and the fields of `Judged`.

    Returns
    -------
    DataFrame
        `KEYS`; `n_sure`, `n_marked`, `n_refused`; `sure`, `marked` and `coverage` (of both), which
        are shares; `sure_error`, the standard error of `sure`, where the two models of a sample are
        one draw; `width` and `n_effective`, medians; `bias`, the mean error of the figure in its
        standard deviations.
    """
    frame = pd.DataFrame(judged, columns=["population", "k", "replicate", *Judged._fields])
    refused = frame["right"].isna()
    sure = ~refused & (frame["n_effective"] >= SURE) & (frame["condition"] == "")
    frame["sure"], frame["marked"] = frame["right"].where(sure), frame["right"].where(~sure)
    frame["n_refused"] = refused
    table = frame.groupby(KEYS, sort=False).agg(
        coverage=("right", "mean"),
        sure=("sure", "mean"),
        marked=("marked", "mean"),
        n_sure=("sure", "count"),
        n_marked=("marked", "count"),
        n_refused=("n_refused", "sum"),
        width=("width", "median"),
        n_effective=("n_effective", "median"),
        bias=("error", lambda error: error.mean() / max(error.std(), 1e-12)),
    )
    by_sample = frame.groupby([*KEYS, "replicate"], sort=False)["sure"].mean()
    samples = by_sample.groupby(KEYS, sort=False)
    table["sure_error"] = samples.sem()
    table = table.reset_index()
    # Where all of a few samples are right, their scatter does not say how sure that is.
    of_one = np.sqrt(HIGH * (1 - HIGH) / samples.count().clip(lower=1).to_numpy())
    least = np.where(table["what"].isin(SHARES), 0.0, of_one)
    table["sure_error"] = np.maximum(table["sure_error"].fillna(0), least)
    return table


def reliability(said: pd.DataFrame, by: Sequence[str] = ("k",)) -> pd.DataFrame:
    """Return what was said beside what was true, in tenths of what was said."""
    tenth = np.minimum((said["said"] * 10).astype(int), 9).rename("tenth")
    grouped = said.groupby([*by, tenth], sort=True)
    return grouped.agg(
        said=("said", "mean"),
        true=("true", "mean"),
        n=("said", "count"),
    ).reset_index()


def show(table: pd.DataFrame, sizes: Sequence[int]) -> str:
    """Print a line a figure of one population, with a column for each of these sizes.

    A number is the coverage of sure intervals; ~ marks that of marked ones, where sure ones are
    fewer than a fifth; - is where most were refused.
    """
    lines = []
    for keys, rows in table.groupby(["what", "metric", "estimand", "method"], sort=False):
        by_size = {row.k: row for row in rows.itertuples()}
        cells = "".join(f"{_cell(by_size.get(k)):>6}" for k in sizes)
        lines.append("{:18}{:24}{:15}{:21}".format(*keys) + cells)
    return "\n".join(lines)


def _cell(row: Any) -> str:
    if row is None:
        return ""
    shown = row.n_sure + row.n_marked
    if shown < row.n_refused:
        return "-"
    if row.n_sure >= 0.2 * shown:
        return f"{row.sure:.3f}".removeprefix("0")
    return f"{row.marked:.3f}".removeprefix("0") + "~"


def falling_short(table: pd.DataFrame) -> pd.DataFrame:
    """Return where sure intervals hold the truth less or more often than they may.

    Only where a fifth of the samples, and ten at least, gave a sure interval, and not where it is a
    point. `beyond_chance` where the distance from the limit is more than two standard errors; `why`
    as far as it is known.
    """
    n = table["n_sure"] + table["n_marked"] + table["n_refused"]
    enough = (table["n_sure"] >= np.maximum(n / 5, 10)) & (table["width"] > 0)
    sure = table[(table["method"] == "ours") & enough]
    outside = sure[~sure["sure"].between(LOW, HIGH)].copy()
    beyond = np.maximum(LOW - outside["sure"], outside["sure"] - HIGH)
    outside["beyond_chance"] = beyond > 2 * outside["sure_error"]
    outside["why"] = [why(row) for row in outside.to_dict("records")]
    outside.attrs["of"] = len(sure)
    return outside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--companies", type=int, default=10_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 10, 30, 300])
    parser.add_argument("--populations", nargs="+", default=[p.name for p in POPULATIONS])
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began = time.perf_counter()
    print("coverage of nominal .95; ~: n_effective below 30 or a ci_condition; -: refused")
    tables, all_said = [], []
    for population in (p for p in POPULATIONS if p.name in arguments.populations):
        table, said = measure(
            population,
            arguments.sizes,
            arguments.companies,
            arguments.replicates,
            n_processes=arguments.processes,
        )
        tables.append(table)
        all_said.append(said)
        seconds = f"{time.perf_counter() - began:.0f} s"
        print(f"\n{population.name:78}" + "".join(f"{k:>6}" for k in arguments.sizes), seconds)
        print(show(table, arguments.sizes), flush=True)
    of_half_years = measure_half_years(arguments.replicates)
    for name, rows in of_half_years.groupby("population", sort=False):
        print(f"\n{name}\n{show(rows, sorted(set(rows['k'])))}")
    table, said = pd.concat([*tables, of_half_years]), pd.concat(all_said)
    outside = falling_short(table)
    print(f"\nsure intervals: {len(outside)} of {outside.attrs['of']} outside .93 to .97,")
    beyond = outside[outside["beyond_chance"]]
    print(f"{len(beyond)} by more than chance, {(beyond['why'] == '').sum()} of them unexplained")
    print(beyond[[*FIGURE, "sure", "sure_error", "n_sure", "bias", "why"]].to_string(index=False))
    print("\nprobabilities: said, true")
    print(reliability(said).to_string(index=False, float_format="%.3f"))
    figures = {
        "asked": vars(arguments),
        "seconds": time.perf_counter() - began,
        "coverage": _records(table),
        "falling_short": _records(outside),
        "probabilities": _records(reliability(said)),
    }
    print(keep("coverage", figures).name)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {k: _rounded(v) for k, v in row.items() if v == v}  # no NaN in JSON
        for row in table.to_dict("records")
    ]


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
