"""A DataFrame of numbers that shows itself as a person reads it."""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
from rich.console import Console

WIDTH = 80
"""Characters of a line of text, the narrowest terminal in use."""


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

    def shown_in_text(self) -> pd.DataFrame:
        """Return the texts that fit into a line of 80 characters, intervals apart."""
        return self.shown()

    def caption(self) -> str:
        """Return a sentence on how to read them."""
        return ""

    def __repr__(self) -> str:
        from scale_eval.report.terminal import frame_table

        try:
            shown = self.shown_in_text().replace(r" \(", "\n(", regex=True)
        except KeyError:  # the user has taken columns away
            return super().__repr__()
        text = io.StringIO()
        console = Console(width=WIDTH, file=text, color_system=None)
        console.print(frame_table(shown.reset_index()))
        if self.caption():
            console.print(self.caption(), highlight=False, markup=False)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> Any:
        try:
            table = self.shown().to_html(border=0, escape=True)
        except KeyError:
            return super()._repr_html_()
        caption = self.caption()
        return table + (f"<p>{escape(caption)}</p>" if caption else "")
