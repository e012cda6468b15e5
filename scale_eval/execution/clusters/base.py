"""The protocol of a kind of cluster, and what can go wrong with every kind."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from distributed import Client


class ClusterKind(Protocol):
    """A kind of cluster checks whether it can be used from here, and opens a client."""

    def check(self, workers: int | None) -> None:
        """Raise `ValueError` where the cluster cannot be used with this number of workers."""

    def client(
        self, workers: int | None, logs: str | None = None
    ) -> AbstractContextManager[Client]:
        """Open a client for the length of a ``with`` block; jobs write their logs to `logs`.

        At its end, whatever the block started is stopped; a cluster that was running before stays.
        """


class ClusterLost(RuntimeError):  # noqa: N818 - reads as a sentence
    """The cluster went away, or could not be used, before the run was finished."""


class WorkerUnfit(ClusterLost):
    """A worker cannot take part in a run; the message says why, and what workers need.

    Attributes
    ----------
    why : str
    address : str
        The worker's.
    """

    def __init__(self, why: str, address: str) -> None:
        super().__init__(why, address)
        self.why, self.address = why, address

    def __str__(self) -> str:
        worker = f"worker {self.address}" if self.address else "a worker"
        return (
            f"{worker} cannot take the work up: {self.why}. Workers need this package, the "
            "packages that your models import, and the dataset under the same path; then run the "
            "same command again to go on"
        )
