"""The look that all plots share: colours, markers, rows, headings."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from scale_eval.report.figure import Figure
from scale_eval.report.findings import Findings

MOST_MODELS = 8
"""Largest number of models in a plot, since more could not be told apart; the best are shown."""

INK, GRID = "#222222", "#d9d9d9"
WIDTH = 8.6  # inches

SHADES = ("#0b3c5d", "#d1495b", "#4b8f4a", "#8a6d3b", "#6b4c9a", "#2f9e9e", "#888888", "#111111")
"""Colours of models; `page.css` has those of text, and `svg.DARK` those of a dark page."""

LINES = (
    "-",
    "--",
    "-.",
    (0, (6, 1)),
    (0, (8, 2, 2, 2, 2, 2)),
    (0, (3, 1, 1, 1)),
    (0, (4, 4)),
    (0, (10, 3)),
)
"""Lines of models; a dotted one is what no model is held against, such as random order."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Style:
    """The look of a model, the same in every plot."""

    color: str
    linestyle: object
    marker: str


def styles(findings: Findings) -> dict[str, Style]:
    """Return the style of each model, by alphabetical order, so that no ranking changes it.

    Of more than 8 models some have the same shade, with another line and marker.
    """
    models = sorted(set(findings.statuses["model"]))
    return {
        model: Style(SHADES[i % 8], LINES[(i + i // 8) % 8], _MARKERS[(i + i // 8) % 8])
        for i, model in enumerate(models)
    }


def label_rows(axis: Axes, names: list[str]) -> None:
    """Give each name a row, the first on top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(max(len(names), 1) - 0.5, -0.5)


def draw_interval(axis: Axes, y: float, low: float, high: float, width: float, color: str) -> None:
    """Draw a horizontal line from `low` to `high`, unless they are null."""
    if not (pd.isna(low) or pd.isna(high)):
        axis.plot([low, high], [y, y], color=color, linewidth=width, solid_capstyle="butt")


def simplify(axis: Axes, *, both: bool = False) -> None:
    """Keep only the x axis of the frame, or `both` axes, and draw a light grid."""
    for side in ("top", "right", *([] if both else ["left"])):
        axis.spines[side].set_visible(False)
    axis.grid(axis="both" if both else "x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, length=0 if not both else 2)


def add_heading(figure: Figure, title: str, note: str) -> None:
    """Put a title above the plot, and below it a note on how to read it."""
    figure.suptitle(f"{title}\n", fontsize=10.5, x=0.01, horizontalalignment="left")
    figure.text(
        0.01,
        0.995 - 0.26 / figure.get_figheight(),
        note,
        fontsize=7.5,
        color="#555555",
        verticalalignment="top",
    )


def best_only(findings: Findings) -> str:
    """Return the end of a title: that only the best models are shown, if that is so."""
    n = len(findings.models)
    return f"; the best {MOST_MODELS} of {n} models" if n > MOST_MODELS else ""


def grid(n_models: int) -> tuple[int, int]:
    """Return the rows and columns of plots, one a model and at most four side by side."""
    n_rows = -(-n_models // 4) or 1
    return n_rows, -(-n_models // n_rows) or 1
