"""Memory that is free in this process, given back to the machine.

Arrow and the C library keep what was freed, for it may be wanted again: after a table of a large
run was read, that is as much as what is held of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator

import pyarrow as pa

LARGE = 16 * 2**20
"""Bytes of an array that is given back to the machine as soon as it is freed."""

_M_MMAP_THRESHOLD = -3  # of malloc.h


@contextlib.contextmanager
def little_kept() -> Iterator[None]:
    """Arrow takes its memory from the C library meanwhile, as NumPy does.

    Its own pools are by thread, and keep what threads that have ended had. The C library for its
    part takes large arrays from the machine one by one, and not, once some were freed, from what
    it keeps: there they leave holes.
    """
    before = pa.default_memory_pool()
    choose = _of_glibc("mallopt")
    if choose is not None:
        choose(_M_MMAP_THRESHOLD, LARGE)
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def give_back() -> None:
    """Takes milliseconds; where the C library cannot be asked (not glibc), Arrow alone is."""
    pa.default_memory_pool().release_unused()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
