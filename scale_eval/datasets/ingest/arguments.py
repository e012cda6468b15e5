"""Check what a caller in Python passes to ingest, before anything is read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.datasets.ingest.records import IngestError


def listed_sources(files: Any) -> Any:
    """Return `files` with the values of a generator in a list, since they are looked at twice.

    Raises `IngestError` for an open file and for a Series.
    """
    for each in files if isinstance(files, list | tuple) else [files]:
        if isinstance(each, io.IOBase):
            name = getattr(each, "name", None)
            path = repr(name) if isinstance(name, str) else "pd.read_csv(file)"
            raise IngestError(f"an open file is no path: give {path}")
        if isinstance(each, pd.Series):
            raise IngestError("a Series is one column: give a DataFrame with all of them")
    return list(files) if isinstance(files, Iterator) else files


def zone_name(timezone: Any) -> Any:
    """Return the name of a time zone that was given as an object, such as a `ZoneInfo`."""
    return timezone if isinstance(timezone, str) else str(timezone)


def require_text(name: str, value: Any) -> None:
    """Raise `IngestError` where the value of an option is neither a text nor None."""
    if value is not None and not isinstance(value, str):
        raise IngestError(f"{name} is {value!r:.60}: write a text")


def listed_texts(name: str, values: Any, example: str) -> tuple[str, ...]:
    """Return the texts of an option that may be one or several.

    Raises `IngestError` for anything else, with `example` for one of them.
    """
    if isinstance(values, str):
        return (values,)
    listed = tuple(values) if isinstance(values, Iterable) else (values,)
    if not all(isinstance(each, str) for each in listed):
        raise IngestError(f"{name} is {values!r:.60}: write texts, such as {[example]!r}")
    return tuple(map(str, listed))


def require_share(max_refused: Any) -> None:
    """Raise `IngestError` where `max_refused` is no share."""
    if not isinstance(max_refused, int | float | np.number) or not 0 <= max_refused <= 1:
        raise IngestError(f"max_refused: {max_refused!r} is no share; give one from 0 to 1")


def require_names(columns: Any, company_column: Any) -> None:
    """Raise `IngestError` where the names of columns are no texts."""
    if not isinstance(columns, Mapping):
        raise IngestError(
            f"columns is {columns!r:.60}: write a dict, such as {{'customer_id': 'CustomerID'}}"
        )
    names = {**columns, "company_column": company_column}
    for key, name in names.items():
        if not isinstance(name, str) and not (key == "company_column" and name is None):
            raise IngestError(f"{key} is {name!r:.60}: write the name of a column as a text")
