"""Refuse to start processes from the top level of a script, which each of them would run again."""

from __future__ import annotations

import ast
import contextlib
import inspect
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple


class ScriptLine(NamedTuple):
    """A line of the script that this process runs, at its top level.

    Attributes
    ----------
    path : str
    line : int
    is_conditional : bool
        Whether it stands under an ``if``, or below one that asks for ``__name__``: the script may
        have a guard of its own making.
    """

    path: str
    line: int
    is_conditional: bool

    @property
    def sentence(self) -> str:
        """Return what is wrong, and the remedy."""
        return (
            f"{self.path}, line {self.line}, starts worker processes, and each of them would run "
            'the script again from its first line; put the call under if __name__ == "__main__":'
        )


def end_worker_that_runs_the_script() -> None:
    """End a worker process that imports a script without a guard; its parent says what is wrong."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


def require_main_guard() -> None:
    """Raise `RuntimeError` where the script that is about to start processes surely has no guard.

    A worker process that is running such a script ends.
    """
    end_worker_that_runs_the_script()
    line = unguarded_line()
    if line is not None and not line.is_conditional:
        raise RuntimeError(line.sentence)


@contextlib.contextmanager
def suspecting_a_missing_guard() -> Iterator[None]:
    """Start processes in this block: if it fails in a script that shows no guard, say so."""
    try:
        yield
    except (RuntimeError, OSError, EOFError):
        line = unguarded_line()
        if line is None:
            raise
        raise RuntimeError(line.sentence) from None


def unguarded_line() -> ScriptLine | None:
    """Return the line of the script that is being run now, if it has no ``__main__`` guard.

    Returns None where nothing is run at the top level of a script, as in a notebook, a console or
    a program that is imported, and where the script cannot be read.
    """
    path = _script()
    frame = _top_level()
    if path is None or frame is None:
        return None
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    conditions = _conditions(tree, frame.f_lineno)
    if any(_asks_for_name(each) for each in conditions):
        return None
    above = [each for each in tree.body if each.lineno < frame.f_lineno]
    may_have_ended = any(isinstance(e, ast.If) and _asks_for_name(e.test) for e in above)
    return ScriptLine(str(path), frame.f_lineno, bool(conditions) or may_have_ended)


def _script() -> Path | None:
    """Return the script that a process started from here would import, as multiprocessing does."""
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", "")
    path = getattr(main, "__file__", None)
    if path is None or name.rpartition(".")[2] == "__main__" or Path(path).stem == "ipython":
        return None
    return Path(path)


def _top_level() -> FrameType | None:
    """Return the frame of the script's own statements, if they are being run."""
    frame = inspect.currentframe()
    variables = vars(sys.modules["__main__"]) if "__main__" in sys.modules else None
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is variables:
            return frame
        frame = frame.f_back
    return None


def _conditions(tree: ast.Module, line: int) -> list[ast.expr]:
    """Return the conditions of all ``if`` and ``while`` statements around a line."""
    return [
        node.test
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.While)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]


def _asks_for_name(condition: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(condition))
