"""Show what is waited for: a line in a terminal or a notebook's cell, some lines in a log file."""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from scale_eval.printable import message_shown, printable

if TYPE_CHECKING:
    from tqdm import tqdm

COMPILING = "compiling the numerical code, once for this machine: about a minute"
"""The stage in which Numba compiles what a machine has not compiled before."""

TABLES = "making the tables"
COMPILING_TABLES = "making the tables: compiling their code, once for this machine"

COLUMNS = 100
"""Width of a bar in a notebook, in characters."""

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
LOGGED_BAR = "{desc}: {percentage:.0f} % ({n_fmt}/{total_fmt}) [{elapsed}{postfix}]"
STAGE = "{desc} [{elapsed}]"

FIRST_SHARE, FIRST_SECONDS = 0.1, 5.0
"""The share of the work, and the seconds, after which the time left is told: before, it would be
extrapolated from the first few tasks."""


class Screen:
    """A screen is where a command, or a notebook's cell, shows what it is doing.

    Parameters
    ----------
    shown : bool
        Whether to show anything.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self.shown = shown
        self.is_log = not in_notebook() and not sys.stderr.isatty()
        self._appearance: dict[str, Any] = {"disable": not shown}
        if in_notebook():  # one line, in which all that is shown is written over
            self._appearance |= {"file": _Cell(), "ncols": COLUMNS}
        elif self.is_log:
            self._appearance |= {"file": _Log(sys.stderr), "ncols": COLUMNS}

    def bar(self, *, total: int, label: str, unit: str, initial: int = 0) -> tqdm:
        """Return a bar that counts up to `total`."""
        from tqdm import tqdm

        return tqdm(
            total=total,
            initial=initial,
            unit=f" {unit}",
            desc=printable(label),
            bar_format=LOGGED_BAR if self.is_log else BAR,
            mininterval=10.0 if self.is_log else 0.2,
            **self._appearance,
        )

    def stage(self, label: str) -> Stage:
        """Show what is waited for, until the stage is closed."""
        return Stage(label, self)

    def line(self, label: str) -> tqdm:
        """Return a line without a bar, which goes when it is closed."""
        from tqdm import tqdm

        return tqdm(desc=printable(label), bar_format="{desc}", leave=False, **self._appearance)

    def say(self, sentence: str) -> None:
        """Print a sentence without breaking the bar."""
        if self.shown:
            from tqdm import tqdm

            tqdm.write(message_shown(sentence), file=sys.stdout if in_notebook() else sys.stderr)


class Stage(AbstractContextManager["Stage"]):
    """A stage names what is waited for within a ``with`` block, and for how long it has been.

    In a terminal its line goes with it; a log file keeps it, and says every minute that it lasts.
    """

    def __init__(self, label: str, screen: Screen) -> None:
        self._seconds = 60.0 if screen.is_log else 0.5
        self._ended = threading.Event()
        self._line = screen.line(label)
        self._clock = threading.Thread(target=self._tick, daemon=True)
        if screen.shown:
            self._clock.start()

    def rename(self, label: str) -> None:
        """Name something else that is waited for."""
        if not self._line.disable and not self._ended.is_set():
            self._line.bar_format = "{desc}"
            self._line.set_description_str(printable(label))

    def close(self) -> None:
        """End the stage."""
        self._ended.set()
        if self._clock.is_alive():
            self._clock.join()
        self._line.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _tick(self) -> None:
        while not self._ended.wait(self._seconds):
            self._line.bar_format = STAGE
            self._line.refresh()


def seconds_left(elapsed: float, share_done: float) -> float | None:
    """Return how long the rest takes, or None where too little is done to say.

    Parameters
    ----------
    elapsed : float
        Seconds since the work began, without what was waited for before.
    share_done : float
        The part of the work that is done, by its estimated cost: by number, work that is done in
        the order of its cost, the longest first, would seem to take far too long.
    """
    if elapsed < FIRST_SECONDS or share_done < FIRST_SHARE:
        return None
    return elapsed * (1 - share_done) / share_done


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Log:
    """A file that writes each state of a bar as a line of its own."""

    encoding = "ascii"

    def __init__(self, file: TextIO) -> None:
        self._file, self._last = file, ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self._last:
            self._last = line
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()


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
