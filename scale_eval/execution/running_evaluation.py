"""Say which evaluation a worker is doing, so that another process can read it without its help."""

from __future__ import annotations

import os
import pickle
import struct
from typing import NamedTuple

_HEADER = struct.Struct("=QI")
"""The number of the entry, and the bytes of what follows; none while nothing is evaluated."""


class RunningEvaluation(NamedTuple):
    """The evaluation that a worker is doing.

    Attributes
    ----------
    number : int
        Another one for each evaluation that the worker begins.
    key : tuple of str
        The key of the task on Dask.
    evaluation : tuple
        The company, the cutoff in microseconds, and the model.
    """

    number: int
    key: tuple[str, ...]
    evaluation: tuple[str, int, str]


class SharedEntry:
    """A piece of memory in which a worker keeps what it is doing; Linux only.

    It belongs to the worker's process and ends with it. Processes of the same user on the same
    machine open it as ``/proc/PID/fd/NUMBER``.

    Attributes
    ----------
    descriptor : int
        The number of the file in the worker's process.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("scale-eval-running-evaluation")
        self._written = 0

    def write(self, running: RunningEvaluation | None) -> None:
        """Say what is being done; None for nothing."""
        content = b"" if running is None else pickle.dumps(tuple(running))
        self._written += 1
        os.pwrite(self.descriptor, _HEADER.pack(self._written, len(content)) + content, 0)

    def __del__(self) -> None:
        os.close(self.descriptor)


def read_entry(descriptor: int) -> bytes:
    """Return what a worker says now, as bytes: other ones for each evaluation; b"" for nothing."""
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return b""
    length = _HEADER.unpack(header)[1]
    return os.pread(descriptor, _HEADER.size + length, 0) if length else b""


def parse_entry(entry: bytes) -> RunningEvaluation:
    """Return the evaluation that an entry names."""
    return RunningEvaluation(*pickle.loads(entry[_HEADER.size :]))
