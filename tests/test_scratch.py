"""A folder for temporary files that no other user of the machine can take, open or redirect."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from scale_eval.execution import compilation
from scale_eval.scratch import is_own_folder, scratch_folder

NAME = f"scale_eval-{os.geteuid()}"
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """A folder for temporary files like /tmp, and none of the user's own."""
    place = tmp_path / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place


def folder() -> Path | None:
    return scratch_folder.__wrapped__()


def test_it_is_one_for_all_processes_of_a_user_and_open_to_nobody_else(shared):
    first = folder()
    assert first == folder() == shared / NAME
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    first.chmod(0o755)  # read by others, written by none
    assert folder() == first
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "taken",
    ["a file", "a link", "a link to nothing", "open", pytest.param("another's", marks=is_root)],
)
def test_a_name_that_is_taken_stops_nothing_and_is_not_followed(
    taken, shared, tmp_path, monkeypatch
):
    name, outside = shared / NAME, tmp_path / "outside"
    outside.mkdir()
    match taken:
        case "a file":
            name.touch()
        case "a link":
            name.symlink_to(outside)
        case "a link to nothing":
            name.symlink_to(tmp_path / "nothing")
        case "open":
            name.mkdir()
            name.chmod(0o777)
        case "another's":
            name.mkdir(mode=0o777)
            os.chown(name, 12345, 12345)
    assert not is_own_folder(name)
    assert folder() == tmp_path / "cache" / "scale_eval"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert folder() == tmp_path / "run" / "scale_eval"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    alone = folder()
    assert alone.parent == shared
    assert is_own_folder(alone)
    assert alone != folder()
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "nothing").exists()


def test_where_nothing_can_be_written_there_is_none_and_compiling_needs_no_turn(
    shared, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    assert folder() is None
    done = []
    monkeypatch.setattr(compilation, "scratch_folder", folder)
    monkeypatch.setattr(compilation, "FIRST", {})
    monkeypatch.setattr(compilation, "ON_WINDOWS", {"part": lambda _: done.append("part")})
    monkeypatch.setattr(compilation, "warm_up", lambda: done.append("rest"))
    compilation.compile_in_turn(lambda: None)
    assert done == ["part", "rest"]


def test_the_locks_of_compiling_are_in_it_and_empty_nothing(shared, tmp_path, monkeypatch):
    """A name in the shared folder was known, and a link there was followed and truncated."""
    (tmp_path / "thesis").write_text("all of it")
    (shared / f"scale-eval-compiling-{os.getuid()}").symlink_to(tmp_path / "thesis")
    monkeypatch.setattr(compilation, "scratch_folder", folder)
    monkeypatch.setattr(compilation, "FIRST", {})
    monkeypatch.setattr(compilation, "ON_WINDOWS", {"part": lambda _: None})
    monkeypatch.setattr(compilation, "warm_up", lambda: None)
    compilation.compile_in_turn(lambda: None)
    assert (tmp_path / "thesis").read_text() == "all of it"
    locks = {path.name for path in (shared / NAME).iterdir()}
    assert locks == {"compiling-summaries", "compiling-part", "compiling-rest"}
