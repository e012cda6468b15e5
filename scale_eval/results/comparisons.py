"""The table `comparisons`: two models on the same customers of the same companies and cutoffs.

Only windows count for which every model is ok and, within a pair, for which the metric is defined
for both. A metric with a target (O:E, slope, intercept) is compared by its distance from it:
|log O:E|, |slope - 1|, |intercept|.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.results.estimates import Estimate, difference, estimands, mean_of
from scale_eval.results.heterogeneity import (
    RAW,
    Effects,
    difference_effects,
    fitted,
    mean_of_effects,
    next_company,
)
from scale_eval.results.panel import Panel
from scale_eval.results.pooled import estimate
from scale_eval.results.row_scores import RowScores
from scale_eval.results.sampling import of_few, squared, sums_by_company
from scale_eval.results.schemas import COMPARISONS_SCHEMA
from scale_eval.results.terms import Terms, terms, weight_of
from scale_eval.statistics.comparison import benjamini_hochberg, equivalence, wilcoxon
from scale_eval.statistics.undefined import Undefined

SIZE_CLASSES = (1, 100, 1_000, 10_000)
"""Customers at a company's latest common cutoff from which each class of companies begins."""

Margins = Mapping[str, float]
"""By metric: the difference that is worth having; smaller ones are ties."""


def comparisons_table(pieces: Iterable[list[dict[str, Any]]]) -> pa.Table:
    """One row a (metric, model_a < model_b, estimand, stratum).

    `mean_difference` is a - b. On ``equal_company`` rows it is the mean over companies of the
    difference of their own figures, `ci_low` to `ci_high` is Student's interval of that mean, and
    `wins`, `ties` and `losses` count the companies where a is better, no further than `margin`, or
    worse than b. (Of the calibration slope the mean is one of random effects, over companies that
    enter them: a few slopes that are hardly known would carry a plain one.) On ``row`` and
    ``within_company`` rows it is the difference of the pooled figures.
    Strata are all companies, and classes of company size.

    `sampling_std_error` is what customers' chance makes uncertain at these companies in these
    half-years, paired through the sums of influence. `p_value` is Wilcoxon's signed rank test over
    companies, `p_adjusted` that after Benjamini & Hochberg over the pairs of models of one metric,
    estimand and stratum. `prediction_low` to `prediction_high` holds the true difference at the
    next company with a probability of 95 %; `probability_a_better` is that of its favouring a, and
    `probability_a_better_by_margin` and `..._b_...` by more than the margin. `equivalent` says
    that the difference was shown to lie within the margin (TOST at 5 %; Schuirmann 1987): where it
    is false the models may differ or not, look at the interval.

    Parameters
    ----------
    pieces : iterable of list
        From `comparisons_of`, a metric each.
    """
    frame = pd.DataFrame(list(itertools.chain.from_iterable(pieces)))
    if frame.empty:
        return COMPARISONS_SCHEMA.empty_table()
    frame = frame.reindex(columns=COMPARISONS_SCHEMA.names)
    families = frame.groupby(["metric", "estimand", "stratum"], sort=False)["p_value"]
    frame["p_adjusted"] = families.transform(lambda p: benjamini_hochberg(p.to_numpy()))
    frame["equivalent"] = frame["equivalent"].astype("boolean")
    return pa.Table.from_pandas(frame, schema=COMPARISONS_SCHEMA, preserve_index=False)


def comparisons_of(
    panel: Panel, metric: Metric, scores: RowScores, influence: np.ndarray | None, margins: Margins
) -> Iterator[dict[str, Any]]:
    """The rows of one metric, without `p_adjusted`, which wants them all."""
    strata = dict(_strata(panel))
    margin = margins.get(metric.name, metric.margin)
    pooled: dict[str, list[_Pooled]] = {
        estimand: [] for estimand in estimands(metric) if estimand != "equal_company"
    }
    for m in range(len(panel.models)):
        windows = panel.covered("common", m, panel.at(None))
        of_model = terms(panel, metric, m, weighted=True)
        sums = of_model.over(panel, windows)
        n_companies = panel.n_with(windows)
        for estimand, of_models in pooled.items():
            told = estimate(
                panel, metric, m, windows, estimand, scores, None, "common", sums
            )  # fmt: skip
            moved = _moved(panel, metric, m, estimand, influence, windows, of_model)
            of_models.append(_Pooled(told, moved, n_companies))
    for a, b in itertools.combinations(range(len(panel.models)), 2):
        key = {
            "metric": metric.name,
            "model_a": panel.models[a],
            "model_b": panel.models[b],
            "margin": margin,
        }
        for row in _of_companies(panel, metric, (a, b), strata, influence, margin):
            yield key | row
        for estimand, of_models in pooled.items():
            of_a, of_b = of_models[a], of_models[b]
            told = difference(metric, of_a.told, of_b.told)
            row = {"estimand": estimand, "stratum": "all", "n_companies": of_a.n_companies}
            row |= _told(told, margin)
            if of_a.moved is not None and of_b.moved is not None and not told.reason:
                variance = squared(of_a.moved - of_b.moved).sum()
                row["sampling_std_error"] = float(np.sqrt(variance))
            yield key | row


@dataclass(frozen=True)
class _Pooled:
    """A model's pooled figure, what companies' groups of customers move it, and how many count."""

    told: Estimate
    moved: np.ndarray | None
    n_companies: int


def _of_companies(
    panel: Panel, metric: Metric, pair: tuple[int, int], strata: dict[str, np.ndarray],
    influence: np.ndarray | None, margin: float,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    windows = _defined_for_both(panel, metric, pair)
    of_a, of_b = (
        metric.distance(terms(panel, metric, m, weighted=False).over(panel, windows).figures)
        for m in pair
    )
    differences = of_a - of_b
    effects = variance = None
    if influence is not None:
        if metric.name in RAW:
            effects = difference_effects(panel, metric, pair, windows, influence)
        if metric.name != "calibration_slope":
            variance = _variance_of_difference(panel, metric, pair, windows, influence)
    for stratum, companies in strata.items():
        compared = companies & ~np.isnan(differences)
        values = differences[compared]
        better = values if metric.better == "higher" else -values
        wins, losses = int((better > margin).sum()), int((better < -margin).sum())
        row: dict[str, Any] = {
            "estimand": "equal_company",
            "stratum": stratum,
            "n_companies": len(values),
            "wins": wins,
            "ties": len(values) - wins - losses,
            "losses": losses,
        }
        if metric.name == "calibration_slope" and effects is not None:
            row |= _told(mean_of_effects(effects.among(compared)), margin)
        else:
            row |= _told(mean_of(values), margin)
        if variance is not None and len(values):
            row["sampling_std_error"] = float(np.sqrt(variance[compared].sum())) / len(values)
        try:
            row["p_value"] = wilcoxon(values)[1]
        except Undefined as undefined:
            row["p_reason"] = undefined.reason
        if effects is None:
            row["heterogeneity_reason"] = "no_influence_kept"
        else:
            row |= _next_company(effects.among(compared), metric, margin)
        yield row


def _told(told: Estimate, margin: float) -> dict[str, Any]:
    interval = told.interval()
    row: dict[str, Any] = {
        "mean_difference": told.value,
        "reason": told.reason,
        "std_error": interval.std_error,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_reason": interval.reason,
        "n_effective": told.n_effective,
        "p_reason": "",
        "heterogeneity_reason": "",
    }
    if not interval.reason:
        test = equivalence(
            told.value, interval.std_error, interval.degrees_of_freedom, margin
        )  # fmt: skip
        row["equivalent"] = bool(test.equivalent)
    return row


def _next_company(effects: Effects, metric: Metric, margin: float) -> dict[str, Any]:
    """What to expect of the true difference at the next company."""
    row: dict[str, Any] = {"n_heterogeneity": len(effects.y)}
    try:
        row["tau"] = float(np.sqrt(fitted(effects).tau2))
        expected = next_company(effects)
    except Undefined as undefined:
        return row | {"heterogeneity_reason": undefined.reason}
    low, high = expected.interval()
    above = expected.probability_above(margin)
    below = 1 - expected.probability_above(-margin)
    higher = expected.probability_above(0.0)
    a_is_higher = metric.better == "higher"
    return row | {
        "prediction_low": low,
        "prediction_high": high,
        "probability_a_better": higher if a_is_higher else 1 - higher,
        "probability_a_better_by_margin": above if a_is_higher else below,
        "probability_b_better_by_margin": below if a_is_higher else above,
    }


def _defined_for_both(panel: Panel, metric: Metric, pair: tuple[int, int]) -> np.ndarray:
    """Common windows where the metric is defined for both models, ascending."""
    defined = panel.common & panel.ok[:, pair[0]] & panel.ok[:, pair[1]]
    if metric.pooling != "ratio":
        defined &= ~np.isnan(panel.columns[metric.name][:, pair]).any(axis=1)
    return np.flatnonzero(defined)


def _variance_of_difference(
    panel: Panel, metric: Metric, pair: tuple[int, int], windows: np.ndarray, influence: np.ndarray
) -> np.ndarray:
    """Variance of the difference of a company's own figures; shape (n_companies,).

    A distance from a target moves up or down with the figure: each company has its own sign.
    """
    difference_of_sums: np.ndarray | float = 0.0
    for m, sign in zip(pair, (1.0, -1.0), strict=True):
        known = windows[~np.isnan(influence[windows, m, 0])]
        own = terms(panel, metric, m, weighted=False)
        few = of_few(panel, metric.name, m)
        sums = sums_by_company(
            panel, known, influence[:, m], weight_of(metric, own), few, own=True
        )  # fmt: skip
        if metric.target is not None:
            side = np.nan_to_num(np.sign(own.over(panel, known).figures - metric.target))
            sums *= side[:, np.newaxis].astype(sums.dtype)
        difference_of_sums = difference_of_sums + sign * sums
    return squared(np.asarray(difference_of_sums))


def _moved(
    panel: Panel, metric: Metric, model: int, estimand: str, influence: np.ndarray | None,
    windows: np.ndarray, weighted: Terms,
) -> np.ndarray | None:  # fmt: skip
    """What companies' groups of customers move a pooled figure.

    None for figures that are no sums over sums, and for distances from a target.
    """
    if influence is None or metric.target is not None:
        return None
    if estimand == "row" and metric.name == "roc_auc":
        return None
    weight = weight_of(metric, weighted)
    total = max(float(np.nansum(weight.take(windows))), 1e-300)
    few = of_few(panel, metric.name, model) / total
    return sums_by_company(panel, windows, influence[:, model], weight, few, own=False)


def _strata(panel: Panel) -> Iterator[tuple[str, np.ndarray]]:
    """Names of strata and the companies in each; shape (n_companies,)."""
    yield "all", np.ones(panel.n_companies, dtype=bool)
    size = panel.latest_common_size
    for low, high in itertools.pairwise([*SIZE_CLASSES, np.inf]):
        companies = (size >= low) & (size < high)
        if companies.any():
            upto = f" to {int(high) - 1:,}" if np.isfinite(high) else " or more"
            yield f"{low:,}{upto} customers", companies
