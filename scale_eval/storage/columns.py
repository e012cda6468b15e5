"""Declare the columns of a table in one place: the name, type and meaning of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
COUNT = pa.int64()
NUMBER = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Column:
    """A column has a name, a type and a meaning.

    Attributes
    ----------
    name : str
    type : pyarrow.DataType
    doc : str
        What the column holds, in a sentence.
    null : str
        When it is null; empty for a column that never is.
    """

    name: str
    type: pa.DataType
    doc: str
    null: str = ""


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Return the schema of a table that has these columns."""
    return pa.schema([(column.name, column.type) for column in columns])
