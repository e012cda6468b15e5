"""Write small HTML for a notebook, in which names are escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd

SHOWN_ROWS = 10
"""Most companies, or customers, of a table in a notebook."""


def facts_and_table(
    heading: str, facts: Iterable[str], table: pd.DataFrame | None = None, note: str = ""
) -> str:
    """Return a heading with facts beside it, a table below, and a note.

    The table is shown whole and without its index, so pass few rows, as they are to be read.
    """
    parts = [f"<p><b>{escape(heading)}</b> {escape(' · '.join(facts))}</p>"]
    if table is not None and len(table):
        parts.append(table.to_html(index=False, border=0, na_rep="", escape=True))
    if note:
        parts.append(f"<p>{escape(note)}</p>")
    return "".join(parts)


def first_rows(n_shown: int, n: int, noun: str) -> str:
    """Return a sentence on which rows of a table are shown; "" where they are all."""
    return f"The first {n_shown:,} of {n:,} {noun}." if n_shown < n else ""
