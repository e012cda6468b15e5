"""docker-compose.yml, used as the docs say: three workers, one that is killed, TLS, a stop.

What is evaluated in containers has the fingerprint of the same run on a local cluster.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.results.directory import open_run_directory
from tests.support.documentation import commands
from tests.support.paths import PROJECT as TOP

pytestmark = pytest.mark.slow

START_DOCKER = TOP.parent / "shared" / "infra" / "docker-up.sh"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

# Much more work for three workers than a stop takes: classifiers, every two weeks.
PATIENT = ["run", "datasets/shops", "--model", "rfm_gradient_boosting", "--every", "2 weeks"]
N_PATIENT = 12


class Told(NamedTuple):
    """What a command came to."""

    code: int
    text: str


@pytest.fixture(scope="session")
def docker() -> dict[str, str]:
    """The environment in which `docker` is at hand."""
    environment = dict(os.environ)
    if START_DOCKER.exists():
        started = subprocess.run([START_DOCKER], capture_output=True, text=True, check=False)
        if started.returncode != 0:
            pytest.skip(f"docker cannot be started here: {started.stderr.strip()[-500:]}")
        source = f'source "{started.stdout.strip()}" && env -0'
        result = subprocess.run(["bash", "-c", source], capture_output=True, text=True, check=True)
        environment = dict(line.split("=", 1) for line in result.stdout.split("\0") if line)
        environment["CA_BUNDLE"] = str(CA_BUNDLE)
    if not shutil.which("docker", path=environment["PATH"]):
        pytest.skip("there is no docker on this machine")
    words = ["docker", "info"]
    info = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if info.returncode != 0:
        pytest.skip(f"docker does not answer: {info.stderr.strip()[-500:]}")
    return environment


class Project:
    """A clone of this project, and its containers."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place = place
        self.environment = {
            **environment,
            "COMPOSE_PROJECT_NAME": f"scale-eval-test-{os.getpid()}",
            "COMPOSE_PROGRESS": "plain",
            "COLUMNS": "100",
            "SCHEDULER_PORT": "0",  # any that is free
            "DASHBOARD_PORT": "0",
            "NOTEBOOK_PORT": "0",
            "WORKER_MEMORY": "1g",
        }

    def run(self, *words: object, timeout: float = 240, **environment: str) -> Told:
        done = subprocess.run(
            [*map(str, words)],
            cwd=self.place,
            env={**self.environment, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        return Told(done.returncode, done.stdout)

    def compose(self, *words: object, **environment: str) -> Told:
        return self.run("docker", "compose", *words, **environment)

    def evaluate(self, *words: object, **environment: str) -> Told:
        return self.compose("run", "--rm", "-T", "evaluate", *words, **environment)

    def done(self, *words: object, **environment: str) -> str:
        """What a command prints that must succeed."""
        result = self.compose(*words, **environment)
        assert result.code == 0, result.text
        return result.text

    def containers(self, *services: str) -> list[dict]:
        ids = self.done("ps", "--all", "--quiet", *services).split()
        result = self.run("docker", "inspect", *ids)
        assert result.code == 0, result.text
        return json.loads(result.text)

    def batches(self, run: str) -> int:
        return len([*(self.place / run / "evaluations").glob("*.parquet")])


def owner() -> int:
    """Whose the results are to be: root's containers do not run as root."""
    return os.getuid() or 1000


def wait_for(condition, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def project(docker, tmp_path_factory):
    """The files of a clone, prepared and built by the first of the documented two commands."""
    place = tmp_path_factory.mktemp("compose") / "clone"
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, place / name)
    project = Project(place, docker)
    began = time.monotonic()
    try:
        prepare, _ = commands("how-to/docker-compose", "compose")
        prepared = project.run("bash", "-c", prepare, timeout=1200)
        assert prepared.code == 0, prepared.text
        print(f"\nimages built in {time.monotonic() - began:.0f} s")
        yield project
    finally:
        project.compose("--profile", "notebook", "down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def shops(project):
    """A dataset, made in a container, as a user would."""
    words = ["synth", "--companies", N_PATIENT, "--seed", 5, "--into", "datasets/shops"]
    result = project.compose("run", "--rm", "-T", "--no-deps", "evaluate", *words)
    assert result.code == 0, result.text
    return project.place / "datasets" / "shops"


@pytest.fixture
def cluster(project):
    """Three workers that wait for work."""
    project.done("up", "--detach", "--wait", "scheduler", "worker")


@pytest.fixture(scope="module")
def local_demo(tmp_path_factory) -> str:
    """The fingerprint of the demo on a local cluster."""
    run = tmp_path_factory.mktemp("local") / "run"
    return se.evaluate(se.demo_dataset(), out=run, workers=2, progress=False).fingerprint()


@pytest.fixture(scope="module")
def local_patient(shops, tmp_path_factory) -> str:
    """The fingerprint of the patient run on a local cluster."""
    run = tmp_path_factory.mktemp("local") / "run"
    found = se.evaluate(
        shops, ["rfm_gradient_boosting"], out=run, workers=2, progress=False, every=PATIENT[-1]
    )
    return found.fingerprint()


def test_two_commands_from_a_clone_give_a_finished_evaluation_by_three_workers(project, local_demo):
    _, evaluate = commands("how-to/docker-compose", "compose")
    result = project.run("bash", "-c", evaluate)
    assert result.code == 0, result.text
    assert "Report: " in result.text
    run = se.open_run(project.place / "runs" / "demo")
    assert run.finished
    assert run.evaluations["worker"].nunique() == 3
    assert run.fingerprint() == local_demo
    assert {path.stat().st_uid for path in (project.place / "runs").rglob("*")} == {owner()}


def test_a_worker_that_is_killed_comes_back_and_the_job_ends_well(
    project, shops, cluster, local_patient
):
    words = [*PATIENT, "--out", "runs/killed", "--granularity", "evaluation"]
    job = subprocess.Popen(
        ["docker", "compose", "run", "--rm", "-T", "evaluate", *words],
        cwd=project.place,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: project.batches("runs/killed") >= 2)
        victim = project.containers("worker")[0]
        os.kill(victim["State"]["Pid"], signal.SIGKILL)
        assert job.poll() is None
        text, _ = job.communicate(timeout=120)
    finally:
        job.kill()
    assert job.returncode == cli.OK, text
    assert se.open_run(project.place / "runs" / "killed").fingerprint() == local_patient

    def is_back() -> bool:
        now = {each["Id"]: each for each in project.containers("worker")}[victim["Id"]]
        again = now["State"]["Pid"] not in (0, victim["State"]["Pid"])
        return now["RestartCount"] == 1 and again and now["State"]["Health"]["Status"] == "healthy"

    wait_for(is_back)


def test_a_stopped_job_keeps_its_rows_and_the_same_command_goes_on(
    project, shops, local_patient, cluster
):
    job = {"EVALUATE": f"{' '.join(PATIENT[:-1])} '{PATIENT[-1]}' --out runs/stopped"}
    project.done("up", "--detach", "evaluate", **job)
    wait_for(lambda: project.batches("runs/stopped") >= 1)
    project.done("stop", **job)
    # A process that outlives its grace period is killed, and has another code than these.
    (container,) = project.containers("evaluate")
    assert container["State"]["ExitCode"] == cli.UNFINISHED
    for worker in project.containers("scheduler", "worker"):
        assert worker["State"]["ExitCode"] in (0, 128 + signal.SIGTERM), worker["State"]
    result = project.done("logs", "evaluate", **job)
    assert "Interrupted. What is done is on disk" in result
    assert "Traceback" not in result
    before = open_run_directory(project.place / "runs" / "stopped").evaluations().to_pandas()
    assert len(before) > 0

    again = project.compose("up", "--exit-code-from", "evaluate", **job)
    assert again.code == cli.OK, again.text
    run = se.open_run(project.place / "runs" / "stopped")
    assert run.finished
    assert len(run.evaluations) > len(before)
    key = ["company_id", "cutoff", "model"]
    kept = run.evaluations.merge(before[key], on=key)
    assert sorted(kept["evaluated_at"]) == sorted(before["evaluated_at"])
    assert run.fingerprint() == local_patient


def test_the_exit_code_of_a_job_is_that_of_the_command(project, cluster):
    result = project.evaluate("run", "datasets/none", "--out", "runs/none")
    assert result.code == cli.USAGE, result.text
    assert "datasets/none" in result.text
    job = {"EVALUATE": "run datasets/none --out runs/none"}
    result = project.compose("up", "--exit-code-from", "evaluate", **job)
    assert result.code == cli.USAGE, result.text


def test_nothing_listens_beyond_loopback_and_containers_run_as_a_user(project, cluster):
    published = []
    for container in project.containers("scheduler", "worker"):
        ports = container["NetworkSettings"]["Ports"] or {}
        published += [each for bound in ports.values() for each in bound or []]
        assert container["HostConfig"]["NetworkMode"] != "host"
        assert not container["HostConfig"]["Privileged"]
        result = project.run("docker", "exec", container["Id"], "id", "-u")
        assert int(result.text) == owner()
        header, *processes = project.run(
            "docker", "top", container["Id"], "-eo", "pid,uid"
        ).text.splitlines()
        assert header.split() == ["PID", "UID"]
        assert processes
        assert "0" not in {process.split()[1] for process in processes}
    assert len(published) == 2
    assert {each["HostIp"] for each in published} == {"127.0.0.1"}
    for each in published:
        listening = project.run("ss", "-Hltn", f"sport = :{each['HostPort']}").text.split()
        assert f"127.0.0.1:{each['HostPort']}" in listening


def test_dask_is_told_of_the_memory_that_a_container_has(project, cluster):
    (container, *_) = project.containers("worker")
    limit = container["HostConfig"]["Memory"]
    assert limit == 2**30
    asks = (
        "from distributed import Client; c = Client('tcp://scheduler:8786', timeout=20); "
        "print(max(w['memory_limit'] for w in c.scheduler_info(-1)['workers'].values()))"
    )
    result = project.done("exec", "-T", "scheduler", "python", "-c", asks)
    assert 0.8 * limit < int(result.split()[-1]) < limit


def test_a_container_finds_everything_compiled(project, cluster):
    counts = (
        "import pathlib, time; from scale_eval.models.warm_up import warm_up;"
        "began = time.monotonic();"
        "place = pathlib.Path('/opt/compiled'); there = {*place.rglob('*.nbc')}; warm_up();"
        "print(len(there), len({*place.rglob('*.nbc')} - there), time.monotonic() - began)"
    )
    result = project.done(
        "run", "--rm", "-T", "--no-deps", "--entrypoint", "python", "evaluate", "-c", counts
    )
    n_compiled, n_new, seconds = result.splitlines()[-1].split()
    print(f"\nwarm-up in a fresh container: {float(seconds):.1f} s")
    assert int(n_compiled) > 20
    assert int(n_new) == 0


def test_no_secret_is_in_the_image_and_no_compiler(project, docker):
    words = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", "scale-eval"]
    history = project.run(*words).text
    (image,) = json.loads(project.run("docker", "image", "inspect", "scale-eval").text)
    assert image["Config"]["User"] == "1000:1000"
    for text in (history, json.dumps(image)):
        assert not re.search(r"BEGIN |TOKEN|PASSWORD|://[^/\s]*@", text)
    looks = (
        "for name in gcc cc g++ clang make; do command -v $name; done; "
        "find /run/secrets /tls -mindepth 1 2>/dev/null; "
        "cd /opt/scale_eval && find . -name '*.pem' -o -name 'pip.conf'"
    )
    found = project.run("docker", "run", "--rm", "scale-eval", "sh", "-c", looks)
    assert found.code == 0, found.text
    assert [line for line in found.text.splitlines() if not line.endswith("cacert.pem")] == []


def test_a_notebook_server_is_for_this_machine_and_for_who_has_the_token(project, cluster):
    project.done("--profile", "notebook", "up", "--detach", "--wait", "--build", "notebook")
    try:
        address = project.done("--profile", "notebook", "port", "notebook", "8888").strip()
        assert address.startswith("127.0.0.1:")
        token = re.search(r"token=(\w{20,})", project.done("logs", "notebook"))[1]
        (container,) = project.containers("notebook")
        assert token not in json.dumps(container)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://{address}/api/contents")
        with urllib.request.urlopen(f"http://{address}/api/contents?token={token}") as answer:
            names = {each["name"] for each in json.load(answer)["content"]}
        assert {"datasets", "runs", "notebooks"} <= names
        kernel = "import jupyterlab, ipywidgets, bokeh, scale_eval"
        project.done("exec", "-T", "notebook", "python", "-c", kernel)
    finally:
        project.done("--profile", "notebook", "rm", "--stop", "--force", "notebook")


def test_one_command_ends_jobs_of_run_and_the_notebook_too(project, shops, cluster):
    words = [*PATIENT, "--out", "runs/ended", "--granularity", "evaluation"]
    job = project.done("run", "--detach", "-T", "evaluate", *words).split()[-1]
    project.done("--profile", "notebook", "up", "--detach", "--build", "notebook")
    wait_for(lambda: project.batches("runs/ended") >= 2)
    logs = subprocess.Popen(
        ["docker", "logs", "--follow", job],
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ended = project.run("deploy/stop.sh")
    assert ended.code == 0, ended.text
    assert "Interrupted. What is done is on disk" in logs.communicate(timeout=30)[0]
    label = f"label=com.docker.compose.project={project.environment['COMPOSE_PROJECT_NAME']}"
    assert project.run("docker", "ps", "--all", "--quiet", "--filter", label).text == ""
    assert project.run("docker", "network", "ls", "--quiet", "--filter", label).text == ""
    assert project.batches("runs/ended") >= 2


def test_over_tls_the_answer_is_the_same_and_who_has_no_certificate_is_refused(project, local_demo):
    tls = {"COMPOSE_FILE": "docker-compose.yml:deploy/compose.tls.yml"}
    result = project.evaluate("demo", "--out", "runs/tls", **tls)
    assert result.code == cli.OK, result.text
    run = se.open_run(project.place / "runs" / "tls")
    assert run.fingerprint() == local_demo
    assert all(worker.startswith("tls://") for worker in run.evaluations["worker"].dropna())
    kept = project.done("exec", "-T", "worker", "stat", "-c", "%a %u", "/tls/key.pem", **tls)
    assert kept.split() == ["600", str(owner())]

    others = {
        "no certificate": "export DASK_CONFIG=/nowhere",
        "no TLS": "export DASK_CONFIG=/nowhere SCALE_EVAL_CLUSTER=tcp://scheduler:8786",
        "another certificate": "tls.sh /tmp/other && export DASK_CONFIG=/tmp/other",
    }
    for who, has in others.items():
        tries = f"{has} && scale-eval demo --out runs/none"
        words = ["run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "evaluate", "-c", tries]
        result = project.compose(*words, **tls)
        assert result.code == cli.USAGE, f"{who}: {result.text}"
        assert "cannot be joined" in result.text
        assert "Traceback" not in result.text
    logs = project.done("logs", **tls)
    assert "PRIVATE KEY" not in logs
