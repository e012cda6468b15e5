"""Turn Arrow columns into records: ids as text, timestamps and values by their type."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from scale_eval.datasets.ingest.arrow_text import checked_text
from scale_eval.datasets.ingest.records import TEXT_LENGTH, IngestError, RecordBatch
from scale_eval.datasets.ingest.zone_names import zone_of

ROWS_PER_BATCH = 100_000


def typed_batch(
    label: object, names: Mapping[str, str], columns: Mapping[str, pa.Array], first: int
) -> RecordBatch:
    """Return the records of Arrow columns of equal length.

    Parameters
    ----------
    label : object
        The input, as messages call it.
    names, columns : mapping
        The name and the content of each column by its role.
    first : int
        The number of the first row; an input's rows are numbered from 1.

    Raises
    ------
    IngestError
        A column has an unusable type: an id that is a floating-point number has lost its leading
        zeros and perhaps its last digits.
    """
    picked = {
        role: _as_read(label, role, name, checked_text(label, role, name, columns[role], first))
        for role, name in names.items()
    }

    def text(i: int) -> str:
        return ",".join(_text(column[i]) for column in picked.values())[:TEXT_LENGTH]

    n_rows = len(next(iter(picked.values())))
    return RecordBatch(picked, first + np.arange(n_rows), text, refused=[])


def _text(field: pa.Scalar) -> str:
    if types.is_timestamp(field.type):  # in UTC: Arrow looks for zones on the machine, not here
        field = field.cast(pa.timestamp(field.type.unit))
    return field.cast(pa.string()).as_py() or ""


def _as_read(label: object, role: str, name: str, column: pa.Array) -> pa.Array:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    with contextlib.suppress(pa.ArrowNotImplementedError):  # a categorical of no usable type
        column = column.cast(kind)
    if is_text(kind) or types.is_null(kind) or (types.is_integer(kind) and role != "value"):
        return column.cast(pa.large_string())
    if role == "value" and types.is_decimal(kind):
        return column.cast(pa.large_string()).cast(pa.float64())  # by its digits: rounded once
    if role == "value" and (types.is_integer(kind) or types.is_floating(kind)):
        return column.cast(pa.float64(), safe=False)
    if role == "timestamp" and (types.is_date(kind) or types.is_timestamp(kind)):
        return typed_timestamps(label, name, column)
    if role == "timestamp" and types.is_floating(kind):  # numbers of which some are missing
        return _numbers_as_text(column.cast(pa.float64(), safe=False))
    wanted = {"timestamp": "a timestamp, a date, text or unix time", "value": "a number or text"}
    raise IngestError(
        f"{label}: column {name!r} ({role}) has type {kind}; "
        f"write it as {wanted.get(role, 'text (an integer will do)')}"
    )


def _numbers_as_text(column: pa.Array) -> pa.Array:
    """Return whole numbers without a point, as they were before some were missing.

    Nanoseconds since 1970 are off by 128 at most: of whole seconds, by none.
    """
    is_whole = pc.and_(pc.equal(pc.round(column), column), pc.less(pc.abs(column), 2.0**63))
    whole = pc.if_else(is_whole, column, None).cast(pa.int64()).cast(pa.large_string())
    return pc.coalesce(whole, column.cast(pa.large_string()))


def typed_timestamps(label: object, name: str, column: pa.Array) -> pa.Array:
    """Return dates as timestamps, and timestamps as they are.

    Raises `IngestError`, with `label` and the `name` of the column, where they are in a time zone
    that nobody knows.
    """
    if types.is_date(column.type):
        return column.cast(pa.timestamp("s" if types.is_date32(column.type) else "ms"))
    zone = column.type.tz
    try:
        _ = zone and zone_of(zone)
    except KeyError:
        raise IngestError(
            f"{label}: column {name!r} is in the time zone {zone!r}, which is neither in the IANA "
            "database (such as 'Europe/Berlin') nor an offset (such as '+01:00'); write the column "
            "in UTC"
        ) from None
    return column


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type of Arrow is one of its types of strings."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
