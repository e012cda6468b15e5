"""The plots of what the customers ranked highest hold, and of the profit from contacting them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.gains import PER, gain_curves, profit_curves
from scale_eval.report.plots.style import (
    INK,
    MOST_MODELS,
    WIDTH,
    Style,
    add_heading,
    best_only,
    simplify,
    styles,
)
from scale_eval.report.wording import companies

ESTIMANDS = {
    "within_company": "each company ranks its own customers",
    "row": "customers of all companies are ranked together",
}
"""How customers are ranked, in words."""


def gains(
    findings: Findings,
    cost: float | None = None,
    margin: float | None = None,
    estimand: str | None = None,
) -> Figure:
    """Draw what the customers ranked highest hold, by depth; with `cost` and `margin` the profit.

    See `Run.plot_gains`.
    """
    if (cost is None) != (margin is None):
        raise ValueError("a profit needs both: the cost of a contact and the margin of the spend")
    for name, value in {"cost": cost, "margin": margin}.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r}: write a number from 0 on")
    curves = gain_curves(findings, estimand)
    shown = {model: curves[model] for model in findings.models[:MOST_MODELS] if model in curves}
    how = ESTIMANDS[str(next(iter(shown.values()))["estimand"].iloc[0])] if shown else ""
    n = max((round(rows["n_customers"].max()) for rows in shown.values()), default=0)
    of = f"{n:,} predictions of {companies(findings.n_companies)}{best_only(findings)}"
    band = any(rows["ci_low"].notna().any() for rows in shown.values())
    end = "; band: 95 % over companies" if band else ""
    key = f"dotted: at random{end}"
    if cost is None or margin is None:
        random = [model for model, rows in shown.items() if _is_random(rows)]
        if random:
            key = f"dotted: at random, and {' and '.join(random)}{end}"
        figure = _shares(findings, {m: rows for m, rows in shown.items() if m not in random})
        title = f"What the customers ranked highest hold: {of}"
    else:
        figure = _profits(findings, profit_curves(shown, cost, margin))
        title = f"Profit from contacting the customers ranked highest: {of}"
        key += f"; a contact costs {cost:g}, {100 * margin:g} % of the spend is profit"
    add_heading(figure, title, f"{how}; {key}")
    return figure


def _is_random(rows: pd.DataFrame) -> bool:
    """Return whether a model holds what random order does, as one with a single score does."""
    held = rows["share"].notna()
    return bool(np.allclose(rows["share"][held], rows["depth"][held], atol=0.001))


def _shares(findings: Findings, curves: dict[str, pd.DataFrame]) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    look = styles(findings)
    for axis, counted in zip(axes, ("buyers", "spend"), strict=True):
        axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for model, rows in curves.items():
            one = rows[rows["counted"] == counted]
            _draw(axis, look[model], model, one["depth"], one[["share", "ci_low", "ci_high"]])
        axis.set_title(
            f"share of the {'later spend' if counted == 'spend' else counted}", fontsize=9
        )
        axis.set_xlabel("share of the customers, highest scores first", fontsize=9)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        simplify(axis, both=True)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    return figure


def _profits(findings: Findings, curves: dict[str, pd.DataFrame]) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axis = figure.subplots()
    look = styles(findings)
    axis.axhline(0, color=INK, linewidth=0.8)
    for model, rows in curves.items():
        best = rows.loc[rows["profit"].idxmax()]
        label = f"{model}: most at {100 * best['depth']:.0f} %, {best['profit']:,.0f}"
        _draw(axis, look[model], label, rows["depth"], rows[["profit", "low", "high"]])
        axis.plot(
            best["depth"],
            best["profit"],
            look[model].marker,
            color=look[model].color,
            markersize=9,
            markeredgecolor=INK,
        )
    if curves:
        rows = next(iter(curves.values()))
        axis.plot(rows["depth"], rows["at_random"], color=INK, linewidth=0.8, linestyle=":")
    axis.set_xlim(0, 1)
    axis.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_xlabel("share of the customers who are contacted, highest scores first", fontsize=9)
    axis.set_ylabel(f"profit per {PER:,} customers", fontsize=9)
    simplify(axis, both=True)
    figure.legend(loc="outside lower left", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw(axis: Axes, style: Style, label: str, depth: pd.Series, curve: pd.DataFrame) -> None:
    """Draw a curve, its value and the ends of its interval, from the origin on."""
    x = np.append(0.0, depth) if depth.iloc[0] > 0 else depth.to_numpy()
    value, low, high = (
        np.append(0.0, curve[name]) if len(x) > len(curve) else curve[name].to_numpy()
        for name in curve
    )
    if np.isfinite(low[1:]).any():
        axis.fill_between(x, low, high, color=style.color, alpha=0.15, linewidth=0)
    axis.plot(
        x,
        value,
        color=style.color,
        linestyle=style.linestyle,
        marker=style.marker,
        markevery=[i for i, at in enumerate(x) if round(100 * at) in (10, 20, 30, 50, 70)],
        markersize=4,
        linewidth=1.6,
        label=label,
    )
