"""End this process where a block of code takes too long."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def ends_after(seconds: float) -> Iterator[None]:
    """End this process where the ``with`` block takes longer than `seconds`.

    The timer needs no lock of the interpreter, so that code in C cannot hold it up.
    """
    with Path(os.devnull).open("w") as nowhere:
        seconds = min(seconds, threading.TIMEOUT_MAX)  # three centuries
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
