"""What a cluster of Slurm jobs is asked for, without Slurm."""

from __future__ import annotations

import dask
import pytest

from scale_eval.execution.clusters import slurm

pytest.importorskip("dask_jobqueue")

JOB = {"jobqueue.slurm.cores": 2, "jobqueue.slurm.memory": "4GB"}


def options(logs=None, **settings):
    names = {f"jobqueue.slurm.{name.replace('_', '-')}": value for name, value in settings.items()}
    with dask.config.set({**JOB, **names}):
        return slurm._options(logs)


def test_the_logs_of_jobs_lie_beside_the_run_unless_a_folder_is_chosen():
    assert options("/data/runs/first.slurm")["log_directory"] == "/data/runs/first.slurm"
    chosen = options("/data/runs/first.slurm", log_directory="/scratch/logs")
    assert chosen["log_directory"] == "/scratch/logs"


@pytest.mark.parametrize(
    ("configured", "seconds"), [(60, 300.0), ("2 minutes", 300.0), (900, 900.0), (None, 300.0)]
)
def test_a_worker_has_time_to_join_on_a_busy_machine(configured, seconds):
    assert options(death_timeout=configured)["death_timeout"] == seconds
