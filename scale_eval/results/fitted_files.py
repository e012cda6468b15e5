"""Name the files in which a run keeps fitted models of all companies.

Each is named after the hash of its content. A pickle runs code when it is read, arrays do not.
"""

from __future__ import annotations


def pickle_file(digest: str) -> str:
    """Return the name of a fitted model that was pickled."""
    return f"models/{digest}.pickle"


def arrays_file(digest: str) -> str:
    """Return the name of a fitted model of which arrays are all."""
    return f"models/{digest}.npz"
