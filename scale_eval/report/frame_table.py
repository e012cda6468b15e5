"""Print a DataFrame as a compact table in which no figure is ever cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from scale_eval.printable import name_shown, printable_lines
from scale_eval.report.names import MODEL_COLUMNS

NAME_WIDTH, NARROWEST_NAME = 14, 8
"""Least width of a column of names where there is no room for the longest, and for anything."""

REASON_WIDTH = 40
"""Longest reason that is never broken."""

NOTE_WIDTH = 24
"""Least width of a column of sentences."""

REASONS, SENTENCES = {"reason"}, {"note", "why"}
"""Columns that say why something is not there: they are never cut, and other columns give way."""

BETWEEN = 2
"""Cells between two columns."""

LONGEST_FIGURE = 24
"""Longest figure or date within a text that is kept whole; an id of digits may be longer."""

NAMES = {"company", "company_id", "customer_id", "file", "first_file", *MODEL_COLUMNS}
"""Columns of names, which are in one line; other texts may have several."""

_FIGURE = re.compile(r"[-+(<]?\.?\d[\d.,:e%+-]*\)?[,;]?")
_WORDS = re.compile(r"[^\W\d_]+")
_IN_FIGURES = {"to", "e"}


@dataclass(frozen=True)
class _Column:
    """A column as it is printed.

    Attributes
    ----------
    heading : str
    cells : list of str
    is_figure : bool
        Whether its lines are never broken.
    is_right : bool
        Whether it is set to the right: numbers are.
    is_key : bool
        Whether it can say what a row is about: names and dates can.
    least : int
        The least width in cells.
    narrowest : int
        The same where there is room for nothing else.
    is_reason : bool
        Whether it says why; unless it is the first column, it comes with the columns that name the
        row.
    """

    heading: str
    cells: list[str]
    is_figure: bool
    is_right: bool
    is_key: bool
    least: int
    narrowest: int
    is_reason: bool = False

    @property
    def natural(self) -> int:
        """Return the width at which nothing is broken."""
        lines = [*self.heading.split("\n"), *(line for c in self.cells for line in c.split("\n"))]
        return max(map(cell_len, lines), default=1)


class FrameTable:
    """A DataFrame as a table; where its columns do not fit side by side, as several.

    Each of them then repeats the columns that say what a row is about: those before the first
    number.
    """

    def __init__(self, columns: Sequence[_Column]) -> None:
        self.columns = list(columns)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the tables."""
        for i, columns in enumerate(self._parts(options.max_width)):
            if i:
                yield Text()
            yield _table_of(columns, options.max_width)

    def _parts(self, width: int) -> list[list[_Column]]:
        """Divide the columns so that each part fits."""
        is_key = [c.is_key and not (c.is_reason and i) for i, c in enumerate(self.columns)]
        first = is_key.index(False) if False in is_key else 0
        rest = self.columns[first:]
        room = width - max((column.least for column in rest), default=0) - BETWEEN
        keys = _narrowed(self.columns[:first], room)
        rest = [*self.columns[len(keys) : first], *rest]
        parts: list[list[_Column]] = [[]]
        for column in rest:
            if parts[-1] and _least_width([*keys, *parts[-1], column]) > width:
                parts.append([])
            parts[-1].append(column)
        return [[*keys, *part] for part in parts]


def _narrowed(keys: list[_Column], width: int) -> list[_Column]:
    """Return the columns narrow enough for `width`; the last of them are left out where none is."""
    for room in range(NAME_WIDTH, NARROWEST_NAME - 1, -2):
        narrower = (max(min(key.least, room), key.narrowest) for key in keys)
        narrow = [replace(key, least=n) for key, n in zip(keys, narrower, strict=True)]
        if _least_width(narrow) <= width:
            return narrow
    return _narrowed(keys[:-1], width) if keys else []


def frame_table(
    frame: pd.DataFrame, *, decimals: int | None = None, whole: tuple[str, ...] = ()
) -> FrameTable:
    """Return a DataFrame as a compact table: short numbers, folded text, empty nulls.

    Columns that are `whole` keep their heading as it is, and their texts are never folded.
    """
    return FrameTable(
        [_column(str(name), frame[name], decimals, is_whole=name in whole) for name in frame]
    )


def cell(value: object, decimals: int | None = None) -> str:
    """Return a value in few characters: four digits of a number, a date without midnight."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, pd.Timestamp):
        midnight = value == value.normalize()
        return f"{value:%Y-%m-%d}" if midnight else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float) and decimals is not None:
        return f"{value:.{decimals}f}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e5 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return printable_lines(str(value))


def plain_table() -> Table:
    """Return an empty table in the style of all tables of the terminal."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))


def _column(name: str, values: pd.Series, decimals: int | None, *, is_whole: bool) -> _Column:
    shown = name_shown if name in NAMES else printable_lines
    cells = [shown(v) if isinstance(v, str) else cell(v, decimals) for v in values]
    is_number = pd.api.types.is_numeric_dtype(values) and values.dtype != bool
    is_key = pd.api.types.is_datetime64_any_dtype(values) or not (is_number or _are_figures(cells))
    is_figure = not is_key or pd.api.types.is_datetime64_any_dtype(values)
    heading = name if is_whole else name.replace("_", " ")
    if is_number:
        heading = heading.replace(" ", "\n")
    if is_figure:
        words = [heading] if is_number else heading.split()
        least = max(map(_line_width, ["", *words, *cells]))
        narrowest = least
    else:
        longest = max(map(_line_width, [*heading.split(), *cells]))
        figures = [len(t) for text in cells for t in text.split() if _FIGURE.fullmatch(t)]
        narrowest = max((n for n in figures if n <= LONGEST_FIGURE), default=1)
        least = max(min(longest, NAME_WIDTH), narrowest)
        if name in REASONS:
            least = narrowest = max(narrowest, min(longest, REASON_WIDTH))
        elif name in SENTENCES:
            least = max(narrowest, min(longest, NOTE_WIDTH))
        elif is_whole:
            least = longest
    is_reason = name in REASONS | SENTENCES
    least = max(least, 1)
    return _Column(heading, cells, is_figure, is_number, is_key, least, narrowest, is_reason)


def _are_figures(cells: Sequence[str]) -> bool:
    """Return whether texts are figures, such as intervals, rather than names."""
    filled = [text for text in cells if text]
    return bool(filled) and all(
        any(map(str.isdigit, text)) and set(_WORDS.findall(text)) <= _IN_FIGURES for text in filled
    )


def _line_width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _least_width(columns: Sequence[_Column]) -> int:
    return sum(column.least + BETWEEN for column in columns) - BETWEEN


def _widths(columns: Sequence[_Column], width: int) -> list[int | None]:
    """Return the width of each column; None, which leaves it to rich, where all fit unbroken.

    What is left beside the least widths goes to the columns in turn, the narrowest first.
    """
    natural = [column.natural for column in columns]
    if sum(natural) + BETWEEN * (len(columns) - 1) <= width:
        return [None] * len(columns)
    widths = [column.least for column in columns]
    left = width - _least_width(columns)
    for i in sorted(range(len(columns)), key=lambda i: natural[i] - widths[i]):
        more = max(0, min(natural[i] - widths[i], left))
        widths[i] += more
        left -= more
    return [*widths]


def _table_of(columns: Sequence[_Column], width: int) -> Table:
    table = plain_table()
    for column, its_width in zip(columns, _widths(columns, width), strict=True):
        table.add_column(
            column.heading,
            justify="right" if column.is_right else "left",
            no_wrap=column.is_figure and column.is_right,
            overflow="fold",
            min_width=column.least,
            width=its_width,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))  # names may look like markup
    return table
