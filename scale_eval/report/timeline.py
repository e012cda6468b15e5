"""The windows of a plan on the time line: what each company's data bear, and what is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.patches import Patch

from scale_eval.datasets.instants import NEVER, from_microseconds
from scale_eval.planning.plan import Plan
from scale_eval.report.figure import Figure
from scale_eval.report.plots import GRID, WIDTH
from scale_eval.report.wording import companies

MOST_ROWS = 24
"""Companies that are drawn: the first."""

_DATA, _ASKED, _REFUSED = "#c9d6df", ("#0b3c5d", "#4f86a8"), "#d1495b"
_HEIGHT = 0.34


def timeline(plan: Plan) -> Figure:
    """One row a company: its data, and above them the windows that are asked for or refused."""
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
    asked, refused = plan.is_planned.sum(), (~plan.is_planned).sum()
    patches = [
        Patch(facecolor=_ASKED[0], label="asked: what was bought there is predicted"),
        Patch(facecolor=_DATA, label="data"),
    ]
    if refused:
        patches.insert(
            1, Patch(facecolor="none", edgecolor=_REFUSED, hatch="////", label="refused")
        )
    figure.legend(handles=patches, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    some = f"; the first {n} are drawn" if n < len(plan.company_ids) else ""
    told = f"{companies(len(plan.company_ids)).capitalize()}, {asked:,} windows asked"
    told += f", {refused:,} refused" if refused else ""
    figure.suptitle(told + some, fontsize=10.5, x=0.01, horizontalalignment="left")
    return figure


def _windows_of(axis: Axes, plan: Plan, company: int) -> None:
    """A company's windows, those that overlap in lanes of their own."""
    windows = plan.windows
    mine = np.flatnonzero((windows.company == company) & (windows.cutoff != NEVER))
    lanes: list[int] = []  # the end of the last window in each
    of_window = []
    for w in mine.tolist():
        begin = int(windows.cutoff[w])
        free = (lane for lane, end in enumerate(lanes) if end <= begin)
        lane = next(free, len(lanes))
        lanes[lane : lane + 1] = [int(windows.horizon_end[w])]
        of_window.append(lane)
    height = _HEIGHT / max(len(lanes), 1)
    for i, (w, lane) in enumerate(zip(mine.tolist(), of_window, strict=True)):
        look = {"facecolor": _ASKED[i % 2], "edgecolor": "white"}
        if windows.refusal[w]:
            look = {"facecolor": "none", "edgecolor": _REFUSED, "hatch": "////"}
        begin, end = int(windows.cutoff[w]), int(windows.horizon_end[w])
        _span(axis, company - _HEIGHT + height * (lane + 0.5), begin, end, height, **look)
    if not len(mine):
        axis.annotate(
            "no whole window",
            (0, company - 0.05),
            xycoords=axis.get_yaxis_transform(),
            fontsize=7.5,
            color=_REFUSED,
        )


def _span(axis: Axes, y: float, begin: int, end: int, height: float = _HEIGHT, **look: Any) -> None:
    from_day, to_day = (float(date2num(from_microseconds(i))) for i in (begin, end))
    axis.barh(y, to_day - from_day, height, left=from_day, linewidth=0.6, **look)
