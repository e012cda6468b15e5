"""List the formats of files that ingest reads; a new one is a module and an entry here."""

from __future__ import annotations

from pathlib import Path

from scale_eval.datasets.ingest.csv import DELIMITED_TEXT
from scale_eval.datasets.ingest.parquet import PARQUET
from scale_eval.datasets.ingest.records import InputFormat

FORMATS = (PARQUET, DELIMITED_TEXT)
"""All formats. The first that recognizes a file reads it; delimited text accepts any file."""

SUFFIXES = frozenset[str]().union(*(each.suffixes for each in FORMATS))


def without_suffixes(name: str) -> str:
    """Return a file's name or path without its endings, such as ``.csv.gz``."""
    while True:
        stem, dot, suffix = name.rpartition(".")
        if not stem.rpartition("/")[2] or dot + suffix.lower() not in SUFFIXES:
            return name
        name = stem


def format_of(path: Path) -> InputFormat:
    """Return the format of a file, by its first bytes; raise `OSError` if it cannot be read."""
    return _recognize(_start(path))


def text_bytes(path: Path) -> int:
    """Estimate the bytes that a file would take as plain text."""
    start = _start(path)
    return path.stat().st_size * _recognize(start).expansion(start)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _recognize(start: bytes) -> InputFormat:
    return next(each for each in FORMATS if each.recognizes(start))
