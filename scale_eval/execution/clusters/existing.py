"""A cluster that is already running, joined by its address or its scheduler file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from distributed import Client
from distributed.deploy.cluster import Cluster

ANSWER_SECONDS = 30


def require_open_client(client: object) -> None:
    """Raise `ValueError` where `client` is no Dask client that can be waited for and is open."""
    if isinstance(client, str | os.PathLike):
        place = os.fspath(client)
        raise ValueError(f"client is a Dask client, not an address: write cluster={place!r}")
    if isinstance(client, Cluster):
        raise ValueError(
            f"client is a {type(client).__name__}: write client=distributed.Client(cluster)"
        )
    if not isinstance(client, Client):
        kind = client.__name__ if isinstance(client, type) else type(client).__name__
        raise ValueError(
            f"client is a {kind}: give a distributed.Client, or leave it out for a cluster of "
            "processes on this machine"
        )
    if client.asynchronous:
        raise ValueError(
            "client is asynchronous, and cannot be waited for here: write "
            "client=distributed.Client(address), without await, of the same scheduler"
        )
    if client.status in ("closed", "closing"):
        raise ValueError(
            "client is closed: make another, such as distributed.Client(address), and close it "
            "after the run"
        )


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that others started, and that keeps running after the run.

    Attributes
    ----------
    place : str
        The address of the scheduler (``"tcp://host:8786"``), or the path of the file that
        ``dask scheduler --scheduler-file`` wrote.
    """

    place: str

    def check(self, workers: int | None) -> None:
        """Raise `ValueError` for a number of workers, or a file that is no scheduler file."""
        if workers is not None:
            raise ValueError(
                "workers cannot be given for a cluster that is already running: it has its own"
            )
        self._address()

    def client(self, workers: int | None = None, logs: str | None = None) -> Client:
        """Join the cluster; raise `ConnectionError` where that fails."""
        address = self._address()
        try:
            return Client(address, timeout=ANSWER_SECONDS)
        except (OSError, RuntimeError, TypeError) as error:
            problem = str(error)
            if isinstance(error, TypeError):  # Dask's words for a TLS address without a key
                problem = "the address demands TLS, and this process has no certificate"
            raise ConnectionError(
                f"the cluster at {address} cannot be joined: {problem}. Is a scheduler running "
                "there, and does this machine reach it? If it speaks TLS, the address begins with "
                "tls://, and DASK_CONFIG names the folder with the certificate"
            ) from error

    def _address(self) -> str:
        if "://" in self.place:
            return self.place
        try:
            return str(json.loads(Path(self.place).read_text(encoding="utf-8"))["address"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{self.place} is no scheduler file: it is what 'dask scheduler --scheduler-file' "
                "writes"
            ) from error
