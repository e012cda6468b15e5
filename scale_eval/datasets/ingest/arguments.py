"""Check what a caller in Python passes to ingest, before anything is read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

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
    return timezone if isinstance(timezone, str) or timezone is None else str(timezone)


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
