"""A Dask client: from 'local' or 'slurm', from a scheduler's address, or from a scheduler file.

And whether what is joined is fit for a run: it answers, and has the same packages everywhere.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

from scale_eval.batch_cluster import require_slurm, slurm_client

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

PACKAGES = (
    "scale_eval", "cloudpickle", "dask", "distributed", "numba", "numpy", "pandas", "pyarrow",
    "scikit-learn", "scipy",
)  # fmt: skip
"""Packages on which it depends what an evaluation comes to, or whether a task arrives at all."""

ANSWER_SECONDS = 30


class ClusterLost(RuntimeError):  # noqa: N818 - read as a sentence
    """The cluster went away, or could not be used, before the run was finished."""


class VersionsDiffer(ValueError):  # noqa: N818 - read as a sentence
    """The parts of a cluster do not have the same packages; made from what differs, and where."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        return "\n".join(
            [
                "the parts of the cluster do not have the same packages:",
                *(f"  {difference}" for difference in self.differences),
                "Install the same versions everywhere (one of the locked requirements), start the "
                "scheduler and the workers anew, and run the same command again",
            ]
        )


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


def own_versions() -> dict[str, str]:
    """What this process has of `PACKAGES`, and Python but for its patch level."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def require_same_versions(client: Client) -> None:
    """Raise `VersionsDiffer` if the scheduler or a worker that is there has other packages.

    Results depend on them to the last bit, and a task may not even arrive. (Workers that join later
    look for themselves.) Raises `ClusterLost` where the scheduler goes away meanwhile.
    """
    try:
        told: Any = client.get_versions(packages=PACKAGES)
    except OSError as error:
        raise ClusterLost(f"the cluster does not answer ({error}); run the same command") from error
    parts = {"the scheduler": told["scheduler"]}
    parts |= {f"worker {address}": said for address, said in sorted(told["workers"].items())}
    where: dict[str, list[str]] = {}
    for part, said in parts.items():
        for difference in version_differences(own_versions(), said["packages"]):
            where.setdefault(difference, []).append(part)
    if where:
        raise VersionsDiffer([f"{what} on {_some(of)}" for what, of in where.items()])


def version_differences(ours: Mapping[str, str], theirs: Mapping[str, Any]) -> list[str]:
    """Packages of which others have another version than we, or none: a few words each."""
    theirs = {**theirs, "python": ".".join(str(theirs.get("python")).split(".")[:2])}
    return [
        f"{package} is {mine} here, and {theirs.get(package) or 'missing'}"
        for package, mine in ours.items()
        if theirs.get(package) != mine
    ]


def _some(parts: list[str]) -> str:
    more = f" and {len(parts) - 2} more" if len(parts) > 2 else ""
    return ", ".join(parts[:2]) + more


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


def require_main_guard() -> None:
    """Raise `RuntimeError` in a worker process that is importing the script that started it.

    Such a script calls for a cluster at its top level, where every worker would do so again.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "evaluate() was called while a worker process was importing your script. Put the call "
            "under\n\n    if __name__ == '__main__':\n\nso that only the script itself runs it."
        )
