"""Clocks on the functions of scale_eval that workers call, read when a run is done."""

from __future__ import annotations

from typing import Any

from distributed import Client

from benchmarks.clocks import clocked
from scale_eval.datasets import Dataset
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.execution import worker
from scale_eval.execution.worker import EvaluationPlugin

_CLOCKED: tuple[tuple[Any, str, str], ...] = (
    (EvaluationPlugin, "do", "busy"),
    (Dataset, "read_many", "reading"),
    (EvaluationRows, "table", "writing"),
    (worker, "score_table", "writing"),
    (worker, "write_part", "writing"),
)
"""Functions with the clock of each; only `do` calls others of them."""

_seconds: dict[str, float] = {}


def put_clocks_on(client: Client) -> None:
    """Put the clocks on every worker."""
    client.run(_put_on)


def seconds_on(client: Client) -> dict[str, float]:
    """Return the seconds of all workers by clock, since the last call."""
    total: dict[str, float] = {}
    for of_worker in client.run(_read).values():
        for name, seconds in of_worker.items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def _put_on() -> None:
    for owner, name, clock in _CLOCKED:
        setattr(owner, name, clocked(vars(owner)[name], _seconds, clock))


def _read() -> dict[str, float]:
    seconds = dict(_seconds)
    _seconds.update(dict.fromkeys(_seconds, 0.0))
    return seconds
