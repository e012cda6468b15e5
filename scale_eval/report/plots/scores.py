"""The plot of how each model's scores are spread, for buyers and others."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator
from scipy.special import logit

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings
from scale_eval.report.plots.style import (
    MOST_MODELS,
    WIDTH,
    add_heading,
    best_only,
    grid,
    simplify,
    styles,
)
from scale_eval.report.wording import number

TICKS = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Probabilities that are marked, on the logit scale."""

CUT_OFF = 0.001
"""Share of the customers that may lie outside the plot on either side."""

OUTERMOST = 1e-5
"""Probabilities beyond this, and 1 - this, are drawn there."""


def scores(findings: Findings) -> Figure:
    """Draw the spread of the probabilities that each model gave, for buyers and for others."""
    spread = findings.score_spread
    models = [m for m in findings.models if (spread["model"] == m).any()][:MOST_MODELS]
    n_rows, columns = grid(len(models))
    figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, columns, sharex=True, squeeze=False).ravel()
    look = styles(findings)
    lowest, highest = 0.5, 0.5
    for axis, model in zip(axes, models, strict=False):
        rows = spread[spread["model"] == model]
        low, high = (rows[end].clip(OUTERMOST, 1 - OUTERMOST).to_numpy() for end in ("low", "high"))
        below = rows["n_customers"].cumsum().to_numpy() / rows["n_customers"].sum()
        lowest = min(lowest, low[np.searchsorted(below, CUT_OFF)])
        highest = max(highest, high[np.searchsorted(below, 1 - CUT_OFF)])
        # Classes without customers have no rows: between two rows there may be a gap.
        edges = np.unique(np.append(logit(low), logit(high)))
        at = np.searchsorted(edges, logit(low))
        buyers = rows["n_positive"].to_numpy(float)
        others = rows["n_customers"].to_numpy(float) - buyers
        for counts, color, alpha in ((others, "#b9b9b9", 1.0), (buyers, look[model].color, 0.55)):
            share = np.zeros(len(edges) - 1)
            np.add.at(share, at[at < len(share)], (counts / max(counts.sum(), 1))[at < len(share)])
            axis.stairs(share, edges, fill=True, color=color, alpha=alpha)
        axis.set_title(model, fontsize=9)
        axis.yaxis.set_major_locator(NullLocator())
        simplify(axis)
    ticks = _ticks(lowest, highest)
    for axis in axes[: len(models)]:
        axis.xaxis.set_major_locator(FixedLocator(logit(ticks)))
        axis.xaxis.set_major_formatter(lambda at, _: _probability(at))
        axis.set_xlim(logit(lowest) - 0.3, logit(highest) + 0.3)
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    figure.supxlabel("probability that the model gave, on the logit scale", fontsize=9)
    n = int(spread.groupby("model")["n_customers"].sum().max()) if len(spread) else 0
    add_heading(
        figure,
        f"Scores of buyers and others: {n:,} predictions{best_only(findings)}",
        "grey: customers who did not buy; colour: those who bought; each adds up to 1",
    )
    return figure


def _ticks(lowest: float, highest: float) -> list[float]:
    """Return the probabilities that are marked: .5 and others that leave room for their labels."""
    room = (logit(highest) - logit(lowest)) / 7
    ticks: list[float] = []
    for tick in sorted(TICKS, key=lambda tick: abs(logit(tick))):
        near = any(abs(logit(tick) - logit(other)) < room for other in ticks)
        if lowest <= tick <= highest and not near:
            ticks.append(tick)
    return ticks


def _probability(at: float) -> str:
    value = 1 / (1 + np.exp(-at))
    return number(value, min(0.1, 10 ** np.floor(np.log10(min(value, 1 - value) * 1.0001))))
