"""The kinds of clusters by name, and how a run opens one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from distributed import Client
from distributed.comm.core import CommClosedError

from scale_eval.execution.clusters.base import ClusterKind
from scale_eval.execution.clusters.existing import ExistingCluster
from scale_eval.execution.clusters.local import LocalProcesses
from scale_eval.execution.clusters.slurm import SlurmJobs

KINDS: Mapping[str, ClusterKind] = {"local": LocalProcesses(), "slurm": SlurmJobs()}
"""Clusters that are started under a name; any other text is the address of an existing one."""


@contextlib.contextmanager
def dask_client(
    cluster: str = "local", *, workers: int | None = None, logs: str | None = None
) -> Iterator[Client]:
    """Open a Dask client for the length of a ``with`` block.

    Parameters
    ----------
    cluster : str
        ``"local"`` starts a cluster of processes on this machine, one thread each, and stops it at
        the end; ``"slurm"`` does the same with jobs of Slurm; ``"tcp://host:port"`` and
        ``"scheduler.json"`` (a file that the scheduler wrote) join a cluster that is running and
        leave it running.
    workers : int, optional
        Processes of the cluster. By default one for each core of this machine, or those of one job.
    logs : path, optional
        The folder for the logs of jobs; by default the current one.

    Raises
    ------
    ValueError
        The address is none of these, or `workers` is given for a cluster that is already running.
    ConnectionError
        No scheduler answers at the address, or it does not accept this process.
    """
    kind = require_cluster(cluster, workers)
    with _lost_scheduler_said_once(), kind.client(workers, logs) as client:
        yield client


@contextlib.contextmanager
def _lost_scheduler_said_once() -> Iterator[None]:
    """Leave out what tornado logs of messages to a scheduler that is gone: it is an error here."""
    logger = logging.getLogger("tornado.application")

    def is_another(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], CommClosedError))

    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


def require_cluster(cluster: str, workers: int | None) -> ClusterKind:
    """Return the kind that `cluster` names; raise `ValueError` where it cannot be used."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers={workers!r}: write a whole number of at least 1")
    if cluster not in KINDS and "://" not in cluster and not Path(cluster).is_file():
        names = ", ".join(map(repr, KINDS))
        raise ValueError(
            f"{cluster!r} is no cluster: give {names}, an address such as tcp://host:8786, or the "
            "path of an existing scheduler file"
        )
    kind = KINDS.get(cluster) or ExistingCluster(cluster)
    kind.check(workers)
    return kind
