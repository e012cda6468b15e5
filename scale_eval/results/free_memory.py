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

_OPTIONS = {-8: 1, -3: 8 << 20, -1: 32 << 20}
"""Of glibc's `mallopt`: M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD."""


@contextlib.contextmanager
def little_kept() -> Iterator[None]:
    """Arrow takes its memory from the C library meanwhile, as NumPy does.

    Its own pools are by thread, and keep what threads that have ended had. So does the C library:
    threads that begin from here on share one pool, in which arrays that live long (8 MB and more)
    do not lie between others; it keeps no more than 32 MB at its end. That stays so: the C library
    does not say what it was before.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if option is not None:
        for name, value in _OPTIONS.items():
            option(name, value)
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
