"""A watched command: its seconds, memory and output; a failure is an error."""

from __future__ import annotations

import pytest

from benchmarks.watched_command import watch


def test_a_command_has_seconds_memory_and_its_output(tmp_path):
    watched = watch(["run", "--help"], tmp_path / "log")
    assert watched.output.startswith("Usage: scale-eval run")
    assert watched.wall > 0
    assert watched.cpu > 0
    assert 0.001 < watched.coordinator_gb < 2
    assert watched.started_gb == []


def test_a_command_that_fails_is_an_error_with_what_it_printed(tmp_path):
    with pytest.raises(RuntimeError, match="no_such_command"):
        watch(["no_such_command"], tmp_path / "log")
