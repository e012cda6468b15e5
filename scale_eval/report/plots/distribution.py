"""The plot of companies' own figures, by model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.companies_behind import n_behind
from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    add_heading,
    best_only,
    label_rows,
    simplify,
    styles,
)
from scale_eval.report.wording import companies, metric_label

SHOWN = ("log_loss_skill", "roc_auc")
"""Metrics of the plot; each has a known value for a useless model."""


def distribution(findings: Findings) -> Figure:
    """Draw the distribution of companies' own figures, by model."""
    shown = [m for m in SHOWN if _any_defined(findings, m)]
    models = findings.models[:MOST_MODELS]
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * len(models)), layout="constrained")
    axes = figure.subplots(1, max(len(shown), 1), sharey=True, squeeze=False)[0]
    look = styles(findings)
    for axis, metric in zip(axes, shown, strict=False):
        rows = findings.companies(metric)
        low, high = np.inf, -np.inf
        for y, model in enumerate(models):
            values = rows[model].dropna().to_numpy() if model in rows else rows.to_numpy()
            row = findings.figure(metric, model)
            if not len(values) or pd.isna(row["p50"]):
                continue
            low, high = min(low, row["p05"]), max(high, row["p95"])
            if len(values) <= 300:
                jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
                axis.plot(values, y + jitter, ".", color="#b5b5b5", markersize=3, zorder=1)
            color = look[model].color
            axis.plot([row["p05"], row["p95"]], [y, y], color=color, linewidth=1.2)
            axis.plot([row["p25"], row["p75"]], [y, y], color=color, linewidth=6, alpha=0.55)
            axis.plot(row["p50"], y, "|", color=INK, markersize=14, markeredgewidth=2)
            axis.plot(row["mean"], y, "D", color=INK, markersize=4, markerfacecolor="white")
        if np.isfinite(low):
            margin = 0.15 * (high - low) or 0.05
            axis.set_xlim(low - margin, high + margin)
        axis.axvline(METRICS[metric].uninformed, color=INK, linewidth=0.8, linestyle=":")
        n = n_behind(findings, metric, models)
        of = f", {n} companies" if n not in ("", f"{findings.n_companies:,}") else ""
        axis.set_title(f"{metric_label(metric)}{of} (dotted: no use)", fontsize=9)
        simplify(axis)
    label_rows(axes[0], models)
    add_heading(
        figure,
        f"{companies(findings.n_companies).capitalize()}, one figure each{best_only(findings)}",
        "thin: middle 90 %; thick: middle half; bar: median; diamond: mean; "
        "dots: companies, on the windows that every model predicted",
    )
    return figure


def _any_defined(findings: Findings, metric: str) -> bool:
    return any(not pd.isna(findings.figure(metric, m)["p50"]) for m in findings.models)
