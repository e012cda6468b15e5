"""Worker processes that are killed, or fail, while they start: a sentence, and nothing left."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from multiprocessing import forkserver

import pytest

from scale_eval import children
from scale_eval.execution.clusters import local
from scale_eval.execution.clusters.base import ClusterLost
from scale_eval.execution.clusters.local import local_cluster
from scale_eval.place_errors import place_error_behind


@pytest.mark.parametrize("error", [RuntimeError, TimeoutError, EOFError, ConnectionResetError])
def test_the_first_cause_and_a_remedy_are_said(monkeypatch, error):
    def fail(**_):
        try:
            raise error("it ended")
        except error as first:
            raise RuntimeError("Nanny failed to start.") from first

    monkeypatch.setattr(local, "LocalCluster", fail)
    with pytest.raises(ClusterLost, match="while it was starting") as lost, local_cluster(7):
        pass
    assert f"({error.__name__}: it ended)" in str(lost.value)
    assert "fewer processes than 7 (--workers)" in str(lost.value)


def test_a_limit_of_the_machine_that_is_behind_it_is_found(monkeypatch):
    def fail(**_):
        raise RuntimeError("Nanny failed to start.") from OSError(errno.EMFILE, "Too many files")

    monkeypatch.setattr(local, "LocalCluster", fail)
    with pytest.raises(ClusterLost) as lost, local_cluster(1):
        pass
    assert place_error_behind(lost.value).errno == errno.EMFILE


@pytest.mark.slow
def test_workers_that_are_killed_as_soon_as_they_are_there_are_no_defect():
    over = threading.Event()

    def strike():
        while not over.wait(0.005):
            server = forkserver._forkserver._forkserver_pid
            for pid in children._descendants(server) if server else ():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(ClusterLost, match="while it was starting"), local_cluster(1):
            time.sleep(60)
    finally:
        over.set()
        thread.join()
    assert time.monotonic() - began < 60
