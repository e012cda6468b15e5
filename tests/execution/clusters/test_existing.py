"""Clusters that are joined: who answers, and whether all of it has the same packages."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.execution import versions
from scale_eval.execution.clusters import existing
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.execution.versions import VersionsDiffer, require_same_versions, version_differences
from scale_eval.results.directory import open_run_directory
from tests.support import models
from tests.support.paths import PROJECT as TOP

BIN = Path(sys.executable).parent

# A worker that preloads this says that it has another numpy, as one of an older image would.
OLD_NUMPY = """
import importlib.metadata
from distributed import versions

if not hasattr(versions, "real"):  # Dask reads this more than once
    versions.real = importlib.metadata.version
    pretended = lambda package: "1.26.4" if package == "numpy" else versions.real(package)
    importlib.metadata.version = versions.version = pretended
    versions._version_cached.cache_clear()
"""


@contextlib.contextmanager
def part(*words: object, log: Path, **environment: str):
    """A scheduler or a worker, as one starts it by hand."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [BIN / "dask", *map(str, words)],
            stdout=file,
            stderr=file,
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(TOP), **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address_in(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.search(r"Scheduler at: +(\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def scheduler(tmp_path):
    log = tmp_path / "scheduler.log"
    words = ["scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard"]
    with part(*words, log=log):
        yield address_in(log)


def old_worker(scheduler: str, tmp_path: Path):
    (tmp_path / "old_numpy.py").write_text(OLD_NUMPY)
    words = ["worker", scheduler, "--nthreads", 1, "--no-dashboard", "--preload", "old_numpy.py"]
    return part(*words, log=tmp_path / "old.log", PYTHONPATH=f"{TOP / 'tests'}:{tmp_path}")


def test_a_difference_is_told_with_both_versions_and_a_missing_package_is_one():
    ours = {"python": "3.11", "numpy": "2.4.6", "scale_eval": "0.1.0", "dask": "2026.8.0"}
    theirs = {"python": "3.11.2.final.0", "numpy": "2.4.5", "dask": "2026.8.0", "scale_eval": None}
    assert version_differences(ours, theirs) == [
        "numpy is 2.4.6 here, and 2.4.5",
        "scale_eval is 0.1.0 here, and missing",
    ]
    assert version_differences(ours, {**theirs, "python": "3.12.1.final.0"})[0] == (
        "python is 3.11 here, and 3.12"
    )


def test_the_parts_of_a_local_cluster_have_the_same_packages(client):
    require_same_versions(client)


@pytest.mark.slow
def test_a_cluster_that_has_workers_only_while_there_are_tasks_begins(shops, tmp_path):
    with (
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as growing,
        Client(growing) as client,
    ):
        growing.adapt(minimum=0, maximum=1, interval="200ms")
        run = se.evaluate(
            shops, ["recency"], out=tmp_path / "run", client=client, last=1, progress=False
        )
    assert run.finished
    assert (run.evaluations["status"] == "ok").any()


def test_another_version_of_this_package_is_refused_before_anything_is_evaluated(
    shops, client, tmp_path, monkeypatch
):
    ours = {**versions.own_versions(), "scale_eval": "0.0.9"}
    monkeypatch.setattr(versions, "own_versions", lambda: ours)
    with pytest.raises(VersionsDiffer, match=r"scale_eval is 0\.0\.9 here, and \d") as refused:
        se.evaluate(shops, ["base_rate"], out=tmp_path / "run", client=client, progress=False)
    assert "the scheduler, worker tcp://" in str(refused.value)
    rows = open_run_directory(tmp_path / "run").evaluations()
    assert rows["worker"].null_count == len(rows)  # what the plan refuses, and nothing else


@pytest.mark.slow
def test_a_worker_of_other_packages_is_exit_code_2_and_named(scheduler, shops, tmp_path):
    with old_worker(scheduler, tmp_path):
        done = subprocess.run(
            [
                BIN / "scale-eval",
                "run",
                shops.store.root,
                "--out",
                tmp_path / "run",
                "--cluster",
                scheduler,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == cli.USAGE, done
    assert f"numpy is {version('numpy')} here, and 1.26.4 on worker tcp://127.0.0.1:" in done.stderr
    assert "the scheduler, worker" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_worker_of_other_packages_that_joins_later_ends_the_run_and_adds_nothing(
    scheduler, shops, tmp_path
):
    words = ["worker", scheduler, "--nthreads", 1, "--no-dashboard"]
    with part(*words, log=tmp_path / "worker.log"), Client(scheduler) as client:
        client.wait_for_workers(1)
        stay = threading.Event()

        def join_later():
            while len([*(tmp_path / "run" / "evaluations").glob("*.parquet")]) < 2:
                time.sleep(0.05)  # the first file is of what the plan refuses
            with old_worker(scheduler, tmp_path):
                stay.wait(60)

        thread = threading.Thread(target=join_later)
        thread.start()
        try:
            with pytest.raises(VersionsDiffer, match=r"numpy is .* here, and 1\.26\.4 on worker"):
                se.evaluate(
                    shops,
                    [models.Unhurried(seconds=1)],
                    out=tmp_path / "run",
                    client=client,
                    every="1 month",
                    granularity="evaluation",
                    progress=False,
                )
        finally:
            ran = [worker["id"] for worker in client.scheduler_info()["workers"].values()]
            stay.set()
            thread.join()
    assert len(ran) == 2
    workers = open_run_directory(tmp_path / "run").evaluations()["worker"]
    assert len(workers.drop_null().unique()) == 1


def test_an_address_where_nobody_answers_is_told_with_what_to_look_at(monkeypatch):
    monkeypatch.setattr(existing, "ANSWER_SECONDS", 0.5)
    with (
        pytest.raises(ConnectionError, match=r"tcp://127\.0\.0\.1:1 cannot be joined.*running"),
        dask_client("tcp://127.0.0.1:1"),
    ):
        pass


def test_an_encrypted_address_without_a_certificate_is_told_so():
    with (
        pytest.raises(ConnectionError, match="this process has no certificate"),
        dask_client("tls://127.0.0.1:1"),
    ):
        pass


@pytest.mark.slow
def test_a_cluster_of_threads_leaves_the_path_of_imports_of_its_process(
    shops, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(Path.cwd()))  # as a notebook has it
    with Client(processes=False, n_workers=1, dashboard_address=None) as client:
        before = list(sys.path)  # Dask has put its own folder there
        run = se.evaluate(shops, ["base_rate"], out=tmp_path / "run", client=client, last=1)
        assert sys.path == before
    assert set(run.evaluations["status"]) <= {"ok", "skipped"}
