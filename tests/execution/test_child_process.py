"""A call in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from scale_eval.execution import child_process


def test_it_is_another_process_and_what_is_defined_here_travels_there():
    captured = np.arange(1e5)

    def add(more):
        print("this is no answer")
        return os.getpid(), float(captured.sum()) + more

    with child_process.start() as call:
        pid, total = call(add, 1)
    assert pid != os.getpid()
    assert total == captured.sum() + 1


def test_what_it_raises_is_raised_here_and_says_where_it_was_raised():
    def divide(by):
        return 1 / by

    with pytest.raises(ZeroDivisionError) as caught, child_process.start() as call:
        call(divide, 0)
    assert "in divide" in caught.value.__notes__[0]


def test_a_process_that_is_killed_says_by_what():
    def fill_the_memory():
        os.kill(os.getpid(), signal.SIGKILL)

    killed = r"fill the memory ended by SIGKILL.*no memory"
    with pytest.raises(ChildProcessError, match=killed), child_process.start() as call:
        call(fill_the_memory)


def test_a_process_that_was_killed_before_it_was_asked_says_so_too():
    killed = pytest.raises(ChildProcessError, match="getpid ended by SIGKILL")
    with killed, child_process.start() as call:
        os.kill(_newest_child(), signal.SIGKILL)
        call(os.getpid)


def test_a_process_that_is_never_asked_ends_with_its_block_in_silence(capfd):
    with child_process.start():
        pid = _newest_child()
    assert not _is_running(pid)
    assert capfd.readouterr() == ("", "")


def test_a_block_that_an_exception_leaves_ends_what_the_process_began_and_the_call(tmp_path):
    file = tmp_path / "pid"

    def begin_another():
        another = subprocess.Popen(["sleep", "600"])  # it inherits the pipe of the answer
        file.write_text(f"{another.pid}\n")
        another.wait()

    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(KeyboardInterrupt), child_process.start() as call:
            waiting = threads.submit(call, begin_another)
            _until(lambda: file.exists() and file.read_text())
            raise KeyboardInterrupt
        assert isinstance(waiting.exception(timeout=60), ChildProcessError)
    _until(lambda: not _is_running(int(file.read_text())))


@pytest.mark.slow
def test_it_ends_with_its_caller_whatever_ends_that(tmp_path):
    pid_file = tmp_path / "pid"
    script = f"""
import os, subprocess
from scale_eval.execution import child_process

def linger():
    begun = subprocess.Popen(["sleep", "600"])
    open({str(pid_file)!r}, "w").write(f"{{os.getpid()}} {{begun.pid}}\\n")
    begun.wait()

with child_process.start() as call:
    call(linger)
"""
    caller = subprocess.Popen([sys.executable, "-c", script])
    _until(lambda: pid_file.exists() and pid_file.read_text())
    pids = [int(pid) for pid in pid_file.read_text().split()]
    caller.kill()
    caller.wait()
    _until(lambda: not any(map(_is_running, pids)))


def _newest_child():
    return max(psutil.Process().children(), key=lambda child: child.create_time()).pid


def _is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
