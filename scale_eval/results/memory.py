"""Give memory that is free in this process back to the machine.

Arrow and the C library keep freed memory for later: after reading a table of a large run, as much
as the arrays that were made from it.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator

import pyarrow as pa

LARGE = 16 * 2**20
"""Bytes above which an array is given back to the machine as soon as it is freed."""

KEPT = 64 * 2**20
"""Bytes of smaller arrays that are kept when they are freed. The C library would keep 128 kB: the
machine clears every page before it lends it again, which costs more than most sums over it."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@contextlib.contextmanager
def system_allocator() -> Iterator[None]:
    """Let Arrow allocate from the C library inside the context, as NumPy does.

    Arrow's own pools are per thread and keep the memory of threads that have ended. Inside the
    context, the C library also takes each large array from the machine by itself: in the memory
    that it keeps, large arrays would leave holes.
    """
    before = pa.default_memory_pool()
    choose = _glibc_function("mallopt")
    if choose is not None:
        choose(_M_MMAP_THRESHOLD, LARGE)
        choose(_M_TRIM_THRESHOLD, KEPT)
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def give_back() -> None:
    """Give free memory back to the machine, which takes milliseconds.

    Where the C library is not glibc, only Arrow's is given back.
    """
    pa.default_memory_pool().release_unused()
    trim = _glibc_function("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc_function(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
