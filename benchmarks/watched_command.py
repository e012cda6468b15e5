"""A command as a person runs it, in a process, with its seconds and the memory of each process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.machine import peak_gb

EVERY = 0.2
"""Seconds between looks at the processes; each peak is the system's own count."""

_NOT_COUNTED = "resource_tracker"


@dataclass
class Watched:
    """What a command took.

    Attributes
    ----------
    wall, cpu : float
        Seconds by the clock, and of processors, of the command and all that it started.
    coordinator_gb : float
        Peak resident memory of the command's own process, in 10^9 bytes.
    started_gb : list of float
        That of each process that it started (workers, the reducer), in the order of their start.
    output : str
        What it printed.
    """

    wall: float
    cpu: float
    coordinator_gb: float
    started_gb: list[float] = field(default_factory=list)
    output: str = ""


def watch(arguments: Sequence[str], log: Path) -> Watched:
    """Run ``scale-eval ARGUMENTS`` with its output in `log`; an error if it fails."""
    began = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "scale_eval", *arguments], stdout=file, stderr=file
        )
        peaks: dict[int, float] = {}
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            _look(process.pid, peaks)
            time.sleep(EVERY)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    output = log.read_text(errors="replace")
    if process.returncode:
        raise RuntimeError(f"scale-eval {' '.join(arguments)} failed:\n{output[-2000:]}")
    # The system counts a command's own peak from the memory of the process that started it.
    own = peaks.pop(process.pid, 0.0)
    return Watched(wall, usage.ru_utime + usage.ru_stime, own, list(peaks.values()), output)


def _look(pid: int, peaks: dict[int, float]) -> None:
    """Note the peak memory of a command's processes; Dask's own helpers are not among them."""
    with contextlib.suppress(psutil.Error):
        own = psutil.Process(pid)
        for process in [own, *own.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == pid or _NOT_COUNTED not in " ".join(process.cmdline()):
                    peaks[process.pid] = peak_gb(str(process.pid))
