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
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit
from scipy.stats import norm, t

from benchmarks.machine import keep
from benchmarks.population import CUTOFFS, MODELS, Bank, Company, Population, make_bank
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.planning.plan import company_groups
from scale_eval.results.heterogeneity import MIN_PER_CLASS, company_effects
from scale_eval.results.panel import Panel, parts_of
from scale_eval.results.pooled_histograms import RowScores
from scale_eval.results.tables.comparisons import comparisons_of
from scale_eval.results.tables.pooled import pooled_of
from scale_eval.results.tables.reliability import calibration_tables
from scale_eval.results.tables.spread import spread_table
from scale_eval.statistics.bootstrap import company_keys, poisson_weights
from scale_eval.statistics.prediction import confidence_distribution
from scale_eval.statistics.random_effects import random_effects
from scale_eval.statistics.undefined import Undefined
from tests.support.literature import percentile_interval, prediction_interval

JUDGED = {  # metrics whose intervals are judged, by default
    "log_loss",
    "brier_score",
    "log_loss_skill",
    "roc_auc",
    "average_precision",
    "gain_at_10",
    "observed_expected_ratio",
    "calibration_slope",
    "calibration_intercept",
}

Z = float(norm.ppf(0.975))


class Judged(NamedTuple):
    """An interval: `right` is 1, 0, or a share of the true effects that it should hold."""

    what: str
    metric: str
    estimand: str
    method: str
    right: float  # NaN where the interval was refused
    n_effective: float
    width: float


class Truth:
    """The figures of all companies of a bank."""

    def __init__(self, bank: Bank) -> None:
        panel, rows = bank.everything
        self.pooled: dict[tuple[str, ...], dict[str, Any]] = {}
        self.differences: dict[tuple[str, str], float] = {}
        for name in JUDGED:
            influence = panel.influences(METRICS[name])
            for row in pooled_of(panel, METRICS[name], rows, influence):
                if row["cutoff"] is None and row["coverage"] == "own":
                    self.pooled[name, row["estimand"], row["model"]] = row
            for row in comparisons_of(panel, METRICS[name], rows, influence, {}):
                if row["stratum"] == "all":
                    self.differences[name, row["estimand"]] = row["mean_difference"]
        positive = panel.columns["n_positive"]
        negative = panel.columns["n_customers"] - positive
        rich = ((positive >= MIN_PER_CLASS) & (negative >= MIN_PER_CLASS)).all(axis=1)
        self.enters = panel.count_by_company(np.flatnonzero(rich)) > 0
        self.effects = {name: bank.truth[name].to_numpy() for name in bank.truth}
        curves, _ = calibration_tables(panel, rows, 0)
        self.curves = dict(iter(curves.to_pandas().groupby("model")))

    def effect(self, metric: str, model: str) -> np.ndarray:
        """Return the true effects of the companies that enter the random effects."""
        return self.effects[f"{metric} {model}"][self.enters]


def of_sample(bank: Bank, truth: Truth, companies: np.ndarray, *, curves: bool) -> list[Judged]:
    """Judge every interval that a run of these companies publishes."""
    panel, rows = bank.sample(companies)
    told: list[Judged] = []
    for name in JUDGED:
        influence = panel.influences(METRICS[name])
        pooled = {
            (row["estimand"], row["model"]): row
            for row in pooled_of(panel, METRICS[name], rows, influence)
            if row["cutoff"] is None and row["coverage"] == "own"
        }
        for (estimand, model), row in pooled.items():
            target = truth.pooled[name, estimand, model]
            told.append(_judge("pooled", name, estimand, "ours", row, target["value"]))
            if estimand == "equal_company" and METRICS[name].effects is not None:
                told += _of_effects(name, model, row, truth)
        for row in comparisons_of(panel, METRICS[name], rows, influence, {}):
            if row["stratum"] != "all":
                continue
            target = truth.differences[name, row["estimand"]]
            told.append(_judge("difference", name, row["estimand"], "ours", row, target))
            if row["estimand"] == "equal_company":
                told += _unpaired(name, row, pooled, target)
                told += _next_difference(name, row, truth)
    told += list(_naive(panel, rows, truth))
    if curves:
        told += _curves(panel, rows, truth)
    return told


def _judge(
    what: str,
    metric: str,
    estimand: str,
    method: str,
    row: dict[str, Any],
    truth: float,
    low: str = "ci_low",
    high: str = "ci_high",
) -> Judged:
    ends = row.get(low, np.nan), row.get(high, np.nan)
    return _held(what, metric, estimand, method, ends, truth, row.get("n_effective", np.nan))


def _held(
    what: str,
    metric: str,
    estimand: str,
    method: str,
    ends: tuple[float, float],
    truth: float | np.ndarray,
    n_effective: float,
) -> Judged:
    low, high = ends
    if np.isnan(low):
        return Judged(what, metric, estimand, method, np.nan, n_effective, np.nan)
    right = float(np.mean((low <= truth) & (truth <= high)))
    return Judged(what, metric, estimand, method, right, n_effective, high - low)


def _of_effects(metric: str, model: str, row: dict[str, Any], truth: Truth) -> Iterator[Judged]:
    effects, scale = truth.effect(metric, model), METRICS[metric].effects
    assert scale is not None
    n = row["n_heterogeneity"]
    of_all = truth.pooled[metric, "equal_company", model]
    for what, ends, target in (
        ("tau", ("tau_low", "tau_high"), effects.std()),
        ("expected", ("expected_low", "expected_high"), of_all["expected"]),
        ("next company", ("prediction_low", "prediction_high"), scale.back(effects)),
    ):
        low, high = (row.get(end, np.nan) for end in ends)
        yield _held(what, metric, "equal_company", "ours", (low, high), target, n)


def _next_difference(metric: str, row: dict[str, Any], truth: Truth) -> Iterator[Judged]:
    if not METRICS[metric].has_difference_effects or METRICS[metric].target is not None:
        return
    a, b = (truth.effect(metric, model) for model in MODELS)
    differences = expit(a) - expit(b) if metric == "roc_auc" else a - b
    ends = row.get("prediction_low", np.nan), row.get("prediction_high", np.nan)
    n = row["n_heterogeneity"]
    yield _held("next difference", metric, "equal_company", "ours", ends, differences, n)


def _unpaired(
    metric: str, row: dict[str, Any], pooled: dict[tuple[str, str], dict[str, Any]], truth: float
) -> Iterator[Judged]:
    """Judge the interval of a difference from two intervals of the leaderboard, side by side."""
    if METRICS[metric].target is not None:
        return
    error = np.hypot(*(pooled["equal_company", m]["std_error"] for m in MODELS))
    half = t.ppf(0.975, row["n_companies"] - 1) * error
    ends = row["mean_difference"] - half, row["mean_difference"] + half
    n = row["n_effective"]
    yield _held("difference", metric, "equal_company", "unpaired", ends, truth, n)


def _naive(panel: Panel, rows: RowScores, truth: Truth) -> Iterator[Judged]:
    """Judge rows taken for independent, percentile bootstraps of companies, and t with k - 2."""
    model, name = 0, MODELS[0]
    windows = np.flatnonzero(panel.ok[:, model])

    def column(of: str) -> np.ndarray:
        return panel.columns[of][windows, model]

    n, company = column("n_customers"), panel.company[windows]
    loss, error = column("log_loss"), column("log_loss_se")
    total = n.sum()
    row_mean = (n * loss).sum() / total
    squares = np.nansum((n - 1) * n * error**2) + (n * (loss - row_mean) ** 2).sum()
    half = Z * np.sqrt(squares / (total - 1) / total)
    k = panel.n_companies
    target = truth.pooled["log_loss", "row", name]["value"]
    of_rows = row_mean - half, row_mean + half
    yield _held("pooled", "log_loss", "row", "rows", of_rows, target, total)

    grouped = rows.of(model, None, "own")
    assert grouped is not None
    positive, negative = grouped.total.n_positive, grouped.total.n_negative
    v10 = (np.cumsum(negative) - negative / 2) / negative.sum()
    v01 = 1 - (np.cumsum(positive) - positive / 2) / positive.sum()
    auc = (positive * v10).sum() / positive.sum()
    of_classes = [
        (counts * (v - auc) ** 2).sum() / (counts.sum() - 1) / counts.sum()
        for counts, v in ((positive, v10), (negative, v01))
    ]
    half = Z * np.sqrt(sum(of_classes))
    target = truth.pooled["roc_auc", "row", name]["value"]
    yield _held(
        "pooled", "roc_auc", "row", "rows (DeLong)", (auc - half, auc + half), target, total
    )

    weights = poisson_weights(company_keys(panel.company_ids), 1_000, 0).astype(float)
    pairs = np.nan_to_num(column("n_positive") * (n - column("n_positive")))
    ranked = np.nan_to_num(column("roc_auc"))
    cutoffs = np.bincount(company, minlength=k)
    for metric, estimand, numerator, denominator in (
        ("log_loss", "row", n * loss, n),
        ("log_loss", "equal_company", loss / cutoffs[company], 1 / cutoffs[company]),
        ("roc_auc", "within_company", pairs * ranked, pairs),
    ):
        sums = [np.bincount(company, values, k) for values in (numerator, denominator)]
        with np.errstate(invalid="ignore"):
            replicates = (weights @ sums[0]) / (weights @ sums[1])
        ends = percentile_interval(replicates[np.isfinite(replicates)])
        n_effective = sums[1].sum() ** 2 / (sums[1] ** 2).sum()
        target = truth.pooled[metric, estimand, name]["value"]
        yield _held("pooled", metric, estimand, "percentile bootstrap", ends, target, n_effective)

    influence = panel.influences(METRICS["roc_auc"])
    assert influence is not None
    targets = truth.effect("roc_auc", name)
    effects = company_effects(panel, METRICS["roc_auc"], model, windows, influence)
    for method in ("t(k-2)", "t(k-1)", "z"):
        try:
            ends = prediction_interval(random_effects(effects.y, effects.v), method)
        except Undefined:
            continue
        yield _held(
            "next company", "roc_auc", "equal_company", method, ends, targets, len(effects.y)
        )
    with patch("scale_eval.results.heterogeneity.moderate", lambda estimates, *_: estimates):
        effects = company_effects(panel, METRICS["roc_auc"], model, windows, influence)
    try:
        ends = confidence_distribution(effects.y, effects.v).interval()
    except Undefined:
        return
    method = "variances not moderated"
    yield _held("next company", "roc_auc", "equal_company", method, ends, targets, len(effects.y))


def _curves(panel: Panel, rows: RowScores, truth: Truth) -> Iterator[Judged]:
    curves, _ = calibration_tables(panel, rows, 0)
    for model, curve in curves.to_pandas().groupby("model"):
        of_all = truth.curves[model]
        rates = np.interp(curve["probability"], of_all["probability"], of_all["recalibrated"])
        held = curve["ci_low"].le(rates) & curve["ci_high"].ge(rates)
        known = curve["ci_low"].notna().all()
        right = np.average(held, weights=curve["n_customers"]) if known else np.nan
        width = float((curve["ci_high"] - curve["ci_low"]).mean())
        yield Judged("reliability band", "", "row", "ours", float(right), np.nan, width)


def fixed_companies(population: Population, k: int, draws: int, seed: int) -> list[Judged]:
    """Judge `sampling_std_error` at the same companies, with customers drawn again."""
    companies = [Company.drawn(i, population, seed) for i in range(k)]
    figures: list[tuple[tuple[str, ...], float, float]] = []
    for draw in range(draws):
        told = [e for c in companies for e in c.evaluations(seed, draw)]
        table = pa.Table.from_pylist([row for row, _ in told], schema=evaluations_schema())
        panel = Panel.of(parts_of(table)).holding([*METRICS, *STANDARD_ERRORS])
        groups = company_groups(list(panel.company_ids))
        rows = RowScores([], panel, groups)
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
            _held(what, name, estimand, "ours", (v - Z * e, v + Z * e), truth, k)
            for v, e in zip(values, errors, strict=True)
        ]
    return judged


def _sampled(
    panel: Panel, rows: RowScores, name: str, estimand: str, influence: np.ndarray | None
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
        _judge(what, "log_loss", name, "ours", row, sd[name], f"{name}_sd_low", f"{name}_sd_high")
        for name in ("company", "cutoff")
    ]
    of_next = 0.5 + of_company.mean() + of_cutoff[c]  # these companies, at the next half-year
    ends = row["next_cutoff_low"], row["next_cutoff_high"]
    return [*judged, _held(what, "log_loss", "next half-year", "ours", ends, of_next, k)]


_BANKS: dict[float, tuple[Bank, Truth]] = {}


def _replicate(asked: tuple[float, int, int, bool]) -> list[Judged]:
    sigma, k, replicate, curves = asked
    bank, truth = _BANKS[sigma]
    rng = np.random.default_rng([k, replicate])
    companies = np.sort(rng.choice(len(bank), k, replace=False))
    return of_sample(bank, truth, companies, curves=curves)


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
        asked = [
            (population.sigma, k, replicate, replicate % curves == 0)
            for k in sizes
            for replicate in range(replicates)
        ]
        if n_processes > 1:
            with multiprocessing.get_context("fork").Pool(n_processes) as pool:
                told = pool.map(_replicate, asked, chunksize=5)
        else:
            told = list(map(_replicate, asked))
        for (sigma, k, _, _), judged in zip(asked, told, strict=True):
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
    told: list[tuple[Any, ...]] = []
    told += [(1.4, 30, *one) for one in fixed_companies(Population(), 30, draws, seed=3)]
    for c in (3, 6):
        for replicate in range(2 * draws):
            told += [(np.nan, 40, *one) for one in spread_of_cutoffs(40, c, replicate)]
    return summary(told)


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
    asked = parser.parse_args()
    began = time.perf_counter()
    populations = [(Population(), asked.sizes)]
    if asked.even_sizes:
        populations.append((Population(sigma=0.6, median_size=250), asked.even_sizes))
    table = measure(populations, asked.companies, asked.replicates)
    heads = [f"{p.sigma}/{k}" for p, sizes in populations for k in sizes]
    print("coverage of nominal .95 by sigma of log sizes / companies; ~: n_effective below 30")
    print(" " * 95 + "".join(f"{head:>8}" for head in heads))
    print(show(table))
    others = other_intervals(asked.replicates // 2)
    print(show(others))
    sure = table[
        (table["method"] == "ours")
        & (table["n_effective"] >= 30)
        & (table["n"] >= asked.replicates / 4)  # too few to judge where most were refused
    ]
    inside = sure["coverage"].between(0.93, 0.97)
    print(f"ours with n_effective >= 30: {inside.sum()} of {len(sure)} between .93 and .97")
    print(sure[~inside].to_string())
    figures = {
        "asked": vars(asked),
        "seconds": time.perf_counter() - began,
        "coverage": [
            {k: v for k, v in row.items() if v == v}  # no NaN in JSON
            for row in pd.concat([table, others]).to_dict("records")
        ],
    }
    print(keep("coverage", figures).name)


if __name__ == "__main__":
    main()
