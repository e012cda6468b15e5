"""Recognize what lies at a path, to say which command is meant where it is the wrong thing.

It looks at names alone, and imports nothing that is slow: a mistake is answered at once.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

RUN, DATASET = "run.json", "manifest.parquet"
"""The files by which a run and a dataset are recognized."""

TEXT_SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
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
    else:
        what = _held(path, is_run) or (
            f"{_what(path)}; make one: scale-eval run DATASET --out {_shown(path)}"
        )
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
        what = (
            f"{_what(path)}; make a dataset of it: scale-eval ingest {_shown(path)} --into "
            f"{_shown(Path('datasets') / _stem(path))}"
        )
    else:
        what = _held(path, is_dataset) or _folder_to_ingest(path)
    raise FileNotFoundError(f"{path} is not a dataset: {what}")


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
    files = _tables_in(path)
    if files:
        suffix = next(s for s in (*TEXT_SUFFIXES, ".parquet") if files[0].name.lower().endswith(s))
        return (
            f"{_what(path)}; make a dataset of them: scale-eval ingest {_shown(path)}/*{suffix} "
            f"--into {_shown(Path('datasets') / (path.name or 'mine'))}"
        )
    return f"{_what(path)}; make one: scale-eval ingest FILE... --into {_shown(path)}"


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
        return sorted(f for f in files if f.name.lower().endswith((*TEXT_SUFFIXES, ".parquet")))
    return []


def _dataset_of(run: Path) -> str:
    """Return the place of a run's dataset, as its record has it; "" where it has none."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((run / RUN).read_text(encoding="utf-8")).get("dataset", ""))
    return ""


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or "mine"


def _shown(path: str | Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
