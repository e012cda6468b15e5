"""Write a table whole, for programs: as CSV, JSON or Markdown.

A table comes in parts, of which there is at least one: the whole may not fit into memory.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import numpy as np
import pandas as pd


def write_csv(frames: Iterable[pd.DataFrame], file: TextIO) -> None:
    """Write CSV: numbers in full, instants as ISO 8601, lists as JSON, nulls empty."""
    writer = csv.writer(file, lineterminator="\n")
    for i, frame in enumerate(frames):
        if not i:
            writer.writerow(frame.columns)
        writer.writerows([_text(value, "") for value in row] for row in _rows(frame))


def write_json(frames: Iterable[pd.DataFrame], file: TextIO) -> None:
    """Write a list of objects, one a line; null, NaN and infinity are ``null``."""
    separator = "[\n"
    for frame in frames:
        names = [str(name) for name in frame.columns]
        for row in _rows(frame):
            finite = (None if value in (math.inf, -math.inf) else value for value in row)
            entry = dict(zip(names, finite, strict=True))
            file.write(separator + json.dumps(entry, ensure_ascii=False))
            separator = ",\n"
    file.write("\n]\n" if separator == ",\n" else "[]\n")


def write_markdown(frames: Iterable[pd.DataFrame], file: TextIO) -> None:
    """Write a Markdown table, with numbers in full and nulls empty."""
    for i, frame in enumerate(frames):
        is_number = map(pd.api.types.is_numeric_dtype, frame.dtypes)
        head = [[*frame.columns], ["--:" if number else "---" for number in is_number]]
        for cells in (*([] if i else head), *([_text(v, "") for v in row] for row in _rows(frame))):
            escaped = [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
            file.write(f"| {' | '.join(escaped)} |\n")


WRITERS: dict[str, Callable[[Iterable[pd.DataFrame], TextIO], None]] = {
    "csv": write_csv,
    "json": write_json,
    "markdown": write_markdown,
}
"""The formats by name."""


def _rows(frame: pd.DataFrame) -> Iterator[list[Any]]:
    """Yield rows of plain values: None for null and NaN, text for an instant."""
    columns = [frame[name].to_numpy(dtype=object) for name in frame]
    for row in zip(*columns, strict=True):
        yield [_plain(value) for value in row]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any, null: str) -> str:
    """Return a value as text from which it can be read again without loss."""
    if value is None:
        return null
    if isinstance(value, list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
