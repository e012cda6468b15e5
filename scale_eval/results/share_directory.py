"""The directory of a run as one share of the run uses it, while others write beside it.

A share holds the lock of the run together with the other shares, and a lock of its own. It records
into a file of its own, and removes nothing: parts are removed when the run is reduced, after all
shares have ended. What all shares must agree on is settled by the first, under a lock that is held
briefly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from scale_eval.printable import as_typed
from scale_eval.results.directory import RunDirectory
from scale_eval.storage import Store, StoreLocked, read_json, write_json

AGREEING = ".agreeing.lock"
PATIENCE = 600.0
"""Seconds to wait for others to settle something, such as the first share for the plan."""


class ShareDirectory(RunDirectory):
    """The files of a run, for one of its shares.

    Parameters
    ----------
    store : Store
        The run's place.
    name : str
        The name of the share, such as ``2-of-8``.
    """

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store)
        self.name = name

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the share, beside others of the run.

        Raises `StoreLocked` where another process holds the share, or the whole run.
        """
        with self.store.lock(shared=True), contextlib.ExitStack() as stack:
            try:
                # A moment of patience: another process may be testing whether it is held.
                stack.enter_context(self.store.lock(_lock_of(self.name), patience=1.0))
            except StoreLocked as error:
                raise StoreLocked(f"share {self.name}: {error}") from None
            yield

    @contextlib.contextmanager
    def agreeing(self) -> Iterator[RunDirectory]:
        """Give the directory of the whole run, while no other share writes to its record."""
        with self.store.lock(AGREEING, patience=PATIENCE):
            yield RunDirectory(self.store)
        self.__dict__.pop("document", None)

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return the run's record, overridden by what this share has recorded."""
        return {**RunDirectory(self.store).document, **self._own}

    @cached_property
    def _own(self) -> dict[str, Any]:
        return _record_of(self.store, self.name)

    def record(self, **entries: Any) -> None:
        """Set entries of this share's record."""
        self._own = {**self._own, **entries}
        write_json(self.store, f"shares/{self.name}.json", self._own)
        self.document = {**self.document, **entries}

    def record_read_files(self, files: Mapping[str, Mapping[str, str]]) -> None:
        """Record the files that models read, in the record of the whole run."""
        with self.store.lock(AGREEING, patience=PATIENCE):
            RunDirectory(self.store).record_read_files(files)

    def record_fits(self, fitted: Mapping[str, Any]) -> dict[str, Any]:
        """Record fits of models of all companies, except those that another share recorded first.

        Returns the fits that all shares are to use. The fits of two shares should be equal, but
        only the model can ensure it; a run has one fit.
        """
        seen = self.document.get("fitted", {})  # recorded before this share began
        with self.store.lock(AGREEING, patience=PATIENCE):
            run = RunDirectory(self.store)
            recorded = run.document.get("fitted", {})
            others = {k: recorded[k] for k in fitted if recorded.get(k) not in (None, seen.get(k))}
            return run.record_fits({**fitted, **others})

    def table(self, name: str) -> pd.DataFrame:
        """Raise `FileNotFoundError`: the tables of a run are made when all shares are done."""
        root = self.store.root
        raise FileNotFoundError(
            f"share {self.name} of {root} has no table '{name}': when all shares are done, "
            f"'scale-eval reduce {as_typed(str(root))}' makes the tables of the run"
        )


def shares_at_work(store: Store) -> list[str]:
    """Return the names of the shares that other processes are evaluating."""
    locks = [lock for lock in store.names(_lock_of("*")) if store.is_locked(lock)]
    return [lock.removeprefix(".share-").removesuffix(".lock") for lock in locks]


def require_no_share_at_work(store: Store) -> None:
    """Raise `StoreLocked` where a share of the run is at work."""
    if at_work := shares_at_work(store):
        raise StoreLocked(
            f"{store.root}: shares of this run are still evaluated ({', '.join(at_work)}); "
            "wait for them or stop them, then run the same command again"
        )


@contextlib.contextmanager
def hold_whole_run(store: Store) -> Iterator[None]:
    """Hold a run alone; raise `StoreLocked` where another process, or a share, is at work on it."""
    require_no_share_at_work(store)
    with store.lock():
        yield


def unfinished_shares(store: Store) -> list[str]:
    """Return the shares that did not finish, of the run's last division into shares."""
    of = RunDirectory(store).document.get("divided", {}).get("of", 0)
    names = [f"{number}-of-{of}" for number in range(1, of + 1)]
    return [name for name in names if _record_of(store, name).get("status") != "finished"]


def _record_of(store: Store, share: str) -> dict[str, Any]:
    """Return the record of a share; {} where it has none, or one that is damaged."""
    name = f"shares/{share}.json"
    try:
        return dict(read_json(store, name)) if store.exists(name) else {}
    except (ValueError, TypeError, RecursionError):
        return {}


def _lock_of(name: str) -> str:
    return f".share-{name}.lock"
