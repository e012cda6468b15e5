"""Hash a user's files and environment variables, on which results depend."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

MISSING = "missing"
_VARIABLE = "$"


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


def read_hash(name: str) -> str:
    """Return the hash of what a model read: of a file, or of a variable written as ``$NAME``."""
    if name.startswith(_VARIABLE):
        return variable_hash(os.environ.get(name.removeprefix(_VARIABLE)))
    return file_hash(name)


def read_in_words(name: str) -> str:
    """Return ``the file weights.json``, or ``the environment variable DECAY`` for ``$DECAY``."""
    if name.startswith(_VARIABLE):
        return f"the environment variable {name.removeprefix(_VARIABLE)}"
    return f"the file {name}"


def shown_variable(name: str) -> str:
    """Return the name of an environment variable as it is recorded."""
    return _VARIABLE + name


def variable_hash(value: str | None) -> str:
    """Return the SHA-256 of a variable's value; `MISSING` where it is not set."""
    return MISSING if value is None else hashlib.sha256(os.fsencode(value)).hexdigest()
