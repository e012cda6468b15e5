"""A cluster whose processes are jobs of Slurm.

The scheduler lives in this process, on a login node or in a notebook; `dask-jobqueue` submits the
jobs. Dask's own configuration, ``jobqueue.slurm``, says what a job asks for: partition, account,
cores, memory, time.
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

SLURM_CONFIG = {"distributed.scheduler.allowed-failures": 10}
"""Dask's configuration while the jobs run. Machines come and go, so that the death of a worker says
little about what ran on it."""

WORKER_ENVIRONMENT = (
    "export DASK_DISTRIBUTED__WORKER__MEMORY__TARGET=False",
    "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False",
)
"""Lines of a job's script. Tasks hold next to nothing in memory, so nothing is worth spilling."""

ENDING_SECONDS = 60.0
"""Seconds before the end of a job at which its workers begin to leave, all within as long again."""

JOINING_SECONDS = 300.0
"""Least seconds that a worker may take to join, on a busy machine too, before it gives up. Dask's
own are 60."""

POLL_SECONDS = 20.0
"""Seconds between two looks at the queue."""

MAX_REPLACED_JOBS = 1_000
"""Most jobs that are replaced in one run, since all of them could end at once again and again."""

ENDED_STATES = (
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


class SlurmJobs:
    """Jobs that are submitted from this machine, replaced when they end, and finally cancelled."""

    def check(self, workers: int | None) -> None:
        """Raise `ValueError` where jobs cannot be submitted from this machine."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import dask_jobqueue  # noqa: F401
        except ImportError:
            raise ValueError(
                "cluster 'slurm' needs dask-jobqueue: pip install 'scale_eval[cluster]' (in a "
                "clone: pip install --require-hashes -r requirements-cluster.txt)"
            ) from None
        if shutil.which("sbatch") is None:
            raise ValueError(
                "cluster 'slurm' submits jobs, and sbatch is not on the path: run this on a login "
                "node"
            )
        missing = [key for key in ("cores", "memory") if not setting(f"jobqueue.slurm.{key}", None)]
        if missing:
            raise ValueError(
                "cluster 'slurm' does not know what a job may take: set jobqueue.slurm."
                f"{' and jobqueue.slurm.'.join(missing)} in ~/.config/dask/jobqueue.yaml, or as "
                "DASK_JOBQUEUE__SLURM__CORES=4 DASK_JOBQUEUE__SLURM__MEMORY=8GB"
            )

    @contextlib.contextmanager
    def client(self, workers: int | None, logs: str | None = None) -> Iterator[Client]:
        """Submit jobs for `workers` processes of one thread each, and connect to them.

        By default those of one job (``jobqueue.slurm.cores``). The jobs write their logs where
        ``jobqueue.slurm.log-directory`` says, or else to the folder `logs`.
        """
        from dask_jobqueue.slurm import SLURMCluster

        options = _options(logs)
        n = workers or options["processes"]
        with (
            dask.config.set(SLURM_CONFIG),
            SLURMCluster(**options) as cluster,
            Client(cluster) as client,
        ):
            cluster.scale(n)
            stopped = threading.Event()
            replacing = threading.Thread(
                target=_replace_ended_jobs, args=(cluster, n, stopped), daemon=True
            )
            replacing.start()
            try:
                yield client
            finally:
                stopped.set()


def _replace_ended_jobs(cluster: Any, n: int, stopped: threading.Event) -> None:
    """Replace jobs that have ended, as each does before its time limit, until `stopped`.

    Dask does not notice that they ended, and would wait for their workers forever.
    """
    n_left = MAX_REPLACED_JOBS
    while n_left and not stopped.wait(POLL_SECONDS):
        jobs = {str(job.job_id): name for name, job in dict(cluster.workers).items() if job.job_id}
        if not jobs:
            continue
        queue = subprocess.run(
            ["squeue", "--noheader", "--format=%A %T", f"--jobs={','.join(jobs)}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if queue.returncode and "Invalid job id" not in queue.stderr:
            continue  # Slurm does not answer: no job is known to have ended
        states = dict(line.split(maxsplit=1) for line in queue.stdout.splitlines())
        for job_id, name in jobs.items():
            if states.get(job_id, "COMPLETED") in ENDED_STATES and not stopped.is_set():
                cluster.workers.pop(name, None)
                n_left -= 1
                cluster.scale(n)


def _options(logs: str | None = None) -> dict[str, Any]:
    """Return the options of the cluster that Dask's configuration does not set, or must not."""
    processes = setting("jobqueue.slurm.processes") or int(setting("jobqueue.slurm.cores"))
    extra = [str(arg) for arg in setting("jobqueue.slurm.worker-extra-args")]
    if "--lifetime" not in extra:
        allowed = _seconds(setting("jobqueue.slurm.walltime"))
        # Leaving at different times, all of them before Slurm ends the job.
        stagger = min(ENDING_SECONDS, allowed / 10)
        left = allowed - ENDING_SECONDS - stagger
        if left > 0:
            extra += ["--lifetime", f"{left:.0f}s", "--lifetime-stagger", f"{stagger:.0f}s"]
    scheduler = {"dashboard_address": "127.0.0.1:0", **setting("jobqueue.slurm.scheduler-options")}
    # Listen on the one address that the others see, rather than on all that a machine has.
    if not setting("jobqueue.slurm.interface"):
        scheduler.setdefault("host", get_ip())
        extra += ["--host", "$(hostname -I | cut -d' ' -f1)"]
    encrypted = setting("distributed.comm.require-encryption")
    return {
        "processes": processes,
        "log_directory": setting("jobqueue.slurm.log-directory") or logs,
        "death_timeout": max(JOINING_SECONDS, _seconds_of(setting("jobqueue.slurm.death-timeout"))),
        "worker_extra_args": [*extra, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "job_script_prologue": [
            *WORKER_ENVIRONMENT,
            *setting("jobqueue.slurm.job-script-prologue"),
        ],
        "scheduler_options": scheduler,
        "security": Security() if encrypted else None,
        "protocol": "tls://" if encrypted else None,
    }


def _seconds_of(timeout: Any) -> float:
    """Return a time limit in seconds; 0 where there is none."""
    return float(parse_timedelta(timeout)) if timeout else 0.0


def _seconds(walltime: str) -> float:
    """Parse a time of Slurm: minutes, hours:minutes:seconds, or days-hours:minutes:seconds."""
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
