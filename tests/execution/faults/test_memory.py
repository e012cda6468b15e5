"""The memory of the coordinator."""

from __future__ import annotations

import ctypes
import gc

import numpy as np
import psutil
import pytest
from dask.utils import key_split

import scale_eval as se
from scale_eval.execution.progress import Progress

pytestmark = pytest.mark.slow


def test_the_coordinators_memory_does_not_grow_with_the_evaluations(
    many, client, tmp_path, monkeypatch
):
    seen = []

    class Weighed(Progress):
        def update(self, statuses, cost):
            super().update(statuses, cost)
            if self.counts.total() % 1000 == 0:
                key_split.cache_clear()  # of the last 100,000 keys: bounded, but not yet
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)
                seen.append((self.counts.total(), psutil.Process().memory_info().rss))

    monkeypatch.setattr("scale_eval.evaluate_run.Progress", Weighed)
    se.evaluate(
        many,
        ["frequency"],
        out=tmp_path / "run",
        client=client,
        progress=False,
        every="1 month",
        last=8,
        observed_until="2024-07-01",
        granularity="evaluation",
    )
    n, memory = np.array(sorted(dict(seen).items())).T
    assert n[-1] - n[0] >= 5_000
    # Held in memory, an evaluation takes some kilobytes at every step: its task 1, its row 1, its
    # key on the scheduler 3. The process, which has seen other tests, grows by megabytes at some.
    assert np.median(np.diff(memory) / np.diff(n)) < 1_500
