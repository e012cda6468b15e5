"""Runs that are interrupted, and disks that are full or read-only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from tests.support.commands import (
    COMMAND,
    assert_fits,
    assert_refused,
    environment,
    scale_eval_process,
)


def wait_for(happened: Callable[[], object], process: subprocess.Popen, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def batches(run: Path) -> int:
    return len(list((run / "evaluations").glob("*.parquet")))


def children(pid: int) -> set[int]:
    """The living processes that `pid` began."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [map(int, line.split()) for line in listed.stdout.splitlines()]
    return {child for child, parent in pairs if parent == pid}


def assert_all_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 30
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def begin(
    workshop: Path, data: Path, run: Path, log: Path, model: str = "Patient"
) -> subprocess.Popen:
    """A run that takes a while, in a session of its own."""
    with log.open("w") as file:
        return subprocess.Popen(
            [COMMAND, *patient(data, run, model)],
            cwd=workshop,
            env=environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def patient(data: Path, run: Path, model: str = "Patient") -> list[str]:
    return [
        "run",
        str(data),
        "--out",
        str(run),
        "--model",
        f"shop_models:{model}",
        "--every",
        "1 month",
        "--workers",
        "2",
    ]


def assert_interrupted(result: str, run: Path) -> None:
    assert "Interrupted. What is done is on disk" in result
    assert "Traceback" not in result
    assert batches(run) > 0
    shown = scale_eval_process("show", run, cwd=run.parent)
    assert "not" in shown.out + shown.err
    assert re.search(r"not finished|have not been done", shown.out + shown.err)


def assert_finished_by_the_same_command(workshop: Path, data: Path, run: Path) -> None:
    before = se.open_run(run).evaluations
    result = scale_eval_process(*patient(data, run), cwd=workshop)
    assert result.code == cli.OK, result
    after = se.open_run(run)
    assert after.finished
    assert len(after.evaluations) == len(after.plan) > len(before)
    key = ["company_id", "cutoff", "model"]
    kept = after.evaluations.merge(before[key], on=key)
    assert kept["evaluated_at"].tolist() == before["evaluated_at"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "blow",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long, id="ctrl-c"),
        pytest.param(signal.SIGHUP, id="hangup"),
        pytest.param(signal.SIGKILL, id="kill-9"),
    ],
)
def test_what_was_interrupted_leaves_no_process_and_is_finished_by_the_same_command(
    workshop, data, tmp_path, blow
):
    run, log = tmp_path / "run", tmp_path / "log"
    process = begin(workshop, data, run, log)
    wait_for(lambda: batches(run) >= 2, process)
    workers = children(process.pid)
    assert len(workers) >= 2
    if blow != signal.SIGKILL:
        os.killpg(process.pid, blow)  # as a terminal does
        assert process.wait(timeout=60) == cli.UNFINISHED
        assert_interrupted(log.read_text(), run)
    else:
        process.send_signal(blow)
        process.wait(timeout=60)
    assert_all_gone(workers)
    assert_finished_by_the_same_command(workshop, data, run)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_is_one_sentence(workshop, data, tmp_path):
    run = tmp_path / "run"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(workshop)
        os.execv(COMMAND, [str(COMMAND), *patient(data, run)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    result, pressed, deadline = b"", False, time.monotonic() + 120
    with contextlib.suppress(OSError):  # the terminal closes with its last process
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                result += os.read(terminal, 65536)
            if not pressed and batches(run) >= 2:
                os.write(terminal, b"\x03")
                pressed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = result.decode()
    assert os.waitstatus_to_exitcode(status) == cli.UNFINISHED, text
    assert re.search(r"evaluating: +\d+%", text)
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\^C", "", text)  # ^C: the terminal echoes it
    assert_fits(plain.replace("\r", "\n"), tmp_path)
    assert_interrupted(text, run)
    assert_finished_by_the_same_command(workshop, data, run)


@pytest.mark.slow
def test_a_finished_run_to_which_a_model_is_being_added_is_not_shown_as_finished(
    workshop, data, tmp_path
):
    run, log = tmp_path / "run", tmp_path / "log"
    words = ["run", data, "--out", run, "--model", "recency", "--every", "1 month"]
    assert scale_eval_process(*words, cwd=workshop).code == cli.OK
    already = batches(run)
    process = begin(workshop, data, run, log, "MorePatient")
    wait_for(lambda: batches(run) > already, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == cli.UNFINISHED
    result = scale_eval_process("show", run, cwd=workshop)
    assert re.search(r"not finished|have not been done", result.out + result.err)


def leave(free_bytes: int, disk: Path) -> Path:
    """A file that takes all of `disk` but so many bytes."""
    there = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - free_bytes))
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize("free_bytes", [pytest.param(8_000, marks=pytest.mark.long), 300_000])
def test_a_full_disk_is_exit_code_3_and_the_same_command_goes_on(data, small_disk, free_bytes):
    ballast = leave(free_bytes, small_disk)
    words = ["run", data, "--out", small_disk / "run", "--every", "1 month", "--save-predictions"]
    full = scale_eval_process(*words, cwd=data.parent)
    assert full.code == cli.UNFINISHED, full
    assert "Traceback" not in full.err
    assert "No space left on device" in full.err
    assert "run the same command again" in full.err
    assert not list(small_disk.rglob("*.unfinished"))

    ballast.unlink()
    result = scale_eval_process(*words, cwd=data.parent)
    assert result.code == cli.OK, result
    run = se.open_run(small_disk / "run")
    assert run.finished
    assert run.failures.empty
    saved = pd.read_parquet(small_disk / "run" / "predictions")
    ok = run.evaluations.query("status == 'ok'")
    assert len(saved) == ok["n_customers"].sum()


@pytest.mark.slow
def test_a_full_disk_names_the_place_that_is_full(data, small_disk):
    leave(8_000, small_disk)
    result = scale_eval_process("run", data, "--out", small_disk / "run", cwd=data.parent)
    assert result.code == cli.UNFINISHED
    assert str(small_disk) in result.err


def test_a_disk_without_a_byte_is_named_by_the_lock_of_a_new_place(scale_eval, small_disk):
    leave(0, small_disk)
    for words in (["synth", "--companies", 1, "--into"], ["demo", "--out"]):
        full = scale_eval(*words, small_disk / "made")
        assert full.code == cli.UNFINISHED
        assert f"No space left on device: '{small_disk}/made/.lock'" in full.err
        assert "Make room there" in full.err


@pytest.mark.slow
def test_synth_on_a_full_disk_says_a_remedy_that_works(scale_eval, small_disk):
    ballast = leave(8_000, small_disk)
    words = ["synth", "--companies", 3, "--into", small_disk / "made"]
    full = scale_eval(*words)
    assert full.code != cli.OK
    assert "No space left on device" in full.err
    ballast.unlink()
    if "run the same command again" in full.err:
        assert scale_eval(*words).code == cli.OK


def test_a_read_only_place_is_refused_by_name(scale_eval, data, first, files, small_disk):
    shutil.copytree(first, small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for words in (
        ["run", data, "--out", small_disk / "new"],
        ["ingest", files[0], "--into", small_disk / "data"],
        ["synth", "--companies", 1, "--into", small_disk / "made"],
        ["demo", "--out", small_disk / "demo"],
    ):
        assert_refused(scale_eval(*words), str(small_disk), "Read-only file system")
    for words in (["run", data, "--out", small_disk / "run"], ["reduce", small_disk / "run"]):
        result = scale_eval(*words)
        assert result.code == cli.UNFINISHED  # once it can be written, the same command goes on
        assert "have it mounted for writing, then run the same command again" in result.err
    assert scale_eval("show", small_disk / "run").code == cli.OK
    assert scale_eval("fingerprint", small_disk / "run").code == cli.OK
    elsewhere = small_disk.parent / "here.html"
    assert_refused(scale_eval("report", small_disk / "run"), "--out FILE.html")
    assert scale_eval("report", small_disk / "run", "--out", elsewhere).code == cli.OK
