"""The plot of each company's AUC against its number of buyers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    INK,
    WIDTH,
    add_heading,
    simplify,
    styles,
)
from scale_eval.report.wording import companies

MOST_POINTS = 2_000
"""Largest number of companies to draw as points; of more, the density is drawn."""


def funnel(findings: Findings, model: str | None = None) -> Figure:
    """Draw the AUC of each company against its number of buyers, and the effect of chance alone."""
    model = model or findings.models[0]
    rows = pd.DataFrame(
        {
            column: findings.companies("roc_auc", column).get(model, pd.Series(dtype=float))
            for column in ("mean", "std_error", "n_positive")
        }
    )
    rows = rows[rows["mean"].notna() & (rows["n_positive"] > 0)]
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axis = figure.subplots()
    x, y = rows["n_positive"].to_numpy(float), rows["mean"].to_numpy(float)
    if len(rows) > MOST_POINTS:
        drawn = axis.hexbin(
            x,
            y,
            gridsize=(60, 30),
            xscale="log",
            cmap="Greys",
            mincnt=1,
            bins="log",
            linewidths=0.1,
        )
        figure.colorbar(drawn, ax=axis, label="companies", shrink=0.8)
    else:
        axis.plot(x, y, styles(findings)[model].marker, color="#5a5a5a", markersize=4, alpha=0.7)
        axis.set_xscale("log")
    row = findings.figure("roc_auc", model)
    middle = row["expected"] if not pd.isna(row["expected"]) else row["value"]
    errors = rows["std_error"].to_numpy(float) * np.sqrt(x)
    errors = errors[np.isfinite(errors) & (errors > 0) & (x >= 10)]
    if len(errors):
        grid = np.geomspace(max(x.min(), 3), max(x.max(), 10), 100)
        half = 1.96 * np.median(errors) / np.sqrt(grid)
        for sign in (-1, 1):
            axis.plot(grid, np.clip(middle + sign * half, 0, 1), color="#d1495b", linestyle="--")
    axis.axhline(middle, color="#d1495b", linewidth=1)
    if not pd.isna(row["prediction_low"]):
        axis.axhspan(row["prediction_low"], row["prediction_high"], color="#d1495b", alpha=0.08)
    axis.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    lowest, highest = (y.min(), y.max()) if len(y) else (0.0, 1.0)
    axis.set_ylim(max(-0.02, min(0.35, lowest - 0.05)), min(1.02, max(0.9, highest + 0.05)))
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.minorticks_off()
    axis.set_xlabel("buyers at the latest cutoff")
    axis.set_ylabel("AUC of the company")
    simplify(axis, both=True)
    add_heading(
        figure,
        f"{model}: AUC by size, {companies(len(rows))} at the windows that every model predicted",
        "dashed: 95 % of companies would lie inside, were all alike in truth; "
        "shaded: the truth at the next company",
    )
    return figure
