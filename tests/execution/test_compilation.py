"""Workers of a machine compile side by side, each part once, and begin when all is compiled."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from scale_eval.execution import compilation
from scale_eval.models.built_in import BASELINES, BUILT_IN
from scale_eval.models.warm_up import PARTS

SECONDS = 0.3
"""Seconds that a part takes to compile here."""


def _worker(place, worker: int) -> None:
    """Compile two parts of which a file says that they are compiled, and note what happened."""

    def compile_part(part: str) -> None:
        (place / f"{part} called by {worker}").touch()
        if not (place / f"{part} is kept").exists():  # else it is loaded
            (place / f"{part} compiled by {worker}").touch()
            time.sleep(SECONDS)
            (place / f"{part} is kept").touch()

    def begin() -> None:
        kept = {path.name for path in place.iterdir()}
        assert {"one is kept", "other is kept"} <= kept
        (place / f"begun by {worker}").touch()

    compilation.scratch_folder = lambda: place / "locks"
    compilation.summarise_windows = lambda: None
    compilation.warm_up = begin
    compilation.PARTS = {part: lambda _, part=part: compile_part(part) for part in ("one", "other")}
    compilation.compile_in_turn(lambda: None)


def _happened(place, n_workers: int) -> set[str]:
    (place / "locks").mkdir()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(place, i)) for i in range(n_workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return {path.name for path in place.iterdir()}


@pytest.mark.parametrize("n_workers", [1, 3])
def test_each_part_is_compiled_once_and_no_worker_begins_before(tmp_path, n_workers):
    happened = _happened(tmp_path, n_workers)
    for part in ("one", "other"):
        assert sum(each.startswith(f"{part} compiled by") for each in happened) == 1
    assert {f"begun by {i}" for i in range(n_workers)} <= happened


def test_a_worker_that_has_waited_too_long_begins_without_the_others(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(compilation, "scratch_folder", lambda: tmp_path)
    monkeypatch.setattr(compilation, "summarise_windows", lambda: None)
    monkeypatch.setattr(compilation, "COMPILING_SECONDS", 0.1)
    monkeypatch.setattr(compilation, "PARTS", {"stopped": lambda _: done.append("stopped")})
    monkeypatch.setattr(compilation, "warm_up", lambda: done.append("rest"))
    with compilation._turn("stopped") as is_held:
        assert is_held
        compilation.compile_in_turn(lambda: None)
    assert done == ["rest"]


def test_every_compiled_model_that_takes_seconds_to_compile_is_a_part():
    compiled = {name for name, kind in BUILT_IN.items() if hasattr(kind, "fit_windows")}
    in_an_instant = {*BASELINES, "frequency"}
    assert {*PARTS} == {"scoring", "statistics", *compiled} - in_an_instant
