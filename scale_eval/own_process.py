"""A call in a process of its own: whatever memory it takes goes back whole when it ends."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import cloudpickle

_BEGIN = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from scale_eval.own_process import answer
answer()
"""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns that is called in a new process of this Python.

    Function and arguments travel by cloudpickle, so that what a notebook defines may be among them,
    and the caller's script is not imported. The process ends with the caller, whatever ends that.

    Raises what the function raises, with the traceback of the other process as a note, and
    `ChildProcessError` where the process ended without an answer: killed, or out of memory.
    """
    command = [sys.executable, "-c", _BEGIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        pickle.dump(sys.path, process.stdin)
        cloudpickle.dump((function, arguments), process.stdin)
        process.stdin.flush()
        answer = process.stdout.read()
    if not answer:
        code = process.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ChildProcessError(
            f"the process that was to {function.__name__.replace('_', ' ')} ended by {how}; where "
            "that is SIGKILL, the machine probably had no memory left"
        )
    returned, raised = pickle.loads(answer)
    if raised is not None:
        raise raised
    return returned


def answer() -> None:
    """In the new process: do what is asked on the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who then ends this
    with os.fdopen(os.dup(1), "wb") as told:
        os.dup2(2, 1)  # what is printed meanwhile is no answer
        function, arguments = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_caller, daemon=True).start()
        try:
            told.write(cloudpickle.dumps((function(*arguments), None)))
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            told.write(cloudpickle.dumps((None, error)))


def _end_with_caller() -> None:
    """The standard input ends when the caller does."""
    while os.read(0, 1):
        pass
    os._exit(1)
