"""Choose the kind of store that serves a place."""

from __future__ import annotations

import os

from scale_eval.storage.base import Store
from scale_eval.storage.local import LocalStore


def open_store(place: str | os.PathLike[str] | Store) -> Store:
    """Return the store at `place`, which is a local or network path.

    Raises `ValueError` for an address (``s3://...``) that no kind of store serves, for the empty
    text, and for what is no path.
    """
    if not isinstance(place, str | os.PathLike) and hasattr(place, "open_input"):
        return place
    if not isinstance(place, str | os.PathLike) or not isinstance(os.fspath(place), str):
        raise ValueError(f"a place is a path, such as 'runs/first'; this is {_described(place)}")
    text = os.fspath(place)
    if not text:
        raise ValueError("a place is a path, such as 'runs/first'; this is an empty text")
    if "://" in text:
        raise ValueError(
            f"{text}: only paths are served; copy the data to a path that all workers see"
        )
    return LocalStore(text)


def _described(thing: object) -> str:
    """Name what was given in place of a path, and how to come to the path."""
    if thing is None:
        return "None"
    kind = f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__
    path = getattr(thing, "path", None)
    return f"{kind}, whose path is {path!r}" if isinstance(path, str) else kind
