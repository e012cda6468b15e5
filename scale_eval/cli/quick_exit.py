"""End the process of a command when its work is done, without taking apart what it has imported.

Python would delete every module and object first, which takes a second for those of Dask, pandas
and Matplotlib. This module imports nothing that is slow.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator

from scale_eval.cli import streams

_code = 0


@contextlib.contextmanager
def quick_exit() -> Iterator[None]:
    """End the process, after what the ``with`` block registers for its end, with the code of that.

    The block is all that the process does: whoever suppresses its `SystemExit` changes no code.
    """
    global _code
    atexit.register(_end)  # before all others, so called after them
    _code = 1  # an exception that nobody expects; Python shows it before it calls `_end`
    try:
        yield
    except SystemExit as end:
        _code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    _code = 0


def _end() -> None:
    streams.drop()
    os._exit(_code)
