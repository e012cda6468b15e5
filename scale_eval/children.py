"""Start processes that Ctrl-C does not reach, and end them at once."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

SAFE_PATH, SAFE_PATH_SET = "PYTHONSAFEPATH", "by scale_eval"
"""The variable that keeps the current folder off the path of imports, and its value here."""

end_with_process = False
"""Whether an interruption ends this process, and its children with it, so that nothing that lives
in them need be closed. Commands set it; in a notebook the process goes on."""


LONGEST_TEMPORARY_PATH = 70
"""Longest path, in characters, of the folder for temporary files. Python puts the socket of its
fork server there, under a name of up to 32 more, and the system allows 107."""

PRELOADED_MODULES = ["distributed.nanny", "scale_eval.execution.worker"]
"""Modules that the process from which workers are forked has imported."""


MEMORY_IS_KEPT = {"MALLOC_TRIM_THRESHOLD_": 256 * 2**20, "MALLOC_MMAP_THRESHOLD_": 32 * 2**20}
"""Variables of the environment by which a worker's C library keeps memory that is freed. Arrays of
some megabytes come and go with every few companies; else, and with Dask's own settings, it would
be given back to the system, which clears every page before it lends it again."""


def can_be_forked() -> bool:
    """Return whether workers can be forked from one process that has imported what they need."""
    return sys.platform == "linux" and len(tempfile.gettempdir()) <= LONGEST_TEMPORARY_PATH


def start_fork_server() -> None:
    """Start the process from which workers will be forked, and do not wait until it has imported.

    Started while this process still imports, or plans, it is ready when workers are asked for.
    """
    if can_be_forked():
        forkserver.set_forkserver_preload(PRELOADED_MODULES)
        with contextlib.ExitStack() as environment, out_of_reach():
            for name, value in MEMORY_IS_KEPT.items():  # read once, when a process starts
                environment.enter_context(_environment(name, str(value)))
            forkserver.ensure_running()


@contextlib.contextmanager
def out_of_reach() -> Iterator[None]:
    """Start processes in the ``with`` block that Ctrl-C in the terminal does not reach.

    A terminal sends it, and SIGHUP when it goes, to every process of the command. Only the first
    is to answer it, and to end the others: one that is still importing would print a traceback. Nor
    do they import modules of the current folder before installed ones, as Python has it by default.
    """
    with _environment(SAFE_PATH, SAFE_PATH_SET):
        _start_resource_tracker()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def restore_safe_path() -> None:
    """Have processes that this one starts import as Python has it, if `out_of_reach` began it."""
    if os.environ.get(SAFE_PATH) == SAFE_PATH_SET:
        del os.environ[SAFE_PATH]


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for the ``with`` block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def end_all() -> None:
    """Kill every process that this one began, and those that these began."""
    tracker = getattr(resource_tracker._resource_tracker, "_pid", None)  # removes what they leave
    pids = {child.pid for child in multiprocessing.active_children()} | _descendants(os.getpid())
    for pid in pids:
        if pid is not None and pid != tracker:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def kill_with_descendants(pid: int) -> None:
    """Kill a process and those that it began, and those that these began."""
    for each in {pid} | _descendants(pid):
        with contextlib.suppress(OSError):
            os.kill(each, signal.SIGKILL)


@contextlib.contextmanager
def killed_on_error(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """Use a pool of processes in the ``with`` block; an exception that leaves it kills them.

    The pool itself would wait until each has done what it was given, which may take for ever.
    """
    with pool:
        try:
            yield pool
        except BaseException:
            for child in list(pool._processes.values()):
                if child.pid and child.is_alive():  # otherwise its number may be another's
                    kill_with_descendants(child.pid)
            raise


def end_with_parent() -> None:
    """Let the system kill this process at the end of the one that started it; Linux only.

    That works whatever runs here: a thread that waits for that end could not act while C code holds
    the interpreter's lock. It needs a process that `multiprocessing` started.
    """
    parent = multiprocessing.parent_process()
    if parent is None or sys.platform != "linux":
        return
    pipe: int = parent.sentinel  # its other end is open in the parent alone
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)  # in place of SIGIO
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if not parent.is_alive():
        os.kill(os.getpid(), signal.SIGKILL)


def _start_resource_tracker() -> None:
    """Start the process that removes semaphores, so that it tells nobody what it removed.

    It must run before signals are blocked, because starting it unblocks them.
    """
    others = os.environ.get("PYTHONWARNINGS")
    ignored = "ignore:resource_tracker:UserWarning"
    with _environment("PYTHONWARNINGS", ignored if others is None else f"{others},{ignored}"):
        resource_tracker.ensure_running()


def _descendants(pid: int) -> set[int]:
    """Return the processes that descend from `pid`; none where the system does not list them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, waiting = set[int](), [pid]
    while waiting:
        each = waiting.pop()
        waiting += [child for child in children.get(each, []) if child not in found]
        found |= set(children.get(each, []))
    return found
