"""Describe a section of the report: text, a plot and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

MOST_ROWS = 60
"""Largest number of rows of a table on the page."""


@dataclass(frozen=True)
class EmbeddedCompanies:
    """Companies that a script on the page shows, sorts and filters.

    Attributes
    ----------
    data : str
        As `company_table.embedded` packs it.
    scale : int
        What figures in it are multiplied with.
    file : str
        The name of the file that the page offers to download.
    least_buyers : int
        The number of buyers from which companies are shown at first.
    note : str
        What stands below the table.
    """

    data: str
    scale: int
    file: str
    least_buyers: int
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A section answers the question in its title; `alt` describes the figure in words."""

    title: str
    figure: Figure | None = None
    alt: str = ""
    text: list[str] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    companies: EmbeddedCompanies | None = None


def table(
    caption: str, rows: list[dict[str, Any]], *, numeric: tuple[str, ...] = (), note: str = ""
) -> dict[str, Any]:
    """Return a table of the page from rows of text, with `numeric` columns aligned to the right.

    By default all columns but the first are numeric. A column that is empty in every row is left
    out. `note` stands below the table.
    """
    columns = [c for c in rows[0] if any(row[c] != "" for row in rows)] if rows else []
    return {
        "caption": caption,
        "note": note,
        "columns": columns,
        "numeric": set(numeric) or set(columns[1:]),
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
    }
