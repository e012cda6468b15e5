"""A Dask client: from 'local', from a scheduler's address, or from a scheduler file."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import dask
from distributed import Client, LocalCluster

LOCAL_CONFIG = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 hour",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
}
"""Tasks hold next to nothing in memory, so nothing is worth spilling; and on one machine a worker
that dies was killed by what it ran, so two deaths are evidence enough to look closer. A worker that
dies again while it is looked for, 15 seconds after it died, would be given up for good."""


@contextlib.contextmanager
def dask_client(cluster: str = "local", *, workers: int | None = None) -> Iterator[Client]:
    """A client for the length of a ``with`` block.

    Parameters
    ----------
    cluster : str
        ``"local"`` starts a cluster of processes on this machine, one thread each, and stops it at
        the end; ``"tcp://host:port"`` and ``"scheduler.json"`` (a file that the scheduler wrote)
        join one that is there and leave it running.
    workers : int, optional
        Processes of a local cluster; one a core by default.

    Raises
    ------
    ValueError
        The address is none of these, or `workers` is given for a cluster that is already there.
    OSError
        Nobody answers there.
    """
    if cluster == "local":
        with (
            dask.config.set(LOCAL_CONFIG),
            LocalCluster(
                n_workers=workers or len(os.sched_getaffinity(0)),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            ) as local,
            Client(local) as client,
        ):
            yield client
        return
    if workers is not None:
        raise ValueError("workers are counted for a local cluster only; this one has its own")
    if "://" in cluster:
        joined = Client(cluster, timeout=30)
    elif Path(cluster).is_file():
        joined = Client(scheduler_file=cluster, timeout=30)
    else:
        raise ValueError(
            f"{cluster!r} is no cluster: give 'local', an address such as tcp://host:8786, "
            "or the path of an existing scheduler file"
        )
    with joined:
        yield joined


def require_main_guard() -> None:
    """Raise `RuntimeError` in a worker process that is importing the script that started it.

    Such a script calls for a cluster at its top level, where every worker would do so again.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "evaluate() was called while a worker process was importing your script. Put the call "
            "under\n\n    if __name__ == '__main__':\n\nso that only the script itself runs it."
        )
