"""The plots of a run, for a page and for a notebook: each takes findings and gives a Figure.

Models differ by shade, line and marker, so that a page printed in black and white can be read. Each
plot says how many companies or customers it stands on. Points are drawn for up to 2,000 companies,
density beyond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num, num2date
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator

from scale_eval.metrics import METRICS
from scale_eval.report.figure import Figure
from scale_eval.report.findings import PRIMARY, Findings, Pair
from scale_eval.report.wording import companies, metric_words, number

MOST_MODELS = 8
"""More would not be told apart; the best are shown, and the plot says so."""

MOST_POINTS = 2_000

INK, GRID = "#222222", "#d9d9d9"
WIDTH = 8.6  # inches

_SHADES = ("#0b3c5d", "#d1495b", "#4b8f4a", "#8a6d3b", "#6b4c9a", "#2f9e9e", "#888888", "#111111")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Style:
    """How a model is drawn, the same everywhere."""

    color: str
    linestyle: object
    marker: str


def styles(findings: Findings) -> dict[str, Style]:
    """By model, in alphabetical order, so that another winner does not change the others."""
    known = sorted(set(findings.statuses["model"]))
    return {
        model: Style(_SHADES[i % 8], _LINES[i % 8], _MARKERS[i % 8])
        for i, model in enumerate(known)
    }


def leaderboard(findings: Findings) -> Figure:
    """Figures of the average company with their intervals, and what the next one may be like."""
    shown = {
        "log_loss": "lower is better",
        "roc_auc": "higher is better",
        "observed_expected_ratio": "1 is right",
    }
    models = findings.models[:MOST_MODELS]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.42 * len(models)), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True)
    look = styles(findings)
    for axis, (metric, direction) in zip(axes, shown.items(), strict=True):
        rows = [findings.figure(metric, model) for model in models]
        if METRICS[metric].pooling.log and any(row["value"] > 0 for row in rows):
            axis.set_xscale("log")
            axis.axvline(1, color=INK, linewidth=0.8)
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.xaxis.set_major_formatter(lambda value, _: number(value, 0.01))
            axis.minorticks_off()
        for y, (model, row) in enumerate(zip(models, rows, strict=True)):
            _interval(axis, y, row["prediction_low"], row["prediction_high"], 7, "#c9c9c9")
            _interval(axis, y, row["ci_low"], row["ci_high"], 2.2, look[model].color)
            axis.plot(row["value"], y, look[model].marker, color=look[model].color, markersize=6)
        axis.set_title(f"{metric_words(metric)}\n{direction}", fontsize=9)
        _bare(axis)
    _rows(axes[0], models)
    _headed(
        figure,
        f"The average of {companies(findings.n_companies)}{_best_only(findings)}",
        "line: 95 % interval over companies; grey band: 95 % for the truth at the next company",
    )
    return figure


def distribution(findings: Findings) -> Figure:
    """How companies' own figures are spread: not only means."""
    shown = [m for m in ("log_loss_skill", "roc_auc") if _any_defined(findings, m)]
    models = findings.models[:MOST_MODELS]
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * len(models)), layout="constrained")
    axes = figure.subplots(1, max(len(shown), 1), sharey=True, squeeze=False)[0]
    look = styles(findings)
    for axis, metric in zip(axes, shown, strict=False):
        rows = findings.companies(metric)
        low, high = np.inf, -np.inf
        for y, model in enumerate(models):
            values = rows.loc[rows["model"] == model, "mean"].dropna().to_numpy()
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
        neutral = 0.5 if metric == "roc_auc" else 0.0
        axis.axvline(neutral, color=INK, linewidth=0.8, linestyle=":")
        axis.set_title(f"{metric_words(metric)} (dotted: no use)", fontsize=9)
        _bare(axis)
    _rows(axes[0], models)
    _headed(
        figure,
        f"{companies(findings.n_companies).capitalize()}, one figure each{_best_only(findings)}",
        "thin: middle 90 %; thick: middle half; bar: median; diamond: mean; "
        "dots: companies, each on all its windows",
    )
    return figure


def funnel(findings: Findings, model: str | None = None) -> Figure:
    """AUC of each company against its number of buyers: what small numbers do by themselves."""
    model = model or findings.models[0]
    rows = findings.companies("roc_auc")
    rows = rows[(rows["model"] == model) & rows["mean"].notna() & (rows["n_positive"] > 0)]
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
    known = errors[np.isfinite(errors) & (errors > 0) & (x >= 10)]
    if len(known) and len(x):
        grid = np.geomspace(max(x.min(), 3), max(x.max(), 10), 100)
        half = 1.96 * np.median(known) / np.sqrt(grid)
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
    _bare(axis, both=True)
    _headed(
        figure,
        f"{model}: AUC by size, {companies(len(rows))}",
        "dashed: 95 % of companies would lie inside, were all alike in truth; "
        "shaded: the truth at the next company",
    )
    return figure


def over_time(findings: Findings) -> Figure:
    """Cutoff by cutoff, the same companies throughout."""
    rows = findings.periods[findings.periods["companies"] == "same"]
    rows = rows[rows["model"].isin(findings.models[:MOST_MODELS])]
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    look = styles(findings)
    for axis, metric in zip(axes, ("log_loss_skill", "roc_auc"), strict=False):
        for model, of_model in rows.groupby("model"):
            style = look[str(model)]
            axis.plot(
                of_model["cutoff"],
                of_model[metric],
                color=style.color,
                linestyle=style.linestyle,
                marker=style.marker,
                markersize=4,
                label=model,
            )
        axis.set_title(metric_words(metric), fontsize=9)
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
        _bare(axis, both=True)
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
    _headed(
        figure,
        f"Over time: the same {companies(n).removeprefix('one ')} at each cutoff{note}",
        "as lapsed customers pile up, rates fall and AUCs rise without any model's doing",
    )
    return figure


def reliability(findings: Findings) -> Figure:
    """What came of the probabilities that models gave."""
    curves = findings.reliability
    models = [m for m in findings.models if (curves["model"] == m).any()][:MOST_MODELS]
    n_rows = -(-len(models) // 4) or 1
    columns = -(-len(models) // n_rows) or 1
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
        _bare(axis, both=True)
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    for axis in axes[: len(models)]:
        axis.set_xlim(0, min(1, 1.05 * top))
        axis.set_ylim(0, min(1, 1.05 * top))
    figure.supxlabel("probability that the model gave", fontsize=9)
    figure.supylabel("share that bought", fontsize=9)
    n = int(curves.groupby("model")["n_customers"].sum().max()) if len(curves) else 0
    _headed(
        figure,
        f"Reliability: {n:,} predictions{_best_only(findings)}",
        "below the dotted line the probability was too high; band: 95 % over companies; "
        "ticks: as many customers between each",
    )
    return figure


def comparison(findings: Findings, metric: str = PRIMARY, model: str | None = None) -> Figure:
    """One model, the best if not said, against each other."""
    best = model or findings.models[0]
    pairs = [
        (other, pair)
        for other in findings.models[: MOST_MODELS + 1]
        if other != best and (pair := findings.pair(metric, best, other)) is not None
    ]
    figure = _forest(
        [(f"against {other}", pair) for other, pair in pairs],
        f"by how much the {metric_words(metric)} of {best} is better (right) or worse",
    )
    n = max((pair.n for _, pair in pairs), default=0)
    _headed(
        figure,
        f"{best} against each other model, {companies(n)}",
        "line: 95 % interval of the average company; grey band: 95 % for the next company's truth; "
        "strip around 0: ties",
    )
    return figure


def sizes(findings: Findings, metric: str = PRIMARY, model: str | None = None) -> Figure:
    """The best model against the next best, by class of company size."""
    best = model or findings.models[0]
    rivals = [m for m in findings.models if m != best][:2]
    rows: list[tuple[str, Pair]] = []
    for stratum in ["all", *findings.strata]:
        for rival in rivals:
            pair = findings.pair(metric, best, rival, stratum=stratum)
            if pair is not None:
                label = f"{'all companies' if stratum == 'all' else stratum}: against {rival}"
                rows.append((label, pair))
    figure = _forest(
        rows, f"by how much the {metric_words(metric)} of {best} is better (right) or worse"
    )
    _headed(
        figure,
        f"Which model for which size of company: {best} and the next",
        "customers at the company's latest cutoff; line: 95 % interval; grey: the next company",
    )
    return figure


def spread(findings: Findings, metric: str = "roc_auc") -> Figure:
    """What makes evaluations differ: companies, windows, the rest, and chance."""
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
    _rows(axis, models)
    scale = rows["scale"].iloc[0] if len(rows) else ""
    on = f", on the {scale} scale" if scale not in ("", "identity") else ""
    axis.set_xlabel(f"standard deviation of the {metric_words(metric)}{on}")
    if models:
        widest = float(np.nanmax(rows.loc[models, list(parts)].to_numpy(float)))
        axis.set_xlim(0, 1.8 * widest or 1)
        figure.legend(loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    _bare(axis)
    n = int(rows["n_evaluations"].max()) if len(rows) else 0
    _headed(
        figure,
        f"What makes the {metric_words(metric)} differ: {n:,} evaluations",
        "thin line: 95 % interval of a standard deviation",
    )
    return figure


PLOTS: dict[str, Callable[..., Figure]] = {
    "leaderboard": leaderboard,
    "distribution": distribution,
    "funnel": funnel,
    "over_time": over_time,
    "reliability": reliability,
    "comparison": comparison,
    "sizes": sizes,
    "spread": spread,
}
"""All of them, by name."""


def draw(name: str, findings: Findings, **choices: Any) -> Figure:
    """One of `PLOTS`; a name such as ``$x$`` is a name, not mathematics."""
    with mpl.rc_context({"text.parse_math": False}):
        return PLOTS[name](findings, **choices)


def _forest(rows: list[tuple[str, Pair]], label: str) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.5 + 0.4 * max(len(rows), 1)), layout="constrained")
    axis = figure.subplots()
    for y, (_, pair) in enumerate(rows):
        _interval(axis, y, pair.next_low, pair.next_high, 7, "#c9c9c9")
        _interval(axis, y, pair.low, pair.high, 2.2, INK)
        axis.plot(pair.better_by, y, "o", color=INK, markersize=5)
        counts = f"{pair.wins}:{pair.ties}:{pair.losses}"
        axis.annotate(
            counts,
            (1.01, y),
            xycoords=axis.get_yaxis_transform(),
            fontsize=8,
            verticalalignment="center",
        )
    axis.axvline(0, color=INK, linewidth=0.8)
    if rows:
        margin = rows[0][1].margin
        axis.axvspan(-margin, margin, color="#9a9a9a", alpha=0.25, linewidth=0)
        middle = [pair.better_by for _, pair in rows]
        ends = [e for _, p in rows for e in (p.next_low, p.next_high) if np.isfinite(e)]
        sure = [e for _, p in rows for e in (p.low, p.high) if np.isfinite(e)]
        low, high = min([*middle, *ends, 0.0]), max([*middle, *ends, 0.0])
        room = max(high - low, 4 * margin)
        low, high = (
            min([low, *(e for e in sure if e > low - room)]),
            max([high, *(e for e in sure if e < high + room)]),
        )
        axis.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axis.annotate("better:tie:worse", (1.01, 1.02), xycoords="axes fraction", fontsize=7)
    _rows(axis, [name for name, _ in rows])
    axis.set_xlabel(label)
    _bare(axis)
    return figure


def _rows(axis: Axes, names: list[str]) -> None:
    """One row a name, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(max(len(names), 1) - 0.5, -0.5)


def _interval(axis: Axes, y: float, low: float, high: float, width: float, color: str) -> None:
    if not (pd.isna(low) or pd.isna(high)):
        axis.plot([low, high], [y, y], color=color, linewidth=width, solid_capstyle="butt")


def _bare(axis: Axes, *, both: bool = False) -> None:
    for side in ("top", "right", *([] if both else ["left"])):
        axis.spines[side].set_visible(False)
    axis.grid(axis="both" if both else "x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, length=0 if not both else 2)


def _headed(figure: Figure, title: str, note: str) -> None:
    figure.suptitle(f"{title}\n", fontsize=10.5, x=0.01, horizontalalignment="left")
    figure.text(
        0.01,
        0.995 - 0.26 / figure.get_figheight(),
        note,
        fontsize=7.5,
        color="#555555",
        verticalalignment="top",
    )


def _best_only(findings: Findings) -> str:
    n = len(findings.models)
    return f"; the best {MOST_MODELS} of {n} models" if n > MOST_MODELS else ""


def _any_defined(findings: Findings, metric: str) -> bool:
    return any(not pd.isna(findings.figure(metric, m)["p50"]) for m in findings.models)


def _dates(cutoffs: pd.Series) -> FixedLocator:
    wanted = sorted(set(cutoffs.dropna()))
    every = max(1, len(wanted) // 5)
    return FixedLocator([_day(c) for c in wanted[::every]])


def _day(cutoff: pd.Timestamp) -> float:
    return float(date2num(cutoff))


def _month(value: float, _: object) -> str:
    return f"{num2date(value):%Y-%m}"
