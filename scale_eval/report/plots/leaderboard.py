"""The plot of the average company: log loss, AUC and observed over expected of each model."""

from __future__ import annotations

from matplotlib.ticker import MaxNLocator

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
    draw_interval,
    label_rows,
    simplify,
    styles,
)
from scale_eval.report.wording import companies, metric_label, number

SHOWN = ("log_loss", "roc_auc", "observed_expected_ratio")
"""Metrics of the plot; one with a target is a ratio, and drawn on a logarithmic axis."""


def leaderboard(findings: Findings) -> Figure:
    """Draw figures of the average company with intervals, and predictions for the next one."""
    models = findings.models[:MOST_MODELS]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.42 * len(models)), layout="constrained")
    axes = figure.subplots(1, len(SHOWN), sharey=True)
    look, key = styles(findings), "line: 95 % interval over companies"
    for axis, metric in zip(axes, SHOWN, strict=True):
        rows = [findings.figure(metric, model) for model in models]
        target, better = METRICS[metric].target, METRICS[metric].better
        direction = f"{better} is better" if target is None else f"{target:g} is right"
        if target is not None and any(row["value"] > 0 for row in rows):
            axis.set_xscale("log")
            axis.axvline(target, color=INK, linewidth=0.8)
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.xaxis.set_major_formatter(lambda value, _: number(value, 0.01))
            axis.minorticks_off()
        for y, (model, row) in enumerate(zip(models, rows, strict=True)):
            draw_interval(axis, y, row["prediction_low"], row["prediction_high"], 7, "#c9c9c9")
            draw_interval(axis, y, row["ci_low"], row["ci_high"], 2.2, look[model].color)
            axis.plot(row["value"], y, look[model].marker, color=look[model].color, markersize=6)
        if any(row["prediction_low"] <= row["prediction_high"] for row in rows):
            key = "line: 95 % interval over companies; grey band: 95 % for the next company's truth"
        n = n_behind(findings, metric, models)
        of = f", {n} companies" if n not in ("", f"{findings.n_companies:,}") else ""
        axis.set_title(f"{metric_label(metric)}\n{direction}{of}", fontsize=9)
        simplify(axis)
    label_rows(axes[0], models)
    add_heading(
        figure,
        f"The average of {companies(findings.n_companies)}{best_only(findings)}",
        key,
    )
    return figure
