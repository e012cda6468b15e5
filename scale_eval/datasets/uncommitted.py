"""Note which files of a dataset the project wrote, so that it removes these and no others.

A writer notes the name of a file before the file appears, and before a manifest stops naming it. A
process that was killed leaves the note behind: whoever writes next removes the noted files that no
manifest names.
"""

from __future__ import annotations

from collections.abc import Iterable

from scale_eval.storage import Store

UNCOMMITTED = ".uncommitted"
"""The file of notes, which is there only while somebody writes, and after a writer was killed."""


def note(store: Store, names: Iterable[str]) -> None:
    """Note that these files are the project's, to be removed unless a manifest names them."""
    if text := "".join(f"{name}\n" for name in names):
        store.append(UNCOMMITTED, text.encode())


def noted(store: Store) -> set[str]:
    """Return the files that are noted."""
    if not store.exists(UNCOMMITTED):
        return set()
    return set(store.read(UNCOMMITTED).decode(errors="replace").split("\n")) - {""}


def remove_uncommitted(store: Store, named: Iterable[str]) -> None:
    """Remove the noted files that are not among `named`; call it only while holding the lock.

    Names that differ in case alone may be one file, on some disks.
    """
    kept = {name.casefold() for name in named}
    for name in sorted(noted(store)):
        if name.casefold() not in kept:
            store.delete(name)
    store.delete(UNCOMMITTED)
