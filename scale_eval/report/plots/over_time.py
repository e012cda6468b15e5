"""The plot of the same companies, cutoff by cutoff."""

from __future__ import annotations

import pandas as pd
from matplotlib.dates import date2num, num2date
from matplotlib.ticker import FixedLocator

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    add_heading,
    simplify,
    styles,
)
from scale_eval.report.wording import companies, metric_label


def over_time(findings: Findings) -> Figure:
    """Draw skill, AUC and rates cutoff by cutoff, of the same companies throughout."""
    rows = findings.periods[findings.periods["companies"] == "same"]
    rows = rows[rows["model"].isin(findings.models[:MOST_MODELS])]
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    look = styles(findings)
    for axis, metric in zip(axes, ("log_loss_skill", "roc_auc"), strict=False):
        for model, curve in rows.groupby("model"):
            style = look[str(model)]
            axis.plot(
                curve["cutoff"],
                curve[metric],
                color=style.color,
                linestyle=style.linestyle,
                marker=style.marker,
                markersize=4,
                label=model,
            )
        axis.set_title(metric_label(metric), fontsize=9)
    first = rows[rows["model"] == rows["model"].min()]
    axes[2].plot(
        first["cutoff"],
        first["observed_rate"],
        color=INK,
        marker="o",
        markersize=4,
        label=f"bought in the {findings.window}",
    )
    axes[2].plot(
        first["cutoff"],
        first["share_lapsed"],
        color="#777777",
        linestyle="--",
        marker="s",
        markersize=4,
        label="lapsed before the cutoff",
    )
    axes[2].set_title("share of their customers", fontsize=9)
    axes[2].set_ylim(0, 1)
    for axis in axes:
        axis.xaxis.set_major_locator(_dates(rows["cutoff"]))
        axis.xaxis.set_major_formatter(_month)
        axis.tick_params(axis="x", labelrotation=30)
        simplify(axis, both=True)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=4,
        fontsize=8,
        frameon=False,
    )
    axes[2].legend(fontsize=7, frameon=False)
    n = int(rows["n_companies"].max()) if len(rows) else 0
    left_out = findings.n_companies - n
    note = f"; {companies(left_out)} without all of these cutoffs left out" if left_out else ""
    add_heading(
        figure,
        f"Over time: the same {companies(n).removeprefix('one ')} at each cutoff{note}",
        "as lapsed customers pile up, rates fall and AUCs rise without any model's doing",
    )
    return figure


def _dates(cutoffs: pd.Series) -> FixedLocator:
    distinct = sorted(set(cutoffs.dropna()))
    step = max(1, len(distinct) // 5)
    return FixedLocator([_day(c) for c in distinct[::step]])


def _day(cutoff: pd.Timestamp) -> float:
    return float(date2num(cutoff))


def _month(value: float, _: object) -> str:
    return f"{num2date(value):%Y-%m}"
