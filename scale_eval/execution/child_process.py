"""Call a function in a separate process, all of whose memory is freed at the end."""

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

from scale_eval import children

_CHILD_SCRIPT = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from scale_eval.execution.child_process import serve_call
serve_call()
"""


Call = Callable[..., Any]
"""A function that takes a function and its arguments, and returns what that function returns."""


@contextlib.contextmanager
def start() -> Iterator[Call]:
    """Start a process of this Python, to call one function in it within the ``with`` block.

    It imports this package while the caller does something else. It ends with the block, or when
    the caller dies. Function and arguments are sent by cloudpickle, so that they may be defined in
    a notebook, and the caller's script is not imported.

    The call raises what the function raises, with the traceback of the other process as a note, and
    `ChildProcessError` where the process ended without an answer: killed, or out of memory.
    """
    command = [sys.executable, "-P", "-c", _CHILD_SCRIPT]  # without the current folder on its path
    # In a process group of its own, Ctrl-C does not reach it: the caller ends it.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        try:
            assert process.stdin is not None
            pickle.dump(sys.path, process.stdin)
            process.stdin.flush()
            yield functools.partial(_call, process)
        finally:
            children.kill_with_descendants(process.pid)


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


def serve_call() -> None:
    """Call, in the child process, the function that the standard input names, and send the answer.

    What the function prints goes to the standard error.
    """
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        function, arguments = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_caller, daemon=True).start()
        try:
            answer.write(cloudpickle.dumps((function(*arguments), None)))
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            answer.write(cloudpickle.dumps((None, error)))


def _end_with_caller() -> None:
    """End this process, and what it began, at the end of its standard input, or of its caller."""
    while os.read(0, 1):
        pass
    children.end_all()
    os._exit(1)
