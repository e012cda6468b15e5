"""Means to cause faults, and to compare what a run came to with an undisturbed one.

The runs of `tests/execution/faults`: three hundred small companies at two cutoffs, in batches of 25
companies.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed import Client, SchedulerPlugin

import scale_eval as se
from scale_eval.evaluation.schema import KEY
from scale_eval.execution.clusters.local import LOCAL_CONFIG, local_cluster
from scale_eval.planning import batches
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS

CHOSEN = ["base_rate", "recency", "rfm_logistic"]
CUTOFFS = ("2023-07-01", "2024-01-01")
SETTINGS = {"last": 2, "observed_until": "2024-07-01"}
BATCH_COMPANIES = 25
N_BATCHES = 12

random.seed(time.time_ns())  # moments of blows; no result depends on them


def bound_batches(patch, n_evaluations):
    """Batches hold so many evaluations, however short the run is."""
    patch.setattr(batches, "BATCH_EVALUATIONS", n_evaluations)
    patch.setattr(batches, "FEW_BATCHES", 1)


def evaluate(dataset, out, client, chosen=(), **choices):
    choices = {"granularity": "batch", "progress": False, **SETTINGS, **choices}
    return se.evaluate(dataset, [*CHOSEN, *chosen], out=out, client=client, **choices)


@contextlib.contextmanager
def cluster_of_its_own(workers=2, *, allowed_failures=1, **choices):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOCAL_CONFIG, "distributed.scheduler.allowed-failures", allowed_failures)
        with local_cluster(workers, **choices) as cluster, Client(cluster) as client:
            yield client


def facts(run) -> pd.DataFrame:
    """The evaluations, sorted, without what cannot be the same twice."""
    table = run.directory.evaluations()
    kept = [name for name in table.column_names if not UNREPEATABLE_COLUMNS.fullmatch(name)]
    frame = table.select(kept).to_pandas()
    for name in kept:
        if name.endswith("_influence"):
            frame[name] = [None if sums is None else sums.tobytes() for sums in frame[name]]
    return frame


def assert_equal_but_for(run, undisturbed, places, status, model="at"):
    """The evaluations of a model at these "company cutoff" have this status; others are equal."""
    found, expected = facts(run), facts(undisturbed)
    pd.testing.assert_frame_equal(found[KEY], expected[KEY])
    names = found["company_id"] + found["cutoff"].dt.strftime(" %Y-%m-%d")
    lost = names.isin(places) & (found["model"] == model)
    assert Counter(found.loc[lost, "status"]) == {status: len(places)}
    pd.testing.assert_frame_equal(found[~lost], expected[~lost], check_exact=True)
    assert not set(found.loc[~lost, "status"]) & {"killed", "timeout", "error"}


class Names(SchedulerPlugin):
    """Notes, on the scheduler, the tasks that it took, and counts the workers that died."""

    name = "names"

    def start(self, scheduler):
        scheduler.names = self
        self.tasks, self.n_deaths, self.began = [], 0, time.time()

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "released" and finish == "waiting":
            self.tasks.append(key[0] if isinstance(key, tuple) else key)

    def remove_worker(self, scheduler, worker, *, stimulus_id="", **kwargs):
        if "handle-worker-cleanup" in stimulus_id or "nanny" in stimulus_id:
            self.n_deaths += 1


def on_scheduler(client):
    return client.run_on_scheduler(
        lambda dask_scheduler: (dask_scheduler.names.tasks, dask_scheduler.names.n_deaths)
    )


@contextlib.contextmanager
def blows(client, kind: signal.Signals, diary: Path, every: int, at_most: int):
    """End a worker's process by a signal whenever `every` evaluations more are in the diary."""
    over, struck = threading.Event(), []

    def strike():
        last = 0
        while not over.wait(0.01) and len(struck) < at_most:
            lines = len(diary.read_text().splitlines()) if diary.exists() else 0
            if lines - last >= every:
                last = lines
                nanny = random.choice([*client.cluster.workers.values()])
                with contextlib.suppress(Exception):  # between two lives it has no process
                    os.kill(nanny.pid, kind)
                    struck.append(nanny.pid)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield struck
    finally:
        over.set()
        thread.join()


def wait_for(condition, process=None, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.02)


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


def batches_written(out: Path) -> dict[str, int]:
    """Files of evaluations that workers wrote, and when."""
    return {
        file.name: file.stat().st_mtime_ns
        for file in (out / "evaluations").glob("*.parquet")
        if pq.read_table(file, columns=["worker"])["worker"].null_count == 0
    }


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
