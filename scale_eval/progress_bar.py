"""A progress bar: in a terminal, in a notebook's cell, or a line now and then in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

COLUMNS = 100
"""Width of a bar in a notebook, in characters."""


def bar(*, total: int, doing: str, unit: str, initial: int = 0, shown: bool = True) -> tqdm:
    """A bar that counts up to `total`, with the time left; `doing` stands before it."""
    in_a_cell = shown and in_notebook()
    return tqdm(
        total=total,
        initial=initial,
        disable=not shown,
        unit=f" {unit}",
        desc=doing,
        file=_Cell() if in_a_cell else None,
        ncols=COLUMNS if in_a_cell else None,
        mininterval=0.2 if in_a_cell or sys.stderr.isatty() else 10.0,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} "
        "[{elapsed}, {remaining} left]{postfix}",
    )


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which has cells to write to."""
    ipython = sys.modules.get("IPython")  # where it is not imported, there is none
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Cell:
    """A line of a notebook's cell that is written over, as a file.

    The notebook keeps what it said last. Needs no widgets, which are gone from a saved notebook.
    """

    encoding = "utf-8"  # so that bars are drawn with blocks

    def __init__(self) -> None:
        self._line: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        said = {"text/plain": text.strip()}
        if not said["text/plain"]:
            return
        if self._line is None:
            self._line = display(said, raw=True, display_id=True)
        else:
            self._line.update(said, raw=True)

    def flush(self) -> None:
        """Nothing waits."""
