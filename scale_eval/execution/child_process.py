"""A call in a process of its own: whatever memory it takes goes back whole when it ends."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle

_BEGIN = """
import pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who then ends this
sys.path[:] = pickle.load(sys.stdin.buffer)
from scale_eval.execution.child_process import answer
answer()
"""


Call = Callable[..., Any]
"""Takes a function and its arguments, and gives what the function returns."""


@contextlib.contextmanager
def begun() -> Iterator[Call]:
    """Begin a process of this Python, to call one function in it within the ``with`` block.

    It imports this package while the caller does something else, and ends with the block, or with
    the caller, whatever ends that. Function and arguments travel by cloudpickle, so that what a
    notebook defines may be among them, and the caller's script is not imported.

    The call raises what the function raises, with the traceback of the other process as a note, and
    `ChildProcessError` where the process ended without an answer: killed, or out of memory.
    """
    command = [sys.executable, "-c", _BEGIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            pickle.dump(sys.path, process.stdin)
            process.stdin.flush()
            yield functools.partial(_call, process)
        finally:
            process.kill()


def _call(process: subprocess.Popen[bytes], function: Callable[..., Any], *arguments: Any) -> Any:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already
        cloudpickle.dump((function, arguments), process.stdin)
        process.stdin.flush()
    answer = process.stdout.read()
    if not answer:
        code = process.wait()
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
