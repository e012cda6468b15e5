"""Hash the files that a model says it reads."""

from __future__ import annotations

import os
from typing import Any

from scale_eval.storage.file_hash import file_hash, shown_path


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
    return {shown_path(each): file_hash(each) for each in sorted(map(os.fspath, declared))}
