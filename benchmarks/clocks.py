"""Measurement of work: wall and processor seconds, and memory, of this process and its children."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.machine import peak_gb


@dataclass
class Spent:
    """The seconds of a block: `wall` by the clock, `cpu` of processors.

    Processor seconds are those of this process and of all that it `started`, which are also given
    apart. They measure the cost of work even where others use the same machine.
    """

    wall: float = 0.0
    cpu: float = 0.0
    started: float = 0.0


@contextlib.contextmanager
def spent() -> Iterator[Spent]:
    """Measure a block; processes must live as long as the block to be counted whole."""
    seconds = Spent()
    (own, started), began = _cpu(), time.perf_counter()
    yield seconds
    seconds.wall = time.perf_counter() - began
    own_then, started_then = _cpu()
    seconds.started = started_then - started
    seconds.cpu = own_then - own + seconds.started


def interleaved(works: Mapping[str, Callable[[], Spent]], rounds: int) -> dict[str, Spent]:
    """Return the least seconds of each work, kind by kind, over rounds in which all take turns.

    So a passing disturbance of the machine affects all of them alike.
    """
    taken: dict[str, list[Spent]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(work())
    return {
        name: Spent(
            min(each.wall for each in all_),
            min(each.cpu for each in all_),
            min(each.started for each in all_),
        )
        for name, all_ in taken.items()
    }


@dataclass
class Memory:
    """The resident memory during a block, in 10^9 bytes.

    Attributes
    ----------
    own : list of (float, float)
        Time (by `time.perf_counter`) and memory of this process.
    started : dict of int to float
        Most memory of each process that it started.
    """

    own: list[tuple[float, float]] = field(default_factory=list)
    started: dict[int, float] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        """Return the most memory that this process ever held, by the system's own count."""
        return peak_gb()

    def growth(self, begin: float, end: float) -> float:
        """Return the growth of mean memory from the second to the last quarter of a span."""

        def held(low: float, high: float) -> float:
            span = begin + low * (end - begin), begin + high * (end - begin)
            seen = [gb for at, gb in self.own if span[0] <= at <= span[1]]
            return sum(seen) / len(seen) if seen else float("nan")

        return held(0.75, 1.0) - held(0.25, 0.5)


@contextlib.contextmanager
def memory_watched(every: float = 0.5, children_every: int = 4) -> Iterator[Memory]:
    """Watch the memory of this process at intervals, in a thread, and seldom that of others.

    Listing processes takes 10 ms, in which this process does nothing else; their maximum is the
    system's own count.
    """
    memory, over = Memory(), threading.Event()
    own = psutil.Process()

    def look(at_children: bool) -> None:
        memory.own.append((time.perf_counter(), own.memory_info().rss / 1e9))
        for child in own.children(recursive=True) if at_children else ():
            with contextlib.suppress(OSError):  # it has ended
                memory.started[child.pid] = peak_gb(str(child.pid))

    def watch() -> None:
        for tick in itertools.count(1):
            if over.wait(every):
                return
            look(tick % children_every == 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
        look(True)


@contextlib.contextmanager
def lasting(owner: Any, name: str, into: list[tuple[float, float]]) -> Iterator[None]:
    """Record when each generator of `owner`'s function `name` began and ended during the block."""
    original = vars(owner)[name]

    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        began = time.perf_counter()
        try:
            yield from original(*args, **kwargs)
        finally:
            into.append((began, time.perf_counter()))

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _cpu() -> tuple[float, float]:
    """Return the processor seconds of this process, and of its children that are alive."""
    own, started = psutil.Process(), 0.0
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            started += sum(child.cpu_times()[:2])
    return float(sum(own.cpu_times()[:2])), started
