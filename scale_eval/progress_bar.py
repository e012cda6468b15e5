"""Show progress: a bar in a terminal or a notebook's cell, occasional lines in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

COLUMNS = 100
"""Width of a bar in a notebook, in characters."""


def bar(*, total: int, label: str, unit: str, initial: int = 0, shown: bool = True) -> tqdm:
    """Return a bar that counts up to `total` and shows the time left."""
    in_a_cell = shown and in_notebook()
    return tqdm(
        total=total,
        initial=initial,
        disable=not shown,
        unit=f" {unit}",
        desc=label,
        file=_Cell() if in_a_cell else None,
        ncols=COLUMNS if in_a_cell else None,
        mininterval=0.2 if in_a_cell or sys.stderr.isatty() else 10.0,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} "
        "[{elapsed}, {remaining} left]{postfix}",
    )


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Cell:
    """A file that shows the last line written to it in a notebook's cell.

    A saved notebook keeps that line; widgets would be lost from it.
    """

    encoding = "utf-8"  # lets tqdm draw bars with blocks

    def __init__(self) -> None:
        self._line: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        line = {"text/plain": text.strip()}
        if not line["text/plain"]:
            return
        if self._line is None:
            self._line = display(line, raw=True, display_id=True)
        else:
            self._line.update(line, raw=True)

    def flush(self) -> None:
        """Do nothing, since every line is shown at once."""
