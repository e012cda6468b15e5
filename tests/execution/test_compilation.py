"""Workers of a machine compile side by side, each part once, and begin when all is compiled."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time

import pytest

import scale_eval as se
from scale_eval.execution import compilation
from scale_eval.execution.compilation import FIRST, ON_WINDOWS
from scale_eval.models.built_in import BASELINES, BUILT_IN

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
    compilation.FIRST = {}
    compilation.ON_WINDOWS = {
        part: lambda _, part=part: compile_part(part) for part in ("one", "other")
    }
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
    monkeypatch.setattr(compilation, "FIRST", {})
    monkeypatch.setattr(compilation, "ON_WINDOWS", {"stopped": lambda _: done.append("stopped")})
    monkeypatch.setattr(compilation, "warm_up", lambda: done.append("rest"))
    with compilation._turn("stopped") as is_held:
        assert is_held
        compilation.compile_in_turn(lambda: None)
    assert done == ["rest"]


def test_every_compiled_model_that_takes_seconds_to_compile_is_a_part():
    compiled = {name for name, kind in BUILT_IN.items() if hasattr(kind, "fit_windows")}
    in_an_instant = {*BASELINES, "frequency"}
    first = {"summaries", "statistics", "tables"}
    assert {*FIRST, *ON_WINDOWS} == {*first, "scoring", *compiled} - in_an_instant


FOUND = """
import gc, sys
from numba.core.dispatcher import Dispatcher
import scale_eval as se
from scale_eval.models.warm_up import compile_statistics
from scale_eval.results.warm_up import compile_tables

def found():
    rooms = ("scale_eval.results", "scale_eval.statistics", "scale_eval.metrics.leaving_out")
    compiled = (each for each in gc.get_objects() if isinstance(each, Dispatcher))
    return {
        (each.py_func.__name__, str(signature))
        for each in compiled
        if each.py_func.__module__.startswith(rooms)
        for signature in each.signatures
    }

compile_statistics()
compile_tables()
before = found()
se.reduce(sys.argv[1])
print(*sorted(name for name, _ in found() - before))
"""


@pytest.mark.slow
def test_the_tables_of_a_small_run_need_nothing_that_was_not_compiled_before(
    shops, client, tmp_path
):
    run = se.evaluate(shops, out=tmp_path / "run", client=client, progress=False)
    done = subprocess.run(
        [sys.executable, "-c", FOUND, run.path], capture_output=True, text=True, check=True
    )
    assert not done.stdout.split()
