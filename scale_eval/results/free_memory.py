"""Memory that is free in this process, given back to the machine.

Arrow and the C library keep what was freed, for it may be wanted again: after a table of a large
run was read, that is as much as what is held of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import pyarrow as pa


@contextlib.contextmanager
def little_kept() -> Iterator[None]:
    """Arrow takes its memory from the C library meanwhile, as NumPy does.

    Its own pools are by thread, and keep what threads that have ended had.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def give_back() -> None:
    """Takes milliseconds; where the C library cannot be asked (not glibc), Arrow alone is."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
