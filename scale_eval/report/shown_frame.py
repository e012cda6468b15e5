"""A DataFrame of numbers that shows itself as a person reads it."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scale_eval.printable import printable_lines

WIDTH = 80
"""Characters of a line of text, those of the narrowest terminal in use."""

_BETWEEN = 2  # blanks between columns


class ShownFrame(pd.DataFrame):
    """Numbers to code, short texts to the eye: in a notebook as HTML, elsewhere as text.

    Everything that is derived from it (a column, a selection, a sum) is of pandas alone, and so is
    what `to_string`, `to_csv` and the like write.
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def shown(self) -> pd.DataFrame:
        """Return the texts that are shown; raises `KeyError` where columns for them are gone."""
        raise NotImplementedError

    def caption(self) -> str:
        """Return how to read them; raises `KeyError` as `shown` does."""
        raise NotImplementedError

    def __repr__(self) -> str:
        try:
            shown, caption = self.shown(), self.caption()
        except KeyError:  # the user has taken columns away
            return super().__repr__()
        tables = "\n\n".join(map(_text, _side_by_side(_stacked(shown))))
        return f"{tables}\n{textwrap.fill(caption, WIDTH)}"

    def _repr_html_(self) -> Any:
        try:
            shown, caption = self.shown(), self.caption()
        except KeyError:
            return super()._repr_html_()
        return f"{shown.to_html(border=0, escape=True)}<p>{escape(caption)}</p>"


def _stacked(shown: pd.DataFrame) -> pd.DataFrame:
    """Return texts with intervals below their figures, and long headings in two lines."""
    stacked = shown.replace(r" \(", "\n(", regex=True)
    return stacked.rename(columns=lambda name: name.replace(" / ", " /\n").replace(" - ", " -\n"))


def _side_by_side(shown: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Divide the columns into tables that fit into a line; each has the index."""
    first = _width(str(shown.index.name), map(str, shown.index))
    columns: list[str] = []
    used = first
    for name in shown:
        width = _BETWEEN + _width(name, shown[name])
        if columns and used + width > WIDTH:
            yield shown[columns].reset_index()
            columns, used = [], first
        columns.append(name)
        used += width
    yield shown[columns].reset_index()


def _width(heading: str, cells: Any) -> int:
    return max(len(line) for text in (heading, *cells) for line in text.split("\n"))


def _text(shown: pd.DataFrame) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in shown:
        table.add_column(
            Text(printable_lines(heading)), overflow="fold"
        )  # names may look like markup
    for row in shown.itertuples(index=False):
        table.add_row(*(Text(printable_lines(cell)) for cell in row))
    text = io.StringIO()
    Console(width=WIDTH, file=text, color_system=None, force_jupyter=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
