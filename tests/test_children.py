"""Processes that this one began, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from scale_eval.children import MEMORY_IS_KEPT, can_be_forked, killed_on_error


def test_an_exception_that_leaves_the_block_kills_a_pool_that_would_go_on_for_long():
    began = time.monotonic()
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with pytest.raises(KeyboardInterrupt), killed_on_error(pool):
        pool.submit(time.sleep, 600)
        started = [psutil.Process(pid) for pid in pool._processes]
        raise KeyboardInterrupt
    assert time.monotonic() - began < 60
    assert len(started) == 1
    assert not started[0].is_running()


def test_without_an_exception_a_pool_does_all_that_it_was_given():
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with killed_on_error(pool):
        lengths = [pool.submit(len, "a" * n) for n in range(3)]
    assert [each.result() for each in lengths] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.skipif(not can_be_forked(), reason="workers are not forked here")
def test_the_process_that_workers_are_forked_from_keeps_freed_memory_for_them(client):
    (started,) = {psutil.Process(pid).ppid() for pid in client.run(os.getpid).values()}
    found = psutil.Process(started).environ()
    assert {name: found.get(name) for name in MEMORY_IS_KEPT} == {
        name: str(value) for name, value in MEMORY_IS_KEPT.items()
    }
