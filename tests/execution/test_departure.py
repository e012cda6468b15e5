"""A worker that is told to end leaves its nanny to start another."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest

from scale_eval.execution.departure import Departure


def test_before_the_scheduler_lets_a_worker_go_its_nanny_is_out_of_its_reach(monkeypatch):
    """Let go, Dask's worker closes, and tells its nanny to start no other, if that is faster."""
    nannies = []

    async def unregister(**_):
        nannies.append(worker.nanny)

    def end(code):
        raise SystemExit(code)

    worker = SimpleNamespace(
        nanny="tcp://nanny:1", address="tcp://worker:1", scheduler=SimpleNamespace()
    )
    worker.scheduler.unregister = unregister
    monkeypatch.setattr(os, "_exit", end)
    departure = Departure(worker, "topic", SimpleNamespace(task_in_hand=None))
    with pytest.raises(SystemExit, match="143"):
        asyncio.run(departure._leave_and_end(143))
    assert nannies == [None]
