"""The standard streams of a command: closed ones are opened on nothing, broken ones end there.

This module imports nothing that is slow.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO

from scale_eval.place_errors import naming_place

STANDARD_OUTPUT = "standard output"
"""What an error of the system calls it."""

closed: list[int] = []
"""The numbers of the standard streams that were closed when the process began."""


def open_closed() -> None:
    """Open the standard streams that are closed on nothing, and take note of them in `closed`.

    Else the next file that is opened would take the number, and what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            closed.append(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def flush() -> None:
    """Write out what is in the buffers of the streams; raises `OSError` where that fails."""
    with naming_place(STANDARD_OUTPUT):
        sys.stdout.flush()
    sys.stderr.flush()


def drop() -> None:
    """Let what is still to be printed go nowhere: the reader has gone, or the disk is full."""
    streams: tuple[IO[str], ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
