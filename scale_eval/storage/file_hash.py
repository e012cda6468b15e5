"""Hash a user's files, on which results depend."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

MISSING = "missing"


def shown_path(path: str | os.PathLike[str]) -> str:
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
