"""One evaluation on Slurm, in each of its forms: preempted, out of time, failed in part, encrypted.

Three nodes on this machine, where a partition takes the place of another by requeue.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.execution.clusters.registry import require_cluster
from tests.support import models
from tests.support.paths import PROJECT, SHARED

pytestmark = pytest.mark.slow

DEPLOY = PROJECT / "deploy" / "slurm"
START = SHARED / "infra" / "slurm-up.sh"
COMMAND = Path(sys.executable).with_name("scale-eval")
CHOSEN = ["base_rate", "recency", "rfm_logistic"]
SETTINGS = {"last": 2, "observed_until": "2024-07-01"}
WORDS = [
    "--last",
    "2",
    "--observed-until",
    "2024-07-01",
    "--timeout",
    "20",
    "--granularity",
    "company",
    "--model",
    "rfm_logistic",
    "--model",
    "tests.support.models:Slow",
]
SMALL = ["--ntasks=3", "--mem-per-cpu=500", "--time=20"]
SECONDS = 150
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


class Slurm:
    """The commands of Slurm, in a directory of its own."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place, self.jobs = place, []
        self.environment = {
            **environment,
            "DIARY_OF_SLOW": str(place / "diary"),
            "GATE_OF_SLOW": str(place / "gate"),
        }

    def __call__(self, *words: object, **settings: str) -> str:
        done = subprocess.run(
            [*map(str, words)],
            cwd=self.place,
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    def submit(self, *words: object, **settings: str) -> str:
        job = self("sbatch", "--parsable", *words, **settings).strip()
        self.jobs.append(job)
        return job

    def facts(self, job: str) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\S*)", self("scontrol", "show", "job", "-o", job)))

    def wait_for(self, happened, what: str, seconds: float = SECONDS):
        deadline = time.monotonic() + seconds
        while not (found := happened()):
            assert time.monotonic() < deadline, f"{what}; {self.logs()}"
            time.sleep(0.2)
        return found

    def wait_for_end(self, *jobs: str) -> list[str]:
        """Exit codes; a job that is queued again is let go at once, without its two minutes."""

        def ended():
            jobs_now = [self.facts(job) for job in jobs]
            for job in jobs_now:
                if job["Reason"] == "BeginTime":
                    self("scontrol", "update", f"jobid={job['JobId']}", "StartTime=now")
            if all(job["JobState"] in OVER for job in jobs_now):
                return [job["ExitCode"].partition(":")[0] for job in jobs_now]
            return None

        return self.wait_for(ended, f"jobs {jobs} do not end")

    def wait_for_restart(self, job: str) -> None:
        self.wait_for(lambda: self.facts(job)["Restarts"] != "0", f"job {job} is not queued again")

    def wait_until_it_evaluates(self) -> None:
        """Until the slow model has been here: it goes on slowly, till `open_gate`."""
        diary = self.place / "diary"
        self.wait_for(
            lambda: diary.exists() and diary.read_text().count("\n") > 8, "nothing begins"
        )

    def open_gate(self) -> None:
        (self.place / "gate").touch()

    def logs(self) -> str:
        """What jobs said, for a test that fails."""
        files = [*self.place.glob("*.log"), *self.place.glob("*.slurm/*.log")]
        return "\n".join(f"== {file.name}\n{file.read_text()[-3000:]}" for file in files)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """With Slurm started, where it can be."""
    if not START.exists():
        pytest.skip("there is nothing here that starts Slurm (shared/infra/slurm-up.sh)")
    started = subprocess.run(
        ["bash", START], capture_output=True, text=True, check=False, timeout=240
    )
    if started.returncode:
        pytest.skip(f"Slurm does not start here: {started.stderr.strip()[-300:]}")
    env_file = shlex.quote(started.stdout.strip())
    sourced = subprocess.run(
        ["bash", "-c", f"source {env_file} && echo $SLURM_CONF"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        **os.environ,
        "SLURM_CONF": sourced.stdout.strip(),
        "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "COLUMNS": "80",
    }


@pytest.fixture
def slurm(environment, tmp_path):
    slurm = Slurm(tmp_path, environment)
    yield slurm
    for job in slurm.jobs:
        with contextlib.suppress(AssertionError):  # it may be over
            slurm("scancel", job)


@pytest.fixture(scope="session")
def data(environment, tmp_path_factory):
    return se.synthesize(
        tmp_path_factory.mktemp("slurm") / "data",
        companies=30,
        seed=11,
        median_customers=40,
        sigma=0.7,
        observed_whole=True,
    )


@pytest.fixture(scope="session")
def plain(data, client, tmp_path_factory) -> str:
    """The fingerprint of the same run on this machine, without a batch system."""
    run = se.evaluate(
        data,
        ["rfm_logistic", models.Slow],
        out=tmp_path_factory.mktemp("plain") / "run",
        client=client,
        progress=False,
        granularity="company",
        **SETTINGS,
    )
    return run.fingerprint()


def assert_is(slurm: Slurm, run: str, plain: str) -> None:
    """The run is finished and equal to the plain one."""
    assert slurm(COMMAND, "fingerprint", run).strip() == plain, slurm.logs()


def log_of(slurm: Slurm, job: str) -> str:
    return (slurm.place / f"scale-eval-{job}.log").read_text()


def test_one_job_evaluates_over_three_nodes_encrypted_and_ends_with_the_codes_of_the_command(
    slurm, data, plain
):
    words = [DEPLOY / "evaluate.sbatch", data.store.root, "run", *WORDS]
    job = slurm.submit(*SMALL, "--nodes=3", "--ntasks=4", *words, TLS="1")
    folder = slurm.place / "run.slurm" / f"tls-{job}"
    slurm.wait_until_it_evaluates()
    assert folder.stat().st_mode & 0o777 == 0o700
    scheduler = (slurm.place / "run.slurm" / f"scheduler-{job}-0.log").read_text()
    address = re.search(r"Scheduler at: +tls://([\d.]+):(\d+)", scheduler)
    assert address, scheduler
    assert not address[1].startswith("127.")
    slurm.open_gate()
    assert slurm.wait_for_end(job) == ["0"], slurm.logs()
    assert_is(slurm, "run", plain)
    assert not folder.exists()  # the key goes with the job
    ranks = {file.name for file in (slurm.place / "run.slurm").glob(f"worker-{job}-0-*.log")}
    assert ranks == {f"worker-{job}-0-{rank}.log" for rank in range(3)}


@pytest.mark.long
def test_the_job_ends_with_the_code_of_the_command_and_says_what_is_wrong(slurm, data):
    script = DEPLOY / "evaluate.sbatch"
    nothing = slurm.submit(*SMALL, script, "nowhere", "run", *WORDS)
    short = slurm.submit(*SMALL, "--time=2", script, data.store.root, "short", "--timeout=1 hour")
    no_words = slurm.submit(*SMALL, script, data.store.root)
    strict = slurm.submit(
        *SMALL,
        script,
        data.store.root,
        "strict",
        "--last=1",
        "--strict",
        "--model=tests.support.models:Raises",
        "--timeout=20",
    )
    assert slurm.wait_for_end(nothing, short, no_words, strict) == ["2", "2", "2", "1"]
    assert "nowhere" in log_of(slurm, nothing)
    assert "one evaluation may take 3,600 s" in " ".join(log_of(slurm, short).split())
    assert not (slurm.place / "short").exists()
    assert "usage: sbatch evaluate.sbatch DATASET RUN" in log_of(slurm, no_words)
    assert {slurm.facts(job)["Restarts"] for job in (nothing, short, strict)} == {"0"}


def test_a_job_that_another_takes_the_place_of_stops_in_order_and_goes_on_when_it_is_back(
    slurm, data, plain
):
    words = [DEPLOY / "evaluate.sbatch", data.store.root, "run", *WORDS]
    job = slurm.submit(*SMALL, "--partition=low", *words)
    slurm.wait_until_it_evaluates()
    before = {f.name for f in (slurm.place / "run" / "evaluations").glob("*.parquet")}
    slurm.submit(
        "--partition=high", "--nodes=3", "--exclusive", "--wrap=sleep 1", "--output=/dev/null"
    )
    slurm.wait_for_restart(job)
    slurm.open_gate()
    assert slurm.wait_for_end(job) == ["0"], slurm.logs()
    log = log_of(slurm, job)
    assert "Interrupted. What is done is on disk" in log
    assert f"attempt {job}-0" in log
    assert f"attempt {job}-1" in log
    assert before <= {f.name for f in (slurm.place / "run" / "evaluations").glob("*.parquet")}
    assert_is(slurm, "run", plain)


@pytest.mark.long
def test_a_job_whose_time_is_over_is_queued_again_by_itself_and_goes_on(slurm, data, plain):
    words = [DEPLOY / "evaluate.sbatch", data.store.root, "run", *WORDS]
    job = slurm.submit(*SMALL, *words)
    slurm.wait_until_it_evaluates()
    slurm("scontrol", "update", f"jobid={job}", "TimeLimit=1")  # no more than Slurm's last minute
    slurm.wait_for_restart(job)
    slurm.open_gate()
    slurm("scontrol", "update", f"jobid={job}", "TimeLimit=20")
    assert slurm.wait_for_end(job) == ["0"], slurm.logs()
    assert "not finished; queued again" in log_of(slurm, job)
    assert_is(slurm, "run", plain)


@pytest.mark.long
def test_a_job_is_not_queued_again_for_ever(slurm, data):
    words = [DEPLOY / "evaluate.sbatch", data.store.root, "run", *WORDS]
    job = slurm.submit(*SMALL, *words, MAX_RESTARTS="0")
    slurm.wait_until_it_evaluates()
    slurm("scancel", "--signal=TERM", "--batch", job)
    assert slurm.wait_for_end(job) == [str(cli.UNFINISHED)]
    assert "not finished after 0 restarts" in log_of(slurm, job)
    assert slurm.facts(job)["Restarts"] == "0"


def test_a_share_that_failed_is_run_again_and_the_array_is_then_reduced_to_the_plain_run(
    slurm, data, plain
):
    array = [DEPLOY / "array.sbatch", data.store.root, "run", "3", *WORDS]
    small = ["--cpus-per-task=1", "--mem-per-cpu=1000", "--time=20"]
    job = slurm.submit(*small, "--array=1-3", *array)
    reduced = slurm.submit(
        "--mem-per-cpu=1000", f"--dependency=afterany:{job}", DEPLOY / "reduce.sbatch", "run"
    )
    log = slurm.place / f"scale-eval-share-{job}-2.log"
    slurm.wait_for(lambda: log.exists() and "share 2/3" in log.read_text(), "it does not begin")
    slurm("scancel", f"{job}_2")
    slurm.open_gate()
    one, _, three, after = slurm.wait_for_end(*(f"{job}_{i}" for i in (1, 2, 3)), reduced)
    assert (one, three, after) == ("0", "0", str(cli.UNFINISHED)), slurm.logs()
    assert slurm.facts(f"{job}_2")["JobState"] == "CANCELLED"  # and not queued again by itself
    log = (slurm.place / f"scale-eval-reduce-{reduced}.log").read_text()
    assert re.search(r"[1-9]\d* evaluations have not been done", log)
    assert "Shares that did not finish: 2-of-3" in log
    again = slurm.submit(*small, "--array=2", *array)
    reduced = slurm.submit(
        "--mem-per-cpu=1000", f"--dependency=afterok:{again}", DEPLOY / "reduce.sbatch", "run"
    )
    assert slurm.wait_for_end(f"{again}_2", reduced) == ["0", "0"], slurm.logs()
    assert_is(slurm, "run", plain)


def test_workers_are_jobs_that_are_replaced_when_they_end_and_gone_with_the_command(
    slurm, data, plain
):
    settings = {
        "DASK_JOBQUEUE__SLURM__CORES": "2",
        "DASK_JOBQUEUE__SLURM__MEMORY": "1GB",
        "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(slurm.place / "jobs"),
    }
    with (slurm.place / "command.log").open("w") as log:
        process = subprocess.Popen(
            [
                COMMAND,
                "run",
                data.store.root,
                "--out",
                "run",
                "--cluster",
                "slurm",
                "--workers",
                "2",
                *WORDS,
            ],
            cwd=slurm.place,
            env={**slurm.environment, **settings},
            stdout=log,
            stderr=log,
        )
    try:
        slurm.wait_until_it_evaluates()
        (job,) = slurm("squeue", "-h", "-o", "%A", "--name=dask-worker").split()
        script = slurm("scontrol", "write", "batch_script", job, "-")
        assert "--nthreads 1" in script
        assert "--nworkers 2" in script
        assert "--lifetime 1680s --lifetime-stagger 60s" in script
        slurm("scancel", job)
        slurm.open_gate()
        assert process.wait(timeout=SECONDS) == cli.OK, slurm.logs()
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert_is(slurm, "run", plain)
    slurm.wait_for(
        lambda: not slurm("squeue", "-h", "-o", "%A", "--name=dask-worker"), "jobs are left"
    )


class TestWithoutSlurm:
    """What keeps a cluster of jobs from starting is said at once."""

    def test_no_sbatch_on_the_path(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ValueError, match="sbatch is not on the path: run this on a login node"):
            require_cluster("slurm", 2)

    def test_no_dask_jobqueue(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
        with pytest.raises(ValueError, match=r"pip install 'scale_eval\[cluster\]'"):
            require_cluster("slurm", 2)

    def test_no_configuration(self, monkeypatch, tmp_path):
        (tmp_path / "sbatch").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ValueError, match=r"jobqueue\.slurm\.cores and jobqueue\.slurm\.memory"):
            require_cluster("slurm", None)
