"""How the process of a command ends once its work is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGINS = """
import atexit, sys, threading, time
from scale_eval.cli.quick_exit import quick_exit

class Left:
    def __del__(self): print("taken apart")

left = Left()
"""


def ended(words):
    """Run Python on words, after `BEGINS`."""
    return subprocess.run(
        [sys.executable, "-c", BEGINS + words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('a sentence')", 1),
        ("raise RuntimeError('a fault')", 1),
    ],
)
def test_the_code_is_that_of_python_and_nothing_is_taken_apart(work, code):
    quick, plain = ended(f"with quick_exit(): {work}"), ended(f"if True: {work}")
    assert quick.returncode == plain.returncode == code
    assert quick.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]
    assert "taken apart" in plain.stdout
    assert "taken apart" not in quick.stdout


def test_what_is_registered_for_the_end_is_done_and_what_is_printed_is_written():
    done = ended(
        """
with quick_exit():
    atexit.register(print, "registered", end="")
    threading.Thread(target=lambda: (time.sleep(0.2), print("waited for"))).start()
    print("printed", end=" ")
"""
    )
    assert done.stdout.split("\n") == ["printed waited for", "registered"]
    assert done.returncode == 0
