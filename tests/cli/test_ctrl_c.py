"""Ctrl-C at any moment, and twice: one sentence, no traceback, nothing left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scale_eval.cli import app as cli
from scale_eval.cli import interruptions
from scale_eval.cli.interruptions import BEGINS_ANEW, DONE_IS_KEPT, NOTHING_DONE
from tests.support.commands import COMMAND, environment
from tests.support.paths import PROJECT


def ends(code: str) -> tuple[int, str]:
    """The exit code of a script, and what it says on the standard error."""
    begin = "import os, signal; from scale_eval.cli import interruptions\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr.strip()


KILL = "os.kill(os.getpid(), signal.SIGINT)\n"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_before_a_command_has_begun_there_is_nothing_to_undo(number):
    code = f"interruptions.end_at_once(); os.kill(os.getpid(), signal.{number})"
    assert ends(code) == (cli.UNFINISHED, NOTHING_DONE)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_what_a_batch_system_or_a_terminal_sends_is_as_ctrl_c_however_often_it_comes(number):
    send = f"os.kill(os.getpid(), signal.{number})\n"
    code = (
        "interruptions.raise_once()\n"
        f"try:\n    {send}except KeyboardInterrupt: interruptions.say()\n{send}{send}"
        "interruptions.end_if_interrupted()"
    )
    assert ends(code) == (cli.UNFINISHED, BEGINS_ANEW)


def test_after_nohup_a_hangup_is_ignored():
    ignoring = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    hangup = "interruptions.raise_once()\nos.kill(os.getpid(), signal.SIGHUP)"
    assert ends(ignoring + hangup) == (0, "")


def test_a_command_ends_what_it_began_and_a_second_time_at_once():
    begun = "interruptions.raise_once()\n"
    once = f"{begun}try:\n    {KILL}except KeyboardInterrupt: interruptions.say()\n"
    end = "interruptions.end_if_interrupted()"
    assert ends(once + end) == (cli.UNFINISHED, BEGINS_ANEW)
    assert ends(once + KILL + "raise AssertionError") == (cli.UNFINISHED, BEGINS_ANEW)
    hanging = f"{begun}try:\n    {KILL}finally:\n    {KILL}"
    assert ends(hanging) == (cli.UNFINISHED, BEGINS_ANEW)
    assert ends(begun + end)[0] == 0


@pytest.mark.parametrize("is_begun", [True, False])
def test_what_is_kept_of_a_run_is_what_is_on_disk(tmp_path, monkeypatch, capfd, is_begun):
    monkeypatch.setattr(interruptions, "_has_said", False)
    monkeypatch.setattr(interruptions, "_run", None)
    interruptions.keeps_in(str(tmp_path / "run"))
    if is_begun:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "run.json").write_text("{}")
    interruptions.say()
    assert capfd.readouterr().err == f"\n{DONE_IS_KEPT if is_begun else NOTHING_DONE}\n"


def test_an_interruption_that_python_would_drop_ends_the_process():
    code = (
        "interruptions.raise_once()\n"
        "class Dropped:\n"
        f"    def __del__(self): {KILL}"
        "Dropped()\nraise AssertionError"
    )
    assert ends(code) == (cli.UNFINISHED, BEGINS_ANEW)


def test_a_second_time_while_the_first_is_ending_the_process_says_nothing_more():
    code = (
        "from scale_eval import children\n"
        f"def end_all(): {KILL}"
        "children.end_all = end_all\n"
        "interruptions.raise_once()\n"
        "class Dropped:\n"
        f"    def __del__(self): {KILL}"
        "Dropped()\n"
    )
    assert ends(code) == (cli.UNFINISHED, BEGINS_ANEW)


def test_what_ignores_ctrl_c_goes_on_ignoring_it():
    """As `nohup` has it, or a shell for what it runs in the background."""
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    code = f"{ignoring}interruptions.end_at_once()\n{KILL}interruptions.raise_once()\n{KILL}"
    assert ends(code) == (0, "")


def test_processes_out_of_reach_do_not_answer_and_are_ended_with_all_that_they_began(tmp_path):
    code = (
        "import multiprocessing, subprocess, sys, time\n"
        "from scale_eval import children\n"
        "def wait(file):\n"
        "    grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    open(file, 'w').write(f'{grandchild.pid}\\n')\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    begin = multiprocessing.get_context('spawn').Process\n"
        "    with children.out_of_reach():\n"
        "        made = begin(target=wait, args=(sys.argv[1],))\n"
        "        made.start()\n"
        "    print(made.pid, flush=True)\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt: print(made.is_alive(), flush=True)\n"
        "    sys.stdin.readline()\n"
        "    children.end_all()\n"
        "    made.join()\n"
        "    print(made.exitcode)\n"
    )
    (tmp_path / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py", "pids"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "True\n"
    out, err = process.communicate("\n", timeout=60)
    assert out == f"{-signal.SIGKILL}\n"
    assert err == ""
    grandchild = Path("/proc") / (tmp_path / "pids").read_text().strip() / "stat"
    while grandchild.exists() and ") Z " not in grandchild.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def of_session(pid: int) -> list[str]:
    """The living processes of a session."""
    listed = subprocess.run(
        ["ps", "-eo", "sid=,stat=,cmd="], capture_output=True, text=True, check=True
    )
    lines = (line.split(None, 2) for line in listed.stdout.splitlines())
    return [line[2] for line in lines if line[0] == str(pid) and not line[1].startswith("Z")]


def begun(cwd: Path, *words: object) -> subprocess.Popen[str]:
    """A command that runs in a session of its own, with what it says on the standard error."""
    return subprocess.Popen(
        [COMMAND, *words],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("presses", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("seconds", [0.5, 1.5, 3, 5, pytest.param(12, marks=pytest.mark.long)])
def test_a_run_that_is_interrupted_at_any_moment_says_so_in_one_sentence(
    workshop, data, tmp_path, seconds, presses
):
    words = ["run", data, "--out", tmp_path / "run", "--every", "1 month", "--workers", "2"]
    process = begun(workshop, *words, "--model", "shop_models:Patient")
    time.sleep(seconds)
    for _ in range(presses):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.15)
    _, err = process.communicate(timeout=60)
    assert process.returncode == cli.UNFINISHED, err
    assert "Traceback" not in err
    assert "Error" not in err
    assert len(re.findall("Interrupted", err)) == 1
    last = err.strip().splitlines()[-1]
    if last != BEGINS_ANEW:  # before it knew what it was to do
        assert last == (DONE_IS_KEPT if (tmp_path / "run" / "run.json").exists() else NOTHING_DONE)
    deadline = time.monotonic() + 10
    while left := of_session(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


HOLDER = """
from tests.support.models import HoldsTheLock

def holder():
    return HoldsTheLock("South", "began")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_is_left_whose_c_code_holds_the_interpreters_lock(data, tmp_path, number):
    (tmp_path / "holding.py").write_text(HOLDER)
    process = subprocess.Popen(
        [COMMAND, "run", data, "--out", "run", "--last", "1", "--model", "holding:holder"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(timeout=30) == (-number if number == signal.SIGKILL else cli.UNFINISHED)
    deadline = time.monotonic() + 10
    while left := of_session(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


LASTING = """
import time
from pathlib import Path

class Lasting:
    def fit(self, history):
        Path("began").touch()
        time.sleep(600)

    def predict_proba(self, history):
        raise AssertionError
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plan_that_times_a_slow_model_ends_at_the_first_signal(data, tmp_path, number):
    (tmp_path / "lasting.py").write_text(LASTING)
    process = begun(tmp_path, "plan", data, "--model", "lasting:Lasting")
    deadline = time.monotonic() + 90
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)  # half the time that the model may be timed
    assert process.returncode == cli.UNFINISHED
    assert err.endswith(f"{BEGINS_ANEW}\n")
    assert of_session(process.pid) == []
