"""Check the text of Arrow columns: files and tables may hold bytes there that are not UTF-8."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types

from scale_eval.datasets.ingest.records import IngestError


def checked_text(
    label: object, role: str, name: str, column: pa.Array, first: int | None
) -> pa.Array:
    """Return a column whose text is UTF-8, and without a dictionary.

    Bytes without a type, as Impala writes text, are text.

    Parameters
    ----------
    label : object
        The input, as messages call it.
    role, name : str
        The column's.
    column : pyarrow.Array
    first : int or None
        The number of its first row; None where positions are none of rows.

    Raises
    ------
    IngestError
        It holds bytes that are not UTF-8; the message names the row.
    """
    if types.is_dictionary(column.type):
        values = checked_text(label, role, name, column.dictionary, None)
        return values.take(column.indices)  # a cast knows only some types
    kind = column.type
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    try:
        if is_bytes:
            return column.cast(pa.large_string())
        if is_text:
            column.validate(full=True)
            if types.is_string_view(kind):  # of which Arrow takes none
                return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        row, text = _first_not_utf_8(column)
        where = "" if first is None else f"row {first + row}, "
        raise IngestError(
            f"{label}: {where}column {name!r} ({role}): {text[:60]!r} is not UTF-8, "
            f"which text must be; write the column anew as text (in cp1252 this reads "
            f"{text[:60].decode('cp1252', 'replace')!r})"
        ) from None
    return column


def _first_not_utf_8(column: pa.Array) -> tuple[int, bytes]:
    for i in range(len(column)):
        field = column[i]
        try:
            _ = field.is_valid and field.as_buffer().to_pybytes().decode()
        except UnicodeDecodeError:
            return i, field.as_buffer().to_pybytes()
    raise AssertionError("Arrow found bytes that are not UTF-8")
