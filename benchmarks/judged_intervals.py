"""Every interval that a run publishes, and those that others would have published, judged.

An interval is judged at a sample of companies whose population, with its true effects, is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.special import expit
from scipy.stats import norm, t

from benchmarks.population import MODELS, Bank
from scale_eval.metrics import METRICS
from scale_eval.results.heterogeneity import MIN_PER_CLASS, company_effects
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.comparisons import comparisons_of
from scale_eval.results.tables.pooled import pooled_of
from scale_eval.results.tables.reliability import reliability_table
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
        curves = reliability_table(panel, rows, 0)
        self.curves = dict(iter(curves.to_pandas().groupby("model")))

    def effect(self, metric: str, model: str) -> np.ndarray:
        """Return the true effects of the companies that enter the random effects."""
        return self.effects[f"{metric} {model}"][self.enters]


def judge_sample(bank: Bank, truth: Truth, companies: np.ndarray, *, curves: bool) -> list[Judged]:
    """Judge every interval that a run of these companies publishes."""
    panel, rows = bank.sample(companies)
    judged: list[Judged] = []
    for name in JUDGED:
        influence = panel.influences(METRICS[name])
        pooled = {
            (row["estimand"], row["model"]): row
            for row in pooled_of(panel, METRICS[name], rows, influence)
            if row["cutoff"] is None and row["coverage"] == "own"
        }
        for (estimand, model), row in pooled.items():
            target = truth.pooled[name, estimand, model]
            judged.append(judge("pooled", name, estimand, "ours", row, target["value"]))
            if estimand == "equal_company" and METRICS[name].effects is not None:
                judged += _of_effects(name, model, row, truth)
        for row in comparisons_of(panel, METRICS[name], rows, influence, {}):
            if row["stratum"] != "all":
                continue
            target = truth.differences[name, row["estimand"]]
            judged.append(judge("difference", name, row["estimand"], "ours", row, target))
            if row["estimand"] == "equal_company":
                judged += _unpaired(name, row, pooled, target)
                judged += _next_difference(name, row, truth)
    judged += list(_naive(panel, rows, truth))
    if curves:
        judged += _curves(panel, rows, truth)
    return judged


def judge(
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
    return held(what, metric, estimand, method, ends, truth, row.get("n_effective", np.nan))


def held(
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
        yield held(what, metric, "equal_company", "ours", (low, high), target, n)


def _next_difference(metric: str, row: dict[str, Any], truth: Truth) -> Iterator[Judged]:
    if not METRICS[metric].has_difference_effects or METRICS[metric].target is not None:
        return
    a, b = (truth.effect(metric, model) for model in MODELS)
    differences = expit(a) - expit(b) if metric == "roc_auc" else a - b
    ends = row.get("prediction_low", np.nan), row.get("prediction_high", np.nan)
    n = row["n_heterogeneity"]
    yield held("next difference", metric, "equal_company", "ours", ends, differences, n)


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
    yield held("difference", metric, "equal_company", "unpaired", ends, truth, n)


def _naive(panel: Panel, rows: PooledHistograms, truth: Truth) -> Iterator[Judged]:
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
    yield held("pooled", "log_loss", "row", "rows", of_rows, target, total)

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
    yield held("pooled", "roc_auc", "row", "rows (DeLong)", (auc - half, auc + half), target, total)

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
        yield held("pooled", metric, estimand, "percentile bootstrap", ends, target, n_effective)

    influence = panel.influences(METRICS["roc_auc"])
    assert influence is not None
    targets = truth.effect("roc_auc", name)
    effects = company_effects(panel, METRICS["roc_auc"], model, windows, influence)
    for method in ("t(k-2)", "t(k-1)", "z"):
        try:
            ends = prediction_interval(random_effects(effects.y, effects.v), method)
        except Undefined:
            continue
        yield held(
            "next company", "roc_auc", "equal_company", method, ends, targets, len(effects.y)
        )
    with patch("scale_eval.results.heterogeneity.moderate", lambda estimates, *_: estimates):
        effects = company_effects(panel, METRICS["roc_auc"], model, windows, influence)
    try:
        ends = confidence_distribution(effects.y, effects.v).interval()
    except Undefined:
        return
    method = "variances not moderated"
    yield held("next company", "roc_auc", "equal_company", method, ends, targets, len(effects.y))


def _curves(panel: Panel, rows: PooledHistograms, truth: Truth) -> Iterator[Judged]:
    curves = reliability_table(panel, rows, 0)
    for model, curve in curves.to_pandas().groupby("model"):
        of_all = truth.curves[model]
        rates = np.interp(curve["probability"], of_all["probability"], of_all["recalibrated"])
        held = curve["ci_low"].le(rates) & curve["ci_high"].ge(rates)
        known = curve["ci_low"].notna().all()
        right = np.average(held, weights=curve["n_customers"]) if known else np.nan
        width = float((curve["ci_high"] - curve["ci_low"]).mean())
        yield Judged("reliability band", "", "row", "ours", float(right), np.nan, width)
