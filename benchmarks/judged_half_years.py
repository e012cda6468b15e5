"""Intervals about half-years and about fixed companies, judged where their truth is known.

`spread` speaks of the next half-year: its truth is drawn, with effects of companies, of half-years
and of both. `sampling_std_error` speaks of these companies and half-years, with other customers:
customers are drawn again and again, and the truth is that of these companies.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.judged_intervals import Judged, Z, held
from benchmarks.population import FIRST_CUTOFF, MODELS, Companies, Population, company_name
from benchmarks.true_figures import TrueFigures
from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.planning.plan import company_groups
from scale_eval.results.panel import Panel
from scale_eval.results.panel_columns import parts_of
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.comparisons import comparisons_of
from scale_eval.results.tables.pooled import pooled_of
from scale_eval.results.tables.spread import spread_table
from tests.support.planted import evaluated

SD = {"company": 0.05, "cutoff": 0.03, "residual": 0.02}
"""Standard deviations of the true effects on the log loss."""


def spread_of_cutoffs(k: int, c: int, seed: int, *, serial: float = 0.0) -> list[Judged]:
    """Judge `spread` of k companies at c half-years, with normal effects on the log loss.

    `serial` is the correlation of the effect of a half-year with that of the next.
    """
    rng = np.random.default_rng(seed)
    of_company, of_cutoff = SD["company"] * rng.normal(size=k), rng.normal(size=c + 1)
    for j in range(1, c + 1):
        of_cutoff[j] = serial * of_cutoff[j - 1] + np.sqrt(1 - serial**2) * of_cutoff[j]
    of_cutoff *= SD["cutoff"]
    rows = [
        {
            "company_id": company_name(i),
            "cutoff": FIRST_CUTOFF + pd.DateOffset(months=6 * j),
            "model": MODELS[0],
            "status": "ok",
            "undefined": "",
            "overlaps": False,
            "attempts": 1,
            "n_customers": 100,
            "n_positive": 20,
            "log_loss_se": 0.01,
            "log_loss": 0.5 + of_company[i] + of_cutoff[j] + rng.normal(0, SD["residual"]),
        }
        for i in range(k)
        for j in range(c)
    ]
    table = pa.Table.from_pylist(rows, schema=evaluations_schema())
    panel = Panel.of(parts_of(table)).holding([*METRICS, *STANDARD_ERRORS])
    row = spread_table(panel, np.arange(k)).to_pylist()[0]

    def ends(of: str) -> tuple[float, float]:
        low, high = row.get(f"{of}_low"), row.get(f"{of}_high")
        return (np.nan if low is None else low), (np.nan if high is None else high)

    of_next = 0.5 + of_company.mean() + of_cutoff[c]  # these companies, at the next half-year
    return [
        *(
            held("spread", "log_loss", f"{of} sd", ends(f"{of}_sd"), SD[of], k)
            for of in SD
            if of != "residual"
        ),
        held("spread", "log_loss", "next half-year", ends("next_cutoff"), of_next, k),
    ]


def fixed_companies(
    population: Population, k: int, draws: int, seed: int
) -> Iterator[list[Judged]]:
    """Judge `sampling_std_error` at the same companies; yield those of each draw of customers."""
    companies = Companies.drawn(k, population, seed)
    truth = TrueFigures(companies)
    groups = company_groups([company_name(i) for i in range(k)])
    for draw in range(draws):
        windows = (window for i in range(k) for window in companies.windows(i, seed, draw))
        evaluations, scores = evaluated(windows, MODELS, groups)
        panel = Panel.of(parts_of(evaluations)).holding([*METRICS, *STANDARD_ERRORS])
        rows = PooledHistograms([scores], panel, groups)
        yield [
            judged
            for name in ("log_loss", "brier_score", "roc_auc", "observed_expected_ratio")
            for judged in _of_chance(panel, rows, name, truth)
        ]


def _of_chance(
    panel: Panel, rows: PooledHistograms, name: str, truth: TrueFigures
) -> Iterator[Judged]:
    metric = METRICS[name]
    influence = panel.influences(metric)
    for row in pooled_of(panel, metric, rows, influence):
        error = row.get("sampling_std_error", np.nan)
        if row["cutoff"] is None and row["coverage"] == "common" and np.isfinite(error):
            true = truth.pooled(name, row["estimand"])[MODELS.index(row["model"])]
            yield _of_error("these companies", name, row["estimand"], row["value"], error, true)
    if metric.target is not None:
        return
    for row in comparisons_of(panel, metric, rows, influence, {}):
        error = row.get("sampling_std_error", np.nan)
        if row["stratum"] == "all" and np.isfinite(error):
            true, value = truth.difference(name, row["estimand"]), row["mean_difference"]
            yield _of_error("their difference", name, row["estimand"], value, error, true)


def _of_error(
    what: str, metric: str, estimand: str, value: float, error: float, true: float
) -> Judged:
    ends = value - Z * error, value + Z * error
    return held(what, metric, estimand, ends, true, np.inf, error=value - true)
