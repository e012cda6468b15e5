"""The plot of observed rates against predicted probabilities."""

from __future__ import annotations

import numpy as np

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    add_heading,
    best_only,
    grid,
    simplify,
    styles,
)


def reliability(findings: Findings) -> Figure:
    """Draw the observed rates of buyers against the predicted probabilities."""
    curves = findings.reliability
    models = [m for m in findings.models if (curves["model"] == m).any()][:MOST_MODELS]
    n_rows, columns = grid(len(models))
    figure = Figure(figsize=(WIDTH, 0.7 + 2.4 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    look = styles(findings)
    top = 0.02
    for axis, model in zip(axes, models, strict=False):
        curve = curves[curves["model"] == model]
        color = look[model].color
        axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        if curve["ci_low"].notna().any():
            axis.fill_between(
                curve["probability"],
                curve["ci_low"],
                curve["ci_high"],
                color=color,
                alpha=0.2,
                linewidth=0,
            )
        axis.plot(
            curve["probability"],
            curve["recalibrated"],
            color=color,
            linewidth=1.6,
            marker=look[model].marker,
            markersize=3,
            markevery=8,
        )
        heights = np.full(len(curve), 0.0)
        axis.vlines(
            curve["probability"],
            heights,
            heights + 0.03,
            color="#777777",
            transform=axis.get_xaxis_transform(),
            linewidth=0.6,
        )
        top = max(top, curve["probability"].max(), curve["recalibrated"].max())
        axis.set_title(model, fontsize=9)
        simplify(axis, both=True)
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    for axis in axes[: len(models)]:
        axis.set_xlim(0, min(1, 1.05 * top))
        axis.set_ylim(0, min(1, 1.05 * top))
    figure.supxlabel("probability that the model gave", fontsize=9)
    figure.supylabel("share that bought", fontsize=9)
    n = int(curves.groupby("model")["n_customers"].sum().max()) if len(curves) else 0
    band = "band: 95 % over companies; " if curves["ci_low"].notna().any() else ""
    add_heading(
        figure,
        f"Reliability: {n:,} predictions{best_only(findings)}",
        f"below the dotted line the probability was too high; {band}"
        "ticks: as many customers between each",
    )
    return figure
