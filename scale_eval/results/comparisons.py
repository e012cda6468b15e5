"""The table `comparisons`: two models on the same customers of the same companies and cutoffs.

Only windows count for which every model is ok and, within a pair, for which the metric is defined
for both. A metric with a target (O:E, slope, intercept) is compared by its distance from it:
|log O:E|, |slope - 1|, |intercept|.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel, Terms, terms
from scale_eval.results.pooled import estimands
from scale_eval.results.schemas import COMPARISONS_SCHEMA

SIZE_CLASSES = (1, 100, 1_000, 10_000)
"""Customers at a company's latest common cutoff from which each class of companies begins."""


def comparisons_table(panel: Panel, metrics: list[Metric], pooled: pa.Table) -> pa.Table:
    """One row a (metric, model_a < model_b, estimand, stratum).

    `mean_difference` is a - b. On ``equal_company`` rows it is the mean over companies of the
    difference of their own figures, and `wins`, `ties` and `losses` count the companies where a is
    better, no further than `margin`, or worse than b. On ``row`` and ``within_company`` rows it is
    the difference of the pooled figures. Strata are all companies, and classes of company size.

    Parameters
    ----------
    pooled : Table
        The table `pooled` of the same panel.
    """
    figures = _common_figures(pooled)
    strata = dict(_strata(panel))
    rows = [
        {"metric": metric.name, "model_a": panel.models[a], "model_b": panel.models[b]} | row
        for metric in metrics
        for a, b in itertools.combinations(range(len(panel.models)), 2)
        for row in _compare(panel, metric, a, b, figures, strata)
    ]
    return pa.Table.from_pylist(rows, schema=COMPARISONS_SCHEMA)


def _compare(
    panel: Panel, metric: Metric, a: int, b: int,
    figures: dict[tuple[str, str, str], float], strata: dict[str, np.ndarray],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    of_a = terms(panel, metric, a, weighted=False)
    of_b = terms(panel, metric, b, weighted=False)
    windows = panel.common & of_a.defined & of_b.defined
    differences = _scaled(metric, of_a, panel, windows) - _scaled(metric, of_b, panel, windows)
    for stratum, companies in strata.items():
        compared = differences[companies & ~np.isnan(differences)]
        better = -compared if metric.better != "higher" else compared
        wins = int((better > metric.margin).sum())
        losses = int((better < -metric.margin).sum())
        yield {
            "estimand": "equal_company",
            "stratum": stratum,
            "n_companies": len(compared),
            "mean_difference": float(compared.mean()) if len(compared) else None,
            "reason": "" if len(compared) else "undefined_for_both",
            "margin": metric.margin,
            "wins": wins,
            "ties": len(compared) - wins - losses,
            "losses": losses,
        }
    for estimand in estimands(metric):
        if estimand == "equal_company":
            continue
        pair = [figures.get((panel.models[m], metric.name, estimand), np.nan) for m in (a, b)]
        difference = float(np.subtract(*metric.distance(np.array(pair))))
        defined = not np.isnan(difference)
        yield {
            "estimand": estimand,
            "stratum": "all",
            "n_companies": len(np.unique(panel.company[panel.common])),
            "mean_difference": difference if defined else None,
            "reason": "" if defined else "undefined_for_either",
            "margin": metric.margin,
        }


def _scaled(metric: Metric, of: Terms, panel: Panel, windows: np.ndarray) -> np.ndarray:
    """Companies' figures on the scale on which models are compared; NaN where undefined."""
    return metric.distance(of.by_company(panel, windows))


def _common_figures(pooled: pa.Table) -> dict[tuple[str, str, str], float]:
    columns = ["model", "metric", "cutoff", "estimand", "coverage", "value"]
    frame = pooled.select(columns).to_pandas()
    frame = frame[frame["cutoff"].isna() & (frame["coverage"] == "common")]
    return frame.set_index(["model", "metric", "estimand"])["value"].to_dict()


def _strata(panel: Panel) -> Iterator[tuple[str, np.ndarray]]:
    """Names of strata and the companies in each; shape (n_companies,)."""
    yield "all", np.ones(len(panel.company_ids), dtype=bool)
    size = np.full(len(panel.company_ids), np.nan)
    windows = np.flatnonzero(panel.common)  # in order of time: the latest stays
    size[panel.company[windows]] = np.nanmax(
        panel.columns["n_customers"][windows], axis=1, initial=0
    )
    for low, high in itertools.pairwise([*SIZE_CLASSES, np.inf]):
        companies = (size >= low) & (size < high)
        if companies.any():
            upto = f" to {int(high) - 1:,}" if np.isfinite(high) else " or more"
            yield f"{low:,}{upto} customers", companies
