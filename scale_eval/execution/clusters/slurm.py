"""Workers from a batch system: a cluster whose processes are jobs of Slurm.

The scheduler lives in this process, on a login node or in a notebook; `dask-jobqueue` submits the
jobs. What they ask for (partition, account, cores, memory, time) stands in Dask's own
configuration, ``jobqueue.slurm``.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import dask
from dask.config import get as setting
from dask.utils import parse_timedelta
from distributed import Client, Security
from distributed.utils import get_ip

BATCH_CONFIG = {"distributed.scheduler.allowed-failures": 10}
"""Machines are taken away and come back: that says little of what ran on them."""

ON_WORKERS = (
    "export DASK_DISTRIBUTED__WORKER__MEMORY__TARGET=False",
    "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False",
)
"""Tasks hold next to nothing in memory, so nothing is worth spilling."""

ENDING_SECONDS = 60.0
"""Before its time is over a job's workers begin to leave, all within as long again."""

LOOK_SECONDS = 20.0
REPLACED_AT_MOST = 1_000
"""Jobs that ended and are replaced, in one run: they could all end at once."""

ENDED = (
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "TIMEOUT",
)
"""States of a job that will not run again; one that was preempted is queued by Slurm itself."""


@contextlib.contextmanager
def slurm_client(workers: int | None) -> Iterator[Client]:
    """A client of a cluster of jobs, cancelled at the end.

    Parameters
    ----------
    workers : int, optional
        Processes, of one thread each; those of one job (``jobqueue.slurm.cores``) by default.
        Jobs that end are replaced.
    """
    require_slurm()
    from dask_jobqueue.slurm import SLURMCluster

    options = _options()
    n = workers or options["processes"]
    with (
        dask.config.set(BATCH_CONFIG),
        SLURMCluster(**options) as cluster,
        Client(cluster) as client,
    ):
        cluster.scale(n)
        over = threading.Event()
        threading.Thread(target=_replace, args=(cluster, n, over), daemon=True).start()
        try:
            yield client
        finally:
            over.set()


def require_slurm() -> None:
    """Raise `ValueError` where jobs cannot be submitted from here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import dask_jobqueue  # noqa: F401
    except ImportError:
        raise ValueError(
            "cluster 'slurm' needs dask-jobqueue: pip install 'scale_eval[cluster]' (in a clone: "
            "pip install --require-hashes -r requirements-cluster.txt)"
        ) from None
    if shutil.which("sbatch") is None:
        raise ValueError(
            "cluster 'slurm' submits jobs, and sbatch is not on the path: run this on a login node"
        )
    missing = [key for key in ("cores", "memory") if not setting(f"jobqueue.slurm.{key}", None)]
    if missing:
        raise ValueError(
            "cluster 'slurm' does not know what a job may take: set jobqueue.slurm."
            f"{' and jobqueue.slurm.'.join(missing)} in ~/.config/dask/jobqueue.yaml, or as "
            "DASK_JOBQUEUE__SLURM__CORES=4 DASK_JOBQUEUE__SLURM__MEMORY=8GB"
        )


def _replace(cluster: Any, n: int, over: threading.Event) -> None:
    """Submit a job again that has ended, as each does before its time is over; till `over`.

    Dask does not notice: it waits for the workers of a job whatever became of it.
    """
    n_left = REPLACED_AT_MOST
    while n_left and not over.wait(LOOK_SECONDS):
        jobs = {str(job.job_id): name for name, job in dict(cluster.workers).items() if job.job_id}
        if not jobs:
            continue
        told = subprocess.run(
            ["squeue", "--noheader", "--format=%A %T", f"--jobs={','.join(jobs)}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode and "Invalid job id" not in told.stderr:
            continue  # it does not answer: nothing is known
        states = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
        for job_id, name in jobs.items():
            if states.get(job_id, "COMPLETED") in ENDED and not over.is_set():
                cluster.workers.pop(name, None)
                n_left -= 1
                cluster.scale(n)


def _options() -> dict[str, Any]:
    """What the configuration leaves open, or would have otherwise."""
    processes = setting("jobqueue.slurm.processes") or int(setting("jobqueue.slurm.cores"))
    extra = [str(arg) for arg in setting("jobqueue.slurm.worker-extra-args")]
    if "--lifetime" not in extra:
        whole = _seconds(setting("jobqueue.slurm.walltime"))
        # Leaving at different times, all of them before Slurm ends the job.
        stagger = min(ENDING_SECONDS, whole / 10)
        left = whole - ENDING_SECONDS - stagger
        if left > 0:
            extra += ["--lifetime", f"{left:.0f}s", "--lifetime-stagger", f"{stagger:.0f}s"]
    scheduler = {"dashboard_address": "127.0.0.1:0", **setting("jobqueue.slurm.scheduler-options")}
    # On the one address that the others see, rather than on all that a machine has.
    if not setting("jobqueue.slurm.interface"):
        scheduler.setdefault("host", get_ip())
        extra += ["--host", "$(hostname -I | cut -d' ' -f1)"]
    encrypted = setting("distributed.comm.require-encryption")
    return {
        "processes": processes,
        "worker_extra_args": [*extra, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "job_script_prologue": [*ON_WORKERS, *setting("jobqueue.slurm.job-script-prologue")],
        "scheduler_options": scheduler,
        "security": Security() if encrypted else None,
        "protocol": "tls://" if encrypted else None,
    }


def _seconds(walltime: str) -> float:
    """Of a time as Slurm writes it: minutes, hours:minutes:seconds, days-hours:minutes:seconds."""
    days, _, rest = str(walltime).rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if days:
        parts += [0] * (3 - len(parts))
    elif len(parts) == 1:
        parts.append(0)
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + part
    return seconds + parse_timedelta(f"{days or 0} days")
