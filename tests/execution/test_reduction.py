"""The tables of a run are the same bits, whoever makes them, and whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import threadpoolctl

import scale_eval as se
from scale_eval.execution import reduction
from scale_eval.execution.reduction import reduce_directory
from scale_eval.results.directory import RunDirectory
from scale_eval.results.tables import tables_of
from scale_eval.storage import open_store
from tests.support.faults import cluster_of_its_own

pytestmark = pytest.mark.slow


def doubled_rate(outcomes, probabilities, future_spend):  # workers cannot import it
    return 2 * np.mean(outcomes)


@pytest.fixture(scope="module")
def reduced_here(shops, client, tmp_path_factory):
    out = tmp_path_factory.mktemp("here") / "run"
    se.evaluate(shops, out=out, client=client, metrics=[doubled_rate], progress=False)
    return out


@pytest.fixture
def unreduced(reduced_here, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(reduced_here, out, ignore=shutil.ignore_patterns(".lock"))
    for table in tables_of(sample=False):
        (out / f"{table.name}.parquet").unlink()
    return RunDirectory(open_store(out))


def assert_same_tables(directory, expected):
    for table in tables_of(sample=False):
        made = pq.read_table(f"{directory.store.root}/{table.name}.parquet")
        assert made.equals(pq.read_table(expected / f"{table.name}.parquet")), table.name


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_the_tables_that_one_process_makes(unreduced, reduced_here, workers):
    with cluster_of_its_own(workers) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction.Reducer, "make", None)  # this process makes none
        reduce_directory(unreduced, {}, client)
    assert_same_tables(unreduced, reduced_here)


def test_a_task_whose_worker_dies_is_done_again_by_another(unreduced, reduced_here):
    with cluster_of_its_own() as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction.Reducer, "make", None)  # this process makes none
        first = min(client.run(os.getpid, nanny=False))
        client.run(_have_the_next_task_kill, workers=[first])
        before = client.run(os.getpid)
        reduce_directory(unreduced, {}, client)
        assert client.run(os.getpid) != before
    assert_same_tables(unreduced, reduced_here)


def test_what_kills_every_worker_is_done_in_this_process(unreduced, reduced_here, monkeypatch):
    monkeypatch.setattr(reduction, "do_on_worker", _die)
    with cluster_of_its_own() as client:
        reduce_directory(unreduced, {}, client)
    assert_same_tables(unreduced, reduced_here)


def test_a_cluster_without_workers_is_not_waited_for(unreduced, reduced_here, monkeypatch):
    monkeypatch.setattr(reduction, "NO_WORKER_SECONDS", 0.5)
    with cluster_of_its_own() as client:
        client.cluster.scale(0)
        reduce_directory(unreduced, {}, client)
    assert_same_tables(unreduced, reduced_here)


def test_a_worker_that_sees_other_files_reduces_none(unreduced):
    seen = reduction.Reduction.of(unreduced, {})
    elsewhere = reduction.Reduction(seen.name, unreduced, {}, "other files")
    with pytest.raises(FileNotFoundError, match="other files"):
        elsewhere.reducer()


def test_a_large_run_is_reduced_by_workers_and_a_small_one_is_not(reduced_here, monkeypatch):
    with reduction.workers_to_reduce(RunDirectory(open_store(reduced_here))) as client:
        assert client is None
    monkeypatch.setattr(reduction, "ON_WORKERS_FROM", 1)
    with reduction.workers_to_reduce(RunDirectory(open_store(reduced_here))) as client:
        assert client.nthreads()


def test_evaluate_and_reduce_have_workers_make_the_tables_of_a_large_run(
    shops, client, reduced_here, tmp_path, monkeypatch
):
    monkeypatch.setattr(reduction, "ON_WORKERS_FROM", 1)
    clients = []
    of_module = sys.modules["scale_eval.evaluate_run"]
    monkeypatch.setattr(
        of_module,
        "reduce_directory",
        lambda *given: clients.append(given[2]) or reduce_directory(*given),
    )
    out = tmp_path / "run"
    se.evaluate(shops, out=out, client=client, metrics=[doubled_rate], progress=False)
    assert clients == [client]
    assert_same_tables(RunDirectory(open_store(out)), reduced_here)
    se.reduce(out)
    assert None not in clients
    assert_same_tables(RunDirectory(open_store(out)), reduced_here)


def test_what_makes_tables_on_a_worker_that_evaluated_has_one_thread(shops, client, tmp_path):
    se.evaluate(shops, out=tmp_path / "run", client=client, progress=False)
    limits = [
        client.submit(_threads_of_libraries, pure=False, workers=[worker])
        for worker in client.scheduler_info()["workers"]
    ]
    assert {n for of_worker in client.gather(limits) for n in of_worker} == {1}


def _threads_of_libraries():
    for info in threadpoolctl.threadpool_info():  # as where the workers' parent imported NumPy
        threadpoolctl.threadpool_limits({info["filepath"]: 2})
    with threadpoolctl.threadpool_limits(1):
        return [info["num_threads"] for info in threadpoolctl.threadpool_info()]


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def _have_the_next_task_kill():
    """Have the next task of a reduction kill this worker; the one that takes its place lives."""
    reduction.Reducer.make = _die
