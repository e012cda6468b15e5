"""A cluster of processes on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, Security

from scale_eval import children
from scale_eval.execution.clusters.base import ClusterLost
from scale_eval.main_guard import require_main_guard, suspecting_a_missing_guard
from scale_eval.scratch import scratch_folder

Closable = TypeVar("Closable", Client, LocalCluster)

LOCAL_CONFIG = {
    # A worker that dies here was killed by what it ran: two deaths are enough to suspect a task.
    "distributed.scheduler.allowed-failures": 1,
    # A worker is silent while C code holds its interpreter's lock, which its timeout ends. Here the
    # end of its process is noticed anyway; by default it would be restarted after five minutes.
    "distributed.scheduler.worker-ttl": None,
    # A worker that dies again 15 seconds after it died would be given up for good.
    "distributed.deploy.lost-worker-timeout": "1 hour",
    # Tasks hold next to nothing in memory, so nothing is worth spilling.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # An idle cluster should leave the machine to the work: by default each part of it wakes 50
    # times a second, and each worker samples its stack 100 times.
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.profile.interval": "100ms",
    # For workers that are not forked.
    **{
        f"distributed.nanny.pre-spawn-environ.{name}": value
        for name, value in children.MEMORY_IS_KEPT.items()
    },
}
"""Dask's configuration while a local cluster runs."""


class LocalProcesses:
    """Processes of this machine, one thread each, which end with the run."""

    def check(self, workers: int | None) -> None:
        """Accept any number; raise `RuntimeError` in a script that lacks the ``__main__`` guard."""
        require_main_guard()

    @contextlib.contextmanager
    def client(self, workers: int | None, logs: str | None = None) -> Iterator[Client]:
        """Start the processes, one for each core by default, and connect to them."""
        with contextlib.ExitStack() as stack:
            with suspecting_a_missing_guard():
                cluster = stack.enter_context(local_cluster(workers or CPU_COUNT))
            yield stack.enter_context(closed_at_the_end(Client(cluster)))


@contextlib.contextmanager
def closed_at_the_end(opened: Closable) -> Iterator[Closable]:
    """Close what was opened, unless an interruption ends this process: it ends with it then."""
    try:
        yield opened
    except KeyboardInterrupt:
        if not children.end_with_process:
            opened.close()
        raise
    except BaseException:
        opened.close()
        raise
    else:
        opened.close()


@contextlib.contextmanager
def local_cluster(workers: int, **choices: Any) -> Iterator[LocalCluster]:
    """Start `workers` processes of one thread for the length of a ``with`` block.

    Where the system allows it they are forked from one process that has imported what they need:
    they start, also to replace one, in a tenth of the time. `choices` are passed to Dask's
    `LocalCluster`.
    """
    children.start_fork_server()
    method = "forkserver" if children.can_be_forked() else "spawn"
    config = {
        **LOCAL_CONFIG,
        "distributed.worker.multiprocessing-method": method,
        "temporary-directory": _temporary_directory(),
    }
    with dask.config.set(config):
        with (
            _without_logs_of_asyncio(),
            path_of_imports_kept(),
            _saying_why_no_worker_starts(workers),
        ):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                # The dashboard takes a second to import, and nobody is told where it is.
                scheduler_kwargs={"dashboard": False},
                dashboard_address="127.0.0.1:0",
                security=_temporary_credentials(),
                silence_logs=logging.CRITICAL,
                # As it is now: the process that they are forked from may be older.
                env=dict(os.environ),
                **choices,
            )
        with closed_at_the_end(cluster), _without_logs_of_asyncio():
            yield cluster


def _temporary_credentials() -> Security | None:
    """Return the keys with which the parts of a cluster know each other; None where none are made.

    Without them every user of this machine can reach the cluster's ports, and have it run code.
    """
    try:
        return Security.temporary()
    except ImportError:  # the package `cryptography` is an extra
        return None


def _temporary_directory() -> str | None:
    """Return where the workers keep their files: where Dask's settings say, or in our own folder.

    Dask's own choice has a name that every user of the machine can take.
    """
    chosen = dask.config.get("temporary-directory", None)
    return str(chosen or scratch_folder() or "") or None


@contextlib.contextmanager
def path_of_imports_kept() -> Iterator[None]:
    """Undo that Dask puts the folder of its temporary files first on the path of imports."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _without_logs_of_asyncio() -> Iterator[None]:
    """Leave out what asyncio logs: a connection that fails is an error here, and said once."""
    logger = logging.getLogger("asyncio")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _saying_why_no_worker_starts(workers: int) -> Iterator[None]:
    """Raise `ClusterLost` where a process ends, or does not answer, while it starts."""
    try:
        yield
    except (RuntimeError, TimeoutError, EOFError, ConnectionError) as error:
        first: BaseException = error
        while first.__cause__ is not None:
            first = first.__cause__
        raise ClusterLost(
            f"a worker process ended while it was starting ({type(first).__name__}: {first}). Most "
            "often the machine, the container or the batch job has no memory left and kills it: "
            f"'dmesg' or the job's log says so. Run the same command again to go on, with fewer "
            f"processes than {workers} (--workers) or with more memory"
        ) from error
