"""Customer ids of a company, kept as positions in a dictionary until they are read.

Most models never look at an id, so ids stay as they are on disk: positions in a dictionary of
strings, which many companies may share.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from scale_eval.compiling import compiled

N_CUSTOMER_GROUPS = 16

_CRC_OF_BYTE = np.array(
    [zlib.crc32(bytes([byte])) ^ zlib.crc32(b"\0") for byte in range(256)], dtype=np.uint32
)
"""The table of CRC-32 by byte: `zlib.crc32` is affine in the bits, and its constant cancels."""


@dataclass(frozen=True, eq=False)
class CustomerIds:
    """Customer ids of a company, in the order of its codes.

    Attributes
    ----------
    dictionary : pyarrow.StringArray
        Each id once; it may also hold ids of other companies.
    positions : ndarray of int32, shape (n_customers,)
        Position of each customer's id in `dictionary`.
    groups : ndarray of uint8, shape (n_customers,)
        See `customer_groups`.
    """

    dictionary: pa.StringArray
    positions: np.ndarray
    groups: np.ndarray

    @classmethod
    def from_strings(cls, ids: pa.StringArray) -> CustomerIds:
        """Return the customers with these `ids`, in this order."""
        return cls(ids, np.arange(len(ids), dtype=np.int32), customer_groups(ids))

    def __len__(self) -> int:
        return len(self.positions)

    def __reduce__(self) -> tuple[Callable[..., CustomerIds], tuple[Any, ...]]:
        return CustomerIds.from_strings, (self.array,)  # without other companies' ids

    @cached_property
    def array(self) -> pa.StringArray:
        """Return the ids as strings, copied out of the dictionary; shape (n_customers,)."""
        return self.dictionary.take(pa.array(self.positions))

    def slice(self, start: int, stop: int) -> CustomerIds:
        """Return the customers from `start` to before `stop`, in the same dictionary."""
        return CustomerIds(self.dictionary, self.positions[start:stop], self.groups[start:stop])

    def take(self, chosen: np.ndarray) -> CustomerIds:
        """Return the customers at the positions `chosen`, in a dictionary without any other id."""
        ids = self.dictionary.take(pa.array(self.positions[chosen]))
        return CustomerIds(ids, np.arange(len(ids), dtype=np.int32), self.groups[chosen])


def customer_groups(ids: pa.StringArray) -> np.ndarray:
    """Return the group of each id: CRC-32 of its UTF-8 bytes modulo 16; uint8, shape (len(ids),).

    Equal to ``zlib.crc32(id.encode()) % 16`` of each, without making a Python object for it.
    """
    offsets, data = string_buffers(ids)
    return _groups(offsets, data, _CRC_OF_BYTE)


def string_buffers(ids: pa.StringArray | pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each string begins (shape (n + 1,)), and the bytes of all (uint8).

    The former are int32, or int64 for large strings.
    """
    kind = np.int64 if pa.types.is_large_string(ids.type) else np.int32
    _, offsets, data = ids.buffers()
    if offsets is None or not len(ids):
        return np.zeros(1, dtype=kind), np.zeros(0, dtype=np.uint8)
    bounds = np.frombuffer(offsets, dtype=kind, count=ids.offset + len(ids) + 1)[ids.offset :]
    text = np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else None
    if text is None:
        text = np.frombuffer(b"\0", dtype=np.uint8)
    return bounds, text


@compiled
def _groups(offsets, data, crc_of_byte):  # type: ignore[no-untyped-def]
    groups = np.empty(len(offsets) - 1, dtype=np.uint8)
    for i in range(len(groups)):
        crc = np.uint32(0xFFFFFFFF)
        for j in range(offsets[i], offsets[i + 1]):
            byte = np.uint8((crc ^ np.uint32(data[j])) & np.uint32(0xFF))
            crc = crc_of_byte[byte] ^ (crc >> np.uint32(8))
        groups[i] = np.uint8((crc ^ np.uint32(0xFFFFFFFF)) & np.uint32(N_CUSTOMER_GROUPS - 1))
    return groups
