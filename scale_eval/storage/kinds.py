"""Choose the kind of store that serves a place."""

from __future__ import annotations

import os

from scale_eval.storage.base import Store
from scale_eval.storage.local import LocalStore


def open_store(place: str | os.PathLike[str] | Store) -> Store:
    """Return the store at `place`, which is a local or network path.

    Raises `ValueError` for an address (``s3://...``) that no kind of store serves.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    text = os.fspath(place)
    if "://" in text:
        raise ValueError(
            f"{text}: only paths are served; copy the data to a path that all workers see"
        )
    return LocalStore(text)
