"""Refuse a place that holds somebody's files, before anything is made there."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from pathlib import PurePosixPath

from scale_eval.storage.base import Store
from scale_eval.storage.unfinished import is_unfinished

_OF_SYSTEMS = (".DS_Store", ".directory", ".gitignore", ".gitkeep", "Thumbs.db", "desktop.ini")
"""Files that are put into folders which people take for empty."""

_LOCK = re.compile(r"\.(share-\d+-of-\d+\.|agreeing\.)?lock")

_LISTED = 3


def require_free_place(
    store: Store, what: str, is_ours: Callable[[str], bool] = lambda name: False
) -> None:
    """Raise `FileExistsError` where the place of a store holds files, with their names.

    Parameters
    ----------
    store : Store
    what : str
        What is to be made there, such as ``a run``.
    is_ours : callable
        Whether a name is what a writer left behind that was killed; locks and half-written files
        are known.
    """
    others = (name for name in store.walk() if not (_is_known(name) or is_ours(name)))
    held = list(islice(others, _LISTED + 1))
    if held:
        listed = ", ".join(held[:_LISTED]) + (" and more" if len(held) > _LISTED else "")
        raise FileExistsError(
            f"{store.root} is not {what}, and holds other files ({listed}); choose an empty folder "
            "or a name that is free"
        )


def _is_known(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name in _OF_SYSTEMS or is_unfinished(path.name) or _LOCK.fullmatch(name) is not None
