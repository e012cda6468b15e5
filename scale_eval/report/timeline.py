"""The plot of a plan: each company's data, and the windows that are planned or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.patches import Patch

from scale_eval.datasets.instants import NEVER, from_microseconds
from scale_eval.planning.plan import Plan
from scale_eval.report.figure import Figure
from scale_eval.report.plots.style import GRID, WIDTH
from scale_eval.report.wording import companies

MOST_ROWS = 24
"""Largest number of companies that are drawn, the first of the plan."""

_DATA, _PLANNED, _REFUSED = "#c9d6df", ("#0b3c5d", "#4f86a8"), "#d1495b"
_HEIGHT = 0.34


def timeline(plan: Plan) -> Figure:
    """Draw one row per company: its data, and above them its windows, planned or refused."""
    n = min(len(plan.company_ids), MOST_ROWS)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.42 * n), layout="constrained")
    axis = figure.subplots()
    for y in range(n):
        first, until = plan.observed.first[y], plan.observed.until[y]
        if first != NEVER:
            _span(axis, y + _HEIGHT / 2, int(first), int(until), facecolor=_DATA)
        _windows_of(axis, plan, y)
    axis.set_yticks(range(n), plan.company_ids[:n], parse_math=False)
    axis.set_ylim(n - 0.4, -0.6)
    axis.xaxis_date()
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    planned, refused = plan.is_planned.sum(), (~plan.is_planned).sum()
    patches = [
        Patch(facecolor=_PLANNED[0], label="planned: purchases in it are predicted"),
        Patch(facecolor=_DATA, label="data"),
    ]
    if refused:
        patches.insert(
            1, Patch(facecolor="none", edgecolor=_REFUSED, hatch="////", label="refused")
        )
    figure.legend(handles=patches, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    drawn = f"; the first {n} are drawn" if n < len(plan.company_ids) else ""
    title = f"{companies(len(plan.company_ids)).capitalize()}, {planned:,} windows planned"
    title += f", {refused:,} refused" if refused else ""
    figure.suptitle(title + drawn, fontsize=10.5, x=0.01, horizontalalignment="left")
    return figure


def _windows_of(axis: Axes, plan: Plan, company: int) -> None:
    """Draw a company's windows; windows that overlap have lanes of their own."""
    windows = plan.windows
    mine = np.flatnonzero((windows.company == company) & (windows.cutoff != NEVER))
    lanes: list[int] = []  # the end of the last window in each
    lane_of_window = []
    for w in mine.tolist():
        free = (lane for lane, end in enumerate(lanes) if end <= windows.cutoff[w])
        lane = next(free, len(lanes))
        lanes[lane : lane + 1] = [int(windows.horizon_end[w])]
        lane_of_window.append(lane)
    height = _HEIGHT / max(len(lanes), 1)
    for i, (w, lane) in enumerate(zip(mine.tolist(), lane_of_window, strict=True)):
        look = {"facecolor": _PLANNED[i % 2], "edgecolor": "white"}
        if windows.refusal[w]:
            look = {"facecolor": "none", "edgecolor": _REFUSED, "hatch": "////"}
        cutoff, horizon_end = int(windows.cutoff[w]), int(windows.horizon_end[w])
        y = company - _HEIGHT + height * (lane + 0.5)
        _span(axis, y, cutoff, horizon_end, height, **look)
    if not len(mine):
        axis.annotate(
            "no whole window",
            (0, company - 0.05),
            xycoords=axis.get_yaxis_transform(),
            fontsize=7.5,
            color=_REFUSED,
        )


def _span(axis: Axes, y: float, begin: int, end: int, height: float = _HEIGHT, **look: Any) -> None:
    """Draw a bar from one instant to another."""
    from_day, to_day = (float(date2num(from_microseconds(i))) for i in (begin, end))
    axis.barh(y, to_day - from_day, height, left=from_day, linewidth=0.6, **look)
