"""What a section of the report is made of: words, a plot, tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

MOST_ROWS = 60
"""Of any table of the page."""


@dataclass(frozen=True)
class Section:
    """A question and its answer; `alt` says in words what the figure shows."""

    title: str
    figure: Figure | None = None
    alt: str = ""
    text: list[str] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)


def table(
    caption: str, rows: list[dict[str, Any]], *, numeric: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A table of the page from rows of text; `numeric` columns stand to the right.

    All columns but the first where `numeric` is not given.
    """
    columns = list(rows[0]) if rows else []
    return {
        "caption": caption,
        "columns": columns,
        "numeric": set(numeric) or set(columns[1:]),
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
    }
