"""The coordinator without a cluster."""

from __future__ import annotations

from distributed.comm.core import CommClosedError

from scale_eval.execution.coordinator import announce


def test_a_worker_that_is_going_away_does_not_keep_the_others_from_what_comes_next(monkeypatch):
    registered = []

    class Leaving:
        def register_plugin(self, plugin):
            registered.append(plugin)
            if len(registered) == 1:
                raise CommClosedError("Stream is closed")

    monkeypatch.setattr("scale_eval.execution.coordinator.time.sleep", lambda seconds: None)
    announce(Leaving(), "what it takes")
    assert registered == ["what it takes"] * 2
