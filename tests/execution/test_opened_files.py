"""What a user's code reads is noted: files and environment variables."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from scale_eval.execution.forked_call import forked_call
from scale_eval.execution.opened_files import note_opened_files
from scale_eval.storage.file_hash import MISSING, file_hash, read_hash, read_in_words

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="models are tried on Linux only")


def read(function) -> dict[str, str]:
    """What is noted while a function runs, in a fork: a hook of Python's stays."""

    def call():
        with note_opened_files() as opened:
            function()
        return opened.hashes()

    return forked_call(call, 20.0)


def test_files_of_the_project_are_noted_wherever_they_lie_and_also_where_there_is_none(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in (".conf/rate.json", "data/x.txt", "cfg.toml", ".git/HEAD"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("0.2")

    def function():
        for name in (".conf/rate.json", "data/../cfg.toml", ".git/HEAD", "absent.json"):
            with contextlib.suppress(FileNotFoundError):
                Path(name).read_text()

    hashes = read(function)
    assert hashes == {
        ".conf/rate.json": file_hash("cfg.toml"),
        "cfg.toml": file_hash("cfg.toml"),
        "absent.json": MISSING,
    }
    assert {name: read_hash(name) for name in hashes} == hashes


def test_variables_are_noted_as_they_were_before_the_code_changed_them(monkeypatch):
    monkeypatch.setenv("DECAY", "0.2")
    monkeypatch.delenv("ABSENT", raising=False)

    def function():
        assert os.environ["DECAY"] == os.getenv("DECAY") == "0.2"
        assert "ABSENT" not in os.environ
        os.environ["DECAY"] = "0.9"
        assert os.environ.get("HOME") == os.path.expanduser("~")  # noqa: PTH111

    hashes = read(function)
    assert hashes == {"$DECAY": read_hash("$DECAY"), "$ABSENT": MISSING}
    monkeypatch.setenv("DECAY", "0.6")
    assert read_hash("$DECAY") != hashes["$DECAY"]
    assert read_in_words("$DECAY") == "the environment variable DECAY"


def test_neither_a_copy_of_the_environment_nor_what_packages_read_is_noted():
    assert read(lambda: dict(os.environ)) == {}
    assert read(lambda: os.path.expanduser("~")) == {}  # noqa: PTH111
