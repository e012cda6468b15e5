"""The plot of variance components: companies, windows, the rest, and chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    add_heading,
    label_rows,
    simplify,
)
from scale_eval.report.wording import metric_label


def spread(findings: Findings, metric: str = "roc_auc") -> Figure:
    """Draw the standard deviations by companies, windows, the rest, and chance."""
    rows = findings.spread
    rows = rows[(rows["metric"] == metric) & rows["company_sd"].notna()].set_index("model")
    models = [m for m in findings.models[:MOST_MODELS] if m in rows.index]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.6 * max(len(models), 1)), layout="constrained")
    axis = figure.subplots()
    parts = {
        "company_sd": ("companies", "#0b3c5d", ""),
        "cutoff_sd": (f"{findings.window}s", "#c8803c", "///"),
        "residual_sd": (f"a company at a {findings.window}, and chance", "#b9b9b9", ""),
        "noise_sd": ("of which chance", "#eeeeee", "..."),
    }
    for y, model in enumerate(models):
        for i, (part, (label, color, hatch)) in enumerate(parts.items()):
            at = y + 0.2 * (i - 1.5)
            axis.barh(
                at,
                rows.loc[model, part],
                0.19,
                color=color,
                hatch=hatch,
                edgecolor=INK,
                linewidth=0.5,
                label=label if y == 0 else None,
            )
            low = rows.loc[model].get(f"{part}_low", np.nan)
            if not pd.isna(low):
                ends = [low, rows.loc[model, f"{part}_high"]]
                axis.plot(ends, [at, at], "|-", color=INK, linewidth=0.8, markersize=5)
    label_rows(axis, models)
    scale = rows["scale"].iloc[0] if len(rows) else ""
    on = f", on the {scale} scale" if scale not in ("", "identity") else ""
    axis.set_xlabel(f"standard deviation of the {metric_label(metric)}{on}")
    if models:
        widest = float(np.nanmax(rows.loc[models, list(parts)].to_numpy(float)))
        axis.set_xlim(0, 1.8 * widest or 1)
        figure.legend(loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    simplify(axis)
    n = int(rows["n_evaluations"].max()) if len(rows) else 0
    add_heading(
        figure,
        f"What makes the {metric_label(metric)} differ: {n:,} evaluations",
        "thin line: 95 % interval of a standard deviation",
    )
    return figure
