"""End a command with one sentence when Ctrl-C is pressed, at whatever moment and however often.

This module is imported before all others, and imports nothing that is slow: a traceback that shows
where an import was interrupted would help nobody. SIGTERM, which batch systems send, and SIGHUP,
which a terminal or a connection sends that goes, are treated as Ctrl-C.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNFINISHED = 3
"""The exit code of a command that did not finish."""

NOTHING_DONE = "Interrupted before anything was done."
DONE_IS_KEPT = "Interrupted. What is done is on disk; the same command goes on from there."
BEGINS_ANEW = "Interrupted. The same command begins anew."

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command. As after `nohup`, one that is ignored stays so."""

_is_interrupted = _has_said = False
_run: str | None = None


def keeps_in(run: str) -> None:
    """Take note that the command keeps what is done in the run at `run`, once there is one."""
    global _run
    _run = run


def end_at_once() -> None:
    """End the process at an interruption, from now until `raise_once`: there is nothing to undo."""
    atexit.register(_handle, signal.SIG_IGN)  # registered first, so called last
    _handle(lambda *_: _end(NOTHING_DONE))


def raise_once() -> None:
    """Raise `KeyboardInterrupt` at an interruption, so that what is done is kept; end at a second.

    Python drops an exception that is raised while an object is deleted; such an interruption ends
    the process, too.
    """
    from scale_eval import children

    children.end_with_process = True
    _handle(_raise)
    sys.unraisablehook = _end_if_dropped


def say(sentence: str | None = None) -> None:
    """Say that the command was interrupted, and by default what is kept, unless that was said."""
    global _has_said
    if not _has_said:
        _has_said = True
        with contextlib.suppress(OSError):  # the terminal has gone
            os.write(2, f"\n{sentence or _what_is_kept()}\n".encode())


def end_if_interrupted() -> None:
    """End the process without ado where it was interrupted: much of it may be half begun."""
    if _is_interrupted:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        _end()


def _what_is_kept() -> str:
    if _run is None:
        return BEGINS_ANEW
    return DONE_IS_KEPT if is_begun() else NOTHING_DONE


def is_begun() -> bool:
    """Return whether the command keeps what is done in a run, and that run was begun."""
    from scale_eval.places import is_run

    with contextlib.suppress(OSError):
        return _run is not None and is_run(Path(_run).expanduser())
    return False


def _handle(handler: Callable[..., Any] | signal.Handlers) -> None:
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
                signal.signal(number, handler)


def _raise(*_: object) -> None:
    global _is_interrupted
    _is_interrupted = True
    _handle(lambda *_: _end())
    for number in (signal.SIGTERM, signal.SIGHUP):  # a batch system may send several
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_if_dropped(unraisable: Any) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(unraisable)


def _end(sentence: str | None = None) -> None:
    """End this process and those that it began; locks of a run end with them."""
    say(sentence)
    with contextlib.suppress(Exception):
        if "scale_eval.children" in sys.modules:
            sys.modules["scale_eval.children"].end_all()
    os._exit(UNFINISHED)
