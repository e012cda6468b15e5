"""Hash the files that a model says it reads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

MISSING = "missing"


def declared_files(model: Any) -> dict[str, str]:
    """Return the SHA-256 of each file that a model names in `files`, by its path.

    `files` is a path, a list of paths, or a method that returns one of these; anything else is
    taken for something of the model's own, and left alone. A folder stands for the files in it.
    """
    declared = getattr(model, "files", ())
    if callable(declared) and not isinstance(model, type):
        try:
            declared = declared()
        except Exception:  # it takes arguments: a method of another meaning
            return {}
    if isinstance(declared, str | os.PathLike):
        declared = [declared]
    if not isinstance(declared, list | tuple):
        return {}
    if not all(isinstance(each, str | os.PathLike) for each in declared):
        return {}
    return {shown(each): file_hash(each) for each in sorted(map(os.fspath, declared))}


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as it is recorded: relative to the current folder where it is below it."""
    whole = Path(path).expanduser().absolute()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, or of the files in a folder; `MISSING` where there is none."""
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            within = sorted(each for each in place.rglob("*") if each.is_file())
            names = [f"{each.relative_to(place)} {file_hash(each)}" for each in within]
            return hashlib.sha256("\n".join(names).encode()).hexdigest()
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return MISSING
