"""Which cluster a text names, and what is refused before anything is started."""

from __future__ import annotations

import logging
import threading

import pytest
from distributed.comm.core import CommClosedError

from scale_eval.execution.clusters.existing import ExistingCluster
from scale_eval.execution.clusters.registry import KINDS, require_cluster


def test_a_name_is_a_kind_that_is_started_and_an_address_is_a_cluster_that_is_running():
    assert require_cluster("local", 2) is KINDS["local"]
    assert require_cluster("tcp://host:8786", None) == ExistingCluster("tcp://host:8786")


def test_a_text_that_names_no_cluster_is_refused_with_the_kinds_that_there_are():
    with pytest.raises(ValueError, match=r"'kubernetes' is no cluster: give 'local', 'slurm', an"):
        require_cluster("kubernetes", None)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises(ValueError, match="write a whole number of at least 1"):
        require_cluster("local", workers)


def test_a_cluster_that_is_running_has_its_own_workers():
    with pytest.raises(ValueError, match="already running: it has its own"):
        require_cluster("tcp://host:8786", 2)


@pytest.mark.parametrize("content", ["no json", "[]", '{"id": "Scheduler-1"}'])
def test_a_file_that_no_scheduler_wrote_is_refused(tmp_path, content):
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="no scheduler file: it is what 'dask scheduler"):
        require_cluster(str(file), None)


def test_a_message_to_a_scheduler_that_is_gone_logs_no_traceback_and_another_fault_does(
    client, monkeypatch
):
    logged = []
    logger, handler = logging.getLogger("tornado.application"), logging.Handler()
    monkeypatch.setattr(handler, "emit", logged.append)
    monkeypatch.setattr(logger, "handlers", [handler])

    def sent(error: Exception) -> list[logging.LogRecord]:
        def send(*messages: object) -> None:
            raise error

        monkeypatch.setattr(client.scheduler_comm, "send", send)
        client._send_to_scheduler({"op": "client-releases-keys", "keys": []})
        handled = threading.Event()
        client.loop.add_callback(handled.set)
        assert handled.wait(10)
        return logged

    assert sent(CommClosedError("the stream is closed")) == []
    (record,) = sent(RuntimeError("another"))
    assert record.exc_info[0] is RuntimeError
