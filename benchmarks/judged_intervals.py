"""Every interval and probability that a run publishes, judged at a sample of companies.

The truth is that of the population (`benchmarks.true_figures`), and owes nothing to the estimator.
Beside some intervals stand those that others would have published.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logit
from scipy.stats import norm, t

from benchmarks.bank import Bank
from benchmarks.population import MODELS
from benchmarks.true_figures import SAID, TrueFigures
from scale_eval.metrics import METRICS
from scale_eval.results.heterogeneity import company_effects
from scale_eval.results.panel import Panel
from scale_eval.results.pooled_histograms import PooledHistograms
from scale_eval.results.tables.comparisons import SIZE_CLASSES, comparisons_of
from scale_eval.results.tables.pooled import pooled_of
from scale_eval.results.tables.reliability import reliability_table
from scale_eval.statistics.bootstrap import company_keys, poisson_weights
from scale_eval.statistics.random_effects import random_effects
from scale_eval.statistics.undefined import Undefined
from tests.support.literature import percentile_interval, prediction_interval

JUDGED = (
    "log_loss",
    "brier_score",
    "log_loss_skill",
    "roc_auc",
    "average_precision",
    "gain_at_10",
    "observed_expected_ratio",
    "calibration_slope",
    "calibration_intercept",
)
"""Metrics whose intervals are judged."""

WITH_PROBABILITIES = ("log_loss", "brier_score", "roc_auc")
"""Metrics whose probabilities are judged."""

Z = float(norm.ppf(0.975))


class Judged(NamedTuple):
    """An interval, and whether it holds the truth.

    Attributes
    ----------
    right : float
        1, 0, or a share of the true effects that it should hold; NaN where it was refused.
    n_effective : float
        Effective companies behind it, by the table.
    condition : str
        `ci_condition` of the table.
    width, error : float
        The width of the interval, and the distance of the figure from the truth.
    """

    what: str
    metric: str
    estimand: str
    method: str
    right: float
    n_effective: float
    condition: str
    width: float
    error: float


class Said(NamedTuple):
    """A probability that was published, and the share of companies at which it is true."""

    metric: str
    which: str
    said: float
    true: float
    n_effective: float


class Truth:
    """The true figures of the companies of a bank."""

    def __init__(self, bank: Bank) -> None:
        figures = TrueFigures(bank.companies)
        self.pooled = {
            (name, estimand): figures.pooled(name, estimand)
            for name in JUDGED
            for estimand in METRICS[name].estimands
        }
        self.differences = {(*key, "all"): figures.difference(*key) for key in self.pooled}
        for stratum, among in _size_classes(bank.companies.size):
            for name in JUDGED:
                true = figures.difference(name, "equal_company", among)
                self.differences[name, "equal_company", stratum] = true
        self.effects = {
            name: figures.effects(name) for name in JUDGED if METRICS[name].effects is not None
        }
        self.about: dict[str, np.ndarray] = {}
        self.of_difference: dict[str, np.ndarray] = {}
        for name in WITH_PROBABILITIES:
            self.about[name], self.of_difference[name] = figures.differences(name)
        self.own_difference = np.subtract(*figures.by_window["log_loss"].mean(axis=1).T)
        self._figures = figures

    @cached_property
    def curves(self) -> list[np.ndarray]:
        """Return, by model, the share of buyers among those who were told each of `SAID`."""
        return [b / np.maximum(b + o, 1e-300) for b, o in self._figures._said]


def judge_sample(
    bank: Bank, truth: Truth, numbers: np.ndarray, *, curves: bool = False
) -> list[Judged]:
    """Judge every interval that a run of these companies publishes."""
    panel, rows = bank.sample(numbers)
    judged: list[Judged] = []
    for name in JUDGED:
        metric = METRICS[name]
        influence = panel.influences(metric)
        pooled = {
            (row["estimand"], row["model"]): row
            for row in pooled_of(panel, metric, rows, influence)
            if row["cutoff"] is None and row["coverage"] == "common"
        }
        for (estimand, model), row in pooled.items():
            target = truth.pooled[name, estimand][MODELS.index(model)]
            judged.append(_judge("pooled", name, estimand, row, target, row["value"] - target))
            if estimand == "equal_company" and metric.effects is not None:
                judged += _of_effects(name, model, row, truth)
        for row in comparisons_of(panel, metric, rows, influence, {}):
            target = truth.differences[name, row["estimand"], row["stratum"]]
            error, of_all = row["mean_difference"] - target, row["stratum"] == "all"
            what = "difference" if of_all else "difference by size"
            judged.append(_judge(what, name, row["estimand"], row, target, error))
            if of_all and row["estimand"] == "equal_company" and name in truth.of_difference:
                judged += _of_differences(name, row, pooled, truth)
    judged += _of_others(panel, truth)
    if curves:
        judged += _curves(panel, rows, truth)
    return judged


def said_of_sample(
    bank: Bank,
    truth: Truth,
    numbers: np.ndarray,
    margins: dict[str, float],
    weights: np.ndarray,
) -> list[Said]:
    """Return the probabilities that a run of these companies publishes, beside the true shares.

    Parameters
    ----------
    margins : dict
        By metric.
    weights : ndarray, shape (n_companies,)
        How much of the population each company of the bank is.
    """
    panel, rows = bank.sample(numbers)
    said = []
    for name in WITH_PROBABILITIES:
        metric, margin = METRICS[name], margins[name]
        sign = 1 if metric.better == "higher" else -1
        better, about = sign * truth.of_difference[name], weights[truth.about[name]]
        shares = {
            which: about @ it_is / about.sum()
            for which, it_is in (
                ("probability_a_better", better > 0),
                ("probability_a_better_by_margin", better > margin),
                ("probability_b_better_by_margin", better < -margin),
            )
        }
        influence = panel.influences(metric)
        for row in comparisons_of(panel, metric, rows, influence, margins):
            if row["stratum"] == "all" and row["estimand"] == "equal_company":
                n = row.get("n_heterogeneity", np.nan)
                said += [
                    Said(name, which, row[which], float(share), n)
                    for which, share in shares.items()
                    if which in row
                ]
    return said


def _size_classes(size: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names of the classes of company size in `comparisons`, and their companies."""
    for low, high in itertools.pairwise([*SIZE_CLASSES, np.inf]):
        upto = f" to {int(high) - 1:,}" if np.isfinite(high) else " or more"
        among = (size >= low) & (size < high)
        if among.any():
            yield f"{low:,}{upto} customers", among


def _judge(
    what: str, metric: str, estimand: str, row: dict[str, Any], truth: float, error: float
) -> Judged:
    ends = row.get("ci_low", np.nan), row.get("ci_high", np.nan)
    n, condition = row.get("n_effective", np.nan), row.get("ci_condition", "")
    return held(what, metric, estimand, ends, truth, n, condition=condition, error=error)


def held(
    what: str,
    metric: str,
    estimand: str,
    ends: tuple[float, float],
    truth: float | np.ndarray,
    n_effective: float,
    *,
    method: str = "ours",
    condition: str = "",
    error: float = np.nan,
) -> Judged:
    """Judge one interval; `truth` may be many, of which it should hold 95 %."""
    low, high = ends
    right, width = np.nan, np.nan
    if not np.isnan(low):
        right, width = float(np.mean((low <= truth) & (truth <= high))), high - low
    return Judged(what, metric, estimand, method, right, n_effective, condition or "", width, error)


def _of_effects(metric: str, model: str, row: dict[str, Any], truth: Truth) -> Iterator[Judged]:
    effects, scale = truth.effects[metric][:, MODELS.index(model)], METRICS[metric].effects
    assert scale is not None
    if not len(effects):  # no company of the population is large enough
        return
    for what, prefix, figure, target in (
        ("tau", "tau", "tau", effects.std()),
        ("expected", "expected", "expected", float(scale.back(effects.mean()))),
        ("next company", "prediction", "", scale.back(effects)),
    ):
        ends = row.get(f"{prefix}_low", np.nan), row.get(f"{prefix}_high", np.nan)
        error = row.get(figure, np.nan) - target if figure else np.nan
        n = row["n_heterogeneity"]
        yield held(what, metric, "equal_company", ends, target, n, error=error)


def _of_differences(
    metric: str,
    row: dict[str, Any],
    pooled: dict[tuple[str, str], dict[str, Any]],
    truth: Truth,
) -> Iterator[Judged]:
    """Judge the difference at the next company, and two intervals of pooled taken for one."""
    ends = row.get("prediction_low", np.nan), row.get("prediction_high", np.nan)
    of_all, n = truth.of_difference[metric], row.get("n_heterogeneity", np.nan)
    yield held("next difference", metric, "equal_company", ends, of_all, n)
    error = np.hypot(*(pooled["equal_company", m]["std_error"] for m in MODELS))
    half = t.ppf(0.975, row["n_companies"] - 1) * error
    ends = row["mean_difference"] - half, row["mean_difference"] + half
    target, n = truth.differences[metric, "equal_company", "all"], row["n_effective"]
    yield held("difference", metric, "equal_company", ends, target, n, method="unpaired")


def _of_others(panel: Panel, truth: Truth) -> Iterator[Judged]:
    """Judge rows taken for independent, percentile bootstraps of companies, and t with k - 2."""
    model = 0
    windows = np.flatnonzero(panel.ok[:, model])

    def column(of: str) -> np.ndarray:
        return panel.columns[of][windows, model]

    n, company = column("n_customers"), panel.company[windows]
    loss, error = column("log_loss"), column("log_loss_se")
    total = n.sum()
    row_mean = (n * loss).sum() / total
    squares = np.nansum((n - 1) * n * error**2) + (n * (loss - row_mean) ** 2).sum()
    half = Z * np.sqrt(squares / (total - 1) / total)
    ends = row_mean - half, row_mean + half
    target = truth.pooled["log_loss", "row"][model]
    yield held("pooled", "log_loss", "row", ends, target, total, method="rows")

    k = panel.n_companies
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
        replicates = replicates[np.isfinite(replicates)]
        ends = percentile_interval(replicates) if len(replicates) else (np.nan, np.nan)
        n_effective = sums[1].sum() ** 2 / max((sums[1] ** 2).sum(), 1e-300)
        target = truth.pooled[metric, estimand][model]
        method = "percentile bootstrap"
        yield held("pooled", metric, estimand, ends, target, n_effective, method=method)

    influence = panel.influences(METRICS["roc_auc"])
    assert influence is not None
    effects = company_effects(panel, METRICS["roc_auc"], model, windows, influence)
    targets = truth.effects["roc_auc"][:, model]
    try:
        ends = prediction_interval(random_effects(effects.y, effects.v), "t(k-2)")
    except Undefined:
        return
    n = len(effects.y)
    yield held("next company", "roc_auc", "equal_company", ends, targets, n, method="t(k-2)")


def _curves(panel: Panel, rows: PooledHistograms, truth: Truth) -> Iterator[Judged]:
    """Judge the bands of the reliability curves, by the customers at whom they hold the rate."""
    curves = reliability_table(panel, rows, 0)
    for model, curve in curves.to_pandas().groupby("model"):
        rates = np.interp(logit(curve["probability"]), SAID, truth.curves[MODELS.index(model)])
        inside = curve["ci_low"].le(rates) & curve["ci_high"].ge(rates)
        known = curve["ci_low"].notna().all()
        right = float(np.average(inside, weights=curve["n_customers"])) if known else np.nan
        width = float((curve["ci_high"] - curve["ci_low"]).mean())
        n = panel.columns["n_customers"][:, 0]
        n_effective = float(n.sum() ** 2 / (n @ n))
        yield Judged("reliability band", "", "row", "ours", right, n_effective, "", width, np.nan)
