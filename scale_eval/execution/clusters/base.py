"""The protocol of a kind of cluster, and what can go wrong with every kind."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from distributed import Client


class ClusterKind(Protocol):
    """A kind of cluster checks whether it can be used from here, and opens a client."""

    def check(self, workers: int | None) -> None:
        """Raise `ValueError` where the cluster cannot be used with this number of workers."""

    def client(self, workers: int | None) -> AbstractContextManager[Client]:
        """Open a client for the length of a ``with`` block.

        At its end, whatever the block started is stopped; a cluster that was running before stays.
        """


class ClusterLost(RuntimeError):  # noqa: N818 - reads as a sentence
    """The cluster went away, or could not be used, before the run was finished."""
