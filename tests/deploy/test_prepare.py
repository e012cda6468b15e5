"""deploy/prepare.sh: the folders, and whose they are."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.paths import PROJECT


@pytest.fixture
def clone(tmp_path):
    """The script in a folder of its own; what it says is printed."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(PROJECT / "deploy" / "prepare.sh", tmp_path / "deploy")
    return tmp_path


def prepare(clone):
    subprocess.run([clone / "deploy" / "prepare.sh"], check=True, capture_output=True)


def test_it_makes_the_folders_and_keeps_other_lines_of_the_settings(clone):
    (clone / ".env").write_text("WORKERS=8\nSCALE_EVAL_USER=7:7\n")
    prepare(clone)
    prepare(clone)
    owner = "1000:1000" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"
    assert (clone / ".env").read_text() == f"WORKERS=8\nSCALE_EVAL_USER={owner}\n"
    assert all((clone / name).is_dir() for name in ("datasets", "runs", "notebooks"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to others")
def test_what_root_made_before_is_given_to_the_user_of_the_containers(clone, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("root's")
    for folder in ("runs/demo/evaluations", "datasets/shops", "notebooks"):
        (clone / folder).mkdir(parents=True)
    (clone / "runs" / "demo" / "run.json").write_text("{}")
    (clone / "notebooks" / "a.ipynb").write_text("{}")
    (clone / "runs" / "link").symlink_to(outside)
    colleague = clone / "datasets" / "theirs.csv"
    colleague.write_text("x")
    os.chown(colleague, 4321, 4321)
    prepare(clone)
    for folder in ("runs", "datasets", "notebooks"):
        for path in [clone / folder, *(clone / folder).rglob("*")]:
            expected = 4321 if path == colleague else 1000
            assert path.lstat().st_uid == expected, path
    assert outside.stat().st_uid == 0
