"""A call in a process of its own: whatever memory it takes goes back whole when it ends."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedWriter
from typing import Any

import cloudpickle

_BEGIN = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from scale_eval.own_process import answer
answer()
"""


@contextlib.contextmanager
def begun() -> Iterator[Callable[..., Any]]:
    """A new process of this Python, for one call: it imports this package while it is not asked.

    What is yielded takes a function and its arguments and returns what the function returns there.
    They travel by cloudpickle, so that what a notebook defines may be among them, and the caller's
    script is not imported. The process ends with the ``with`` block, or with the caller, whatever
    ends that.

    The call raises what the function raises, with the traceback of the other process as a note, and
    `ChildProcessError` where the process ended without an answer: killed, or out of memory.
    """
    command = [sys.executable, "-c", _BEGIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        pickle.dump(sys.path, process.stdin)
        process.stdin.flush()
        yield partial(_asked_of, process)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns that is called in a process of its own, as `begun` says."""
    with begun() as ask:
        return ask(function, *arguments)


def _asked_of(
    process: subprocess.Popen[bytes], function: Callable[..., Any], *arguments: Any
) -> Any:
    assert isinstance(process.stdin, BufferedWriter) and process.stdout is not None
    try:
        cloudpickle.dump((function, arguments), process.stdin)
        process.stdin.flush()
    except BrokenPipeError:  # it has ended, and what is left for it is not written again
        process.stdin.raw.close()
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who then ends this
    with os.fdopen(os.dup(1), "wb") as told:
        os.dup2(2, 1)  # what is printed meanwhile is no answer
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:  # nobody asked
            return
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
