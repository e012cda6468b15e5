"""Find the files that a path names: a file, a folder of them, or a pattern such as ``*.csv``."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.places import is_dataset
from scale_eval.printable import as_typed

_MARKS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_", "_started_")
"""Beginnings of the names of files that Spark and its relatives write beside the rows."""


def files_at(given: str | os.PathLike[str]) -> list[tuple[Path, bool]]:
    """Return the files that a path names, sorted, and whether a folder was given for each.

    In a folder, at any depth, hidden files do not count; nowhere do the marks that Spark leaves
    (``_SUCCESS``, ``*.crc``).

    Raises
    ------
    IngestError
        Nothing is there, or a folder holds a dataset, a Delta or Iceberg table, or an unfinished
        job of Spark.
    """
    path = Path(given)
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return _files_of(path)
    # Path.glob would want the folder apart from the pattern.
    found = [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not found:
        raise IngestError(f"{path}: no file matches; give a path, or another pattern")
    return [pair for each in found for pair in _files_of(each)]


def _files_of(path: Path) -> list[tuple[Path, bool]]:
    if is_dataset(path):
        raise IngestError(
            f"{path} is a dataset already; evaluate it: scale-eval run {as_typed(str(path))}"
        )
    if not path.is_dir():
        return [] if _is_mark(path.name) else [(path, False)]
    files = sorted(_walk(path, set()))
    if not files:
        raise IngestError(f"{path} is a directory without files; name one that holds some")
    return [(each, True) for each in files]


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:  # a link to a folder above it
        return
    names = {each.name for each in folder.iterdir()}
    _check_is_plain(folder, names)
    for name in sorted(names):
        path = folder / name
        if path.is_dir():
            if not name.startswith((".", "_")):
                yield from _walk(path, seen | {real})
        elif not name.startswith(".") and not _is_mark(name):
            yield path


def _check_is_plain(folder: Path, names: set[str]) -> None:
    if is_dataset(folder):
        raise IngestError(
            f"{folder} is a dataset already; evaluate it (scale-eval run "
            f"{as_typed(str(folder))}), and name the files to be ingested one by one"
        )
    metadata = folder / "metadata"
    kind = "Delta" if "_delta_log" in names else "Hudi" if ".hoodie" in names else ""
    if "metadata" in names and metadata.is_dir() and any(metadata.glob("*.metadata.json")):
        kind = "Iceberg"
    if kind:
        raise IngestError(
            f"{folder} is a {kind} table, and its folder also holds rows that were deleted or "
            "changed since; write its current rows as Parquet, and ingest those"
        )
    if "_temporary" in names and "_SUCCESS" not in names:
        raise IngestError(
            f"{folder} is written by a job of Spark that has not ended (_temporary); wait for it, "
            "or run it again"
        )


def _is_mark(name: str) -> bool:
    return name.startswith(_MARKS) or name.endswith(".crc")
