"""Recognize what lies at a path, to say which command is meant where it is the wrong thing.

It looks at names alone, and imports nothing that is slow: a mistake is answered at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scale_eval.printable import as_typed

RUN, DATASET = "run.json", "manifest.parquet"
"""The files by which a run and a dataset are recognized."""

TEXT_SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
_LISTED = 3


def is_run(place: Path) -> bool:
    """Return whether there is a run."""
    return (place / RUN).is_file()


def is_dataset(place: Path) -> bool:
    """Return whether there is a dataset."""
    return (place / DATASET).is_file()


def require_run(place: str | os.PathLike[str]) -> None:
    """Raise `FileNotFoundError` where there is no run, with what there is and what to do."""
    path = Path(place).expanduser()
    if is_run(path):
        return
    if is_dataset(path):
        what = f"it is a dataset; evaluate it: scale-eval run {_shown(path)} --out RUN"
    elif path.name in ("report.html", RUN) and is_run(path.parent):
        what = f"it is a file of the run {path.parent}; name that"
    elif path.is_file() and is_dataset(path.parent):
        what = (
            f"it is a file of the dataset {path.parent}; evaluate that: scale-eval run "
            f"{_shown(path.parent)} --out RUN"
        )
    else:
        what = _held(path, is_run) or f"{_what(path)}; {_run_to_make(path)}"
    raise FileNotFoundError(f"{path} is not a run: {what}")


def require_dataset(place: str | os.PathLike[str]) -> None:
    """Raise `FileNotFoundError` where there is no dataset, with what there is and what to do."""
    path = Path(place).expanduser()
    if is_dataset(path):
        return
    if is_run(path):
        dataset = _dataset_of(path)
        what = (
            f"it is a run{f' of the dataset {dataset}' if dataset else ''}. Look at it: scale-eval "
            f"show {_shown(path)}. Go on with it: scale-eval run "
            f"{_shown(dataset) if dataset else 'DATASET'} --out {_shown(path)}"
        )
    elif path.is_file() and is_dataset(path.parent):
        what = f"it is a file of the dataset {path.parent}; name that"
    elif path.is_file():
        shown, into = _ingestible(path)
        what = f"{_what(path)}; make a dataset of it: scale-eval ingest {shown} --into {into}"
    else:
        what = _held(path, is_dataset) or _folder_to_ingest(path)
    raise FileNotFoundError(f"{path} is not a dataset: {what}")


def _run_to_make(path: Path) -> str:
    """Return the command that makes a run; it goes to `path` only where there is room for it."""
    files = [path] if path.is_file() and _is_table(path) else _tables_in(path)
    if files:
        shown, into = _ingestible(path)
        them = "it" if path.is_file() else "them"
        return (
            f"make a dataset of {them}, then a run: scale-eval ingest {shown} --into {into}; "
            f"scale-eval run {into} --out RUN"
        )
    is_free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    return f"make one: scale-eval run DATASET --out {_shown(path) if is_free else 'RUN'}"


def _held(path: Path, is_one: Callable[[Path], bool]) -> str:
    """Name the runs or datasets that a folder holds; "" where it holds none."""
    with suppress(OSError):
        held = sorted(each.name for each in path.iterdir() if is_one(each))
        if held:
            more = f" and {len(held) - _LISTED} more" if len(held) > _LISTED else ""
            names = ", ".join(str(path / name) for name in held[:_LISTED])
            return f"it is a folder that holds {names}{more}; name one of these"
    return ""


def _folder_to_ingest(path: Path) -> str:
    if _tables_in(path):
        shown, into = _ingestible(path)
        return f"{_what(path)}; make a dataset of them: scale-eval ingest {shown} --into {into}"
    return f"{_what(path)}; make one: scale-eval ingest FILE... --into {_shown(path)}"


def _ingestible(path: Path) -> tuple[str, str]:
    """Return what `ingest` is to read of a file or folder of rows, and where to, for a shell."""
    if path.is_file():
        return _shown(path), _shown(Path("datasets") / _stem(path))
    first = _tables_in(path)[0].name.lower()
    suffix = next(s for s in _TABLE_SUFFIXES if first.endswith(s))
    return f"{_shown(path)}/*{suffix}", _shown(Path("datasets") / (path.name or "mine"))


def _what(path: Path) -> str:
    """Describe what lies at a path."""
    if not path.exists():
        return "there is nothing of this name"
    if not path.is_dir():
        name = path.name.lower()
        if name.endswith(TEXT_SUFFIXES):
            return "it is a CSV file"
        return "it is a Parquet file" if name.endswith(".parquet") else "it is a file"
    n = len(_tables_in(path))
    if n:
        return f"it is a folder of {n:,} {'file' if n == 1 else 'files'} of rows"
    return "it is a folder of other things" if any(path.iterdir()) else "it is an empty folder"


def _tables_in(path: Path) -> list[Path]:
    """Return the files in a folder that `ingest` could read; none where it is no folder."""
    with suppress(OSError):
        files = [each for each in path.iterdir() if each.is_file()]
        return sorted(filter(_is_table, files))
    return []


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith(_TABLE_SUFFIXES)


def _dataset_of(run: Path) -> str:
    """Return the place of a run's dataset, as its record has it; "" where it has none."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((run / RUN).read_text(encoding="utf-8")).get("dataset", ""))
    return ""


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or "mine"


def _shown(path: str | Path) -> str:
    """Return a path as a shell takes it."""
    return as_typed(str(path))
