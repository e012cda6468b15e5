"""Memory that is free in this process, given back to the machine.

Arrow and the C library keep what was freed, for it may be wanted again: after a table of a large
run was read, that is as much as what is held of it.
"""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa


def give_back() -> None:
    """Takes milliseconds; where the C library cannot be asked (not glibc), Arrow alone is."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
