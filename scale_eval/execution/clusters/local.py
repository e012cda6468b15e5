"""A Dask client: from 'local' or 'slurm', from a scheduler's address, or from a scheduler file.

And whether what is joined is fit for a run: it answers, and has the same packages everywhere.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

from scale_eval.execution.clusters.slurm import require_slurm, slurm_client

LOCAL_CONFIG = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 hour",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.interval": "100ms",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 256 * 2**20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
}
"""Tasks hold next to nothing in memory, so nothing is worth spilling; and on one machine a worker
that dies was killed by what it ran, so two deaths are evidence enough to look closer. A worker that
dies again while it is looked for, 15 seconds after it died, would be given up for good. Arrays of
some megabytes come and go with every few companies: their memory is kept, where Dask would have it
given back to the system, which clears every page of it before it is lent again. While it waits it
should leave the machine to the work: by Dask's defaults each part of a cluster looks at the clock
50 times a second, and each worker at its stack 100 times."""

LONGEST_TEMPORARY = 70
"""Characters in the path of the folder for temporary files. Python puts a socket there by which it
asks for forked processes, under a name of up to 32 more, and the system allows 107."""


ANSWER_SECONDS = 30


@contextlib.contextmanager
def dask_client(cluster: str = "local", *, workers: int | None = None) -> Iterator[Client]:
    """A client for the length of a ``with`` block.

    Parameters
    ----------
    cluster : str
        ``"local"`` starts a cluster of processes on this machine, one thread each, and stops it at
        the end; ``"slurm"`` does the same with jobs of Slurm; ``"tcp://host:port"`` and
        ``"scheduler.json"`` (a file that the scheduler wrote) join one that is there and leave it
        running.
    workers : int, optional
        Processes of a local cluster, one a core by default; or of jobs.

    Raises
    ------
    ValueError
        The address is none of these, or `workers` is given for a cluster that is already there.
    ConnectionError
        Nobody answers there, or not to us.
    """
    require_cluster(cluster, workers)
    if cluster == "slurm":
        with slurm_client(workers) as client:
            yield client
        return
    if cluster == "local":
        with local_cluster(workers or CPU_COUNT) as local, Client(local) as client:
            yield client
        return
    address = cluster if "://" in cluster else _address_in(Path(cluster))
    with _joined(address) as client:
        yield client


@contextlib.contextmanager
def local_cluster(workers: int, **choices: Any) -> Iterator[LocalCluster]:
    """So many processes of this machine, one thread each, for the length of a ``with`` block.

    Where the system bears it they are forked from one process that has imported what they need:
    they begin, also after a death, in a tenth of the time. `choices` are passed to Dask's
    `LocalCluster`.
    """
    forked = sys.platform == "linux" and len(tempfile.gettempdir()) <= LONGEST_TEMPORARY
    method = "forkserver" if forked else "spawn"
    with dask.config.set({**LOCAL_CONFIG, "distributed.worker.multiprocessing-method": method}):
        if forked:
            preload = ["distributed.nanny", "scale_eval.execution.worker"]
            get_mp_context().set_forkserver_preload(preload)
        with LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env=dict(os.environ),  # as it is now: the process they are forked from may be older
            **choices,
        ) as cluster:
            yield cluster


def _joined(address: str) -> Client:
    try:
        return Client(address, timeout=ANSWER_SECONDS)
    except (OSError, RuntimeError, TypeError) as error:
        told = str(error)
        if isinstance(error, TypeError):  # what Dask says of an encrypted address without a key
            told = "TLS is asked for, and this process has no certificate"
        raise ConnectionError(
            f"the cluster at {address} cannot be joined: {told}. Is a scheduler running there, and "
            "does this machine reach it? If it speaks TLS, the address begins with tls://, and "
            "DASK_CONFIG names the folder with the certificate"
        ) from error


def require_cluster(cluster: str, workers: int | None) -> None:
    """Raise `ValueError` where `dask_client` could not make anything of its arguments."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers={workers!r}: write a whole number of at least 1")
    if cluster == "local":
        return
    if cluster == "slurm":
        require_slurm()
        return
    if workers is not None:
        raise ValueError("workers are counted for a local cluster only; this one has its own")
    if "://" not in cluster:
        _address_in(Path(cluster))


def _address_in(file: Path) -> str:
    """The scheduler's address in the file that it wrote."""
    if not file.is_file():
        raise ValueError(
            f"{str(file)!r} is no cluster: give 'local', 'slurm', an address such as "
            "tcp://host:8786, or the path of an existing scheduler file"
        )
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is no scheduler file: it is what 'dask scheduler --scheduler-file' writes"
        ) from error
