"""Write lists of a fixed length to Parquet, each as one value of a fixed number of bytes.

Parquet only has lists of any length, and stores for every number whether its list begins there:
that takes more time to write and to read than the numbers do. So each list is written as a
`FIXED_LEN_BYTE_ARRAY` of its numbers, little-endian, one after another
(``numpy.frombuffer(value, "<f4")``). The column's metadata names the type of the numbers, so that
tables are read as they were written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pyarrow as pa

NUMBERS = {str(kind): kind for kind in (pa.float32(), pa.float64(), pa.int32(), pa.int64())}
KEY = b"scale_eval.list_of"
"""The key, in a column's metadata, under which a name in `NUMBERS` says what its bytes hold."""


def lists_to_bytes(table: pa.Table) -> pa.Table:
    """Return `table` with its lists of fixed length as bytes; lists that hold nulls stay."""
    if sys.byteorder != "little":
        return table
    return _replaced(table, _to_bytes)


def bytes_to_lists(table: pa.Table) -> pa.Table:
    """Return the table from which `lists_to_bytes` made this one."""
    return _replaced(table, _to_lists)


_FieldAndColumn = tuple[pa.Field, pa.ChunkedArray]


def _replaced(
    table: pa.Table, change: Callable[[pa.Field, pa.ChunkedArray], _FieldAndColumn | None]
) -> pa.Table:
    for i, (field, column) in enumerate(zip(table.schema, table.columns, strict=True)):
        changed = change(field, column)
        if changed is not None:
            table = table.set_column(i, *changed)
    return table


def _to_bytes(field: pa.Field, column: pa.ChunkedArray) -> _FieldAndColumn | None:
    kind = field.type
    if not pa.types.is_fixed_size_list(kind) or str(kind.value_type) not in NUMBERS:
        return None
    if any(chunk.flatten().null_count for chunk in column.chunks):
        return None
    binary = pa.binary(kind.list_size * kind.value_type.bit_width // 8)

    def as_bytes(lists: pa.FixedSizeListArray) -> pa.Array:
        numbers = lists.values
        _, data = numbers.buffers()
        begin = numbers.offset * kind.value_type.bit_width // 8
        buffers = [lists.buffers()[0], data.slice(begin)]
        return pa.Array.from_buffers(binary, len(lists), buffers, offset=lists.offset)

    chunks = [as_bytes(chunk) for chunk in column.chunks]
    described = {**(field.metadata or {}), KEY: str(kind.value_type).encode()}
    return field.with_type(binary).with_metadata(described), pa.chunked_array(chunks, binary)


def _to_lists(field: pa.Field, column: pa.ChunkedArray) -> _FieldAndColumn | None:
    metadata = dict(field.metadata or {})
    if KEY not in metadata:
        return None
    item_type = NUMBERS[metadata.pop(KEY).decode()]
    n = field.type.byte_width * 8 // item_type.bit_width
    lists = pa.list_(item_type, n)

    def as_lists(values: pa.FixedSizeBinaryArray) -> pa.Array:
        is_valid, data = values.buffers()
        numbers = pa.Array.from_buffers(item_type, (values.offset + len(values)) * n, [None, data])
        return pa.Array.from_buffers(
            lists, len(values), [is_valid], offset=values.offset, children=[numbers]
        )

    chunks = [as_lists(chunk) for chunk in column.chunks]
    return field.with_type(lists).with_metadata(metadata), pa.chunked_array(chunks, lists)
