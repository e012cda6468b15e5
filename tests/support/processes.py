"""A scheduler, workers and coordinators as processes of their own, to be killed one by one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from scale_eval.planning import batches
from tests.support.faults import CHOSEN
from tests.support.paths import PROJECT


def environment(**more) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), **more}


class Outside:
    """A scheduler and two workers as processes of their own."""

    def __init__(self, place: Path, **settings: str) -> None:
        self.place, self.settings, self.processes = place, settings, []

    def __enter__(self):
        self.file = self.place / f"scheduler-{time.monotonic_ns()}.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--dashboard-address", ":0")
        self.workers = [
            self._start("worker", "--nthreads", "1", "--no-dashboard") for _ in range(2)
        ]
        return self

    def _start(self, kind, *words):
        with (self.place / f"{kind}.log").open("a") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "distributed.cli.dask_" + kind,
                    *words,
                    "--scheduler-file",
                    str(self.file),
                ],
                env=environment(**self.settings),
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def add_worker(self):
        self.workers.append(self._start("worker", "--nthreads", "1", "--no-dashboard"))

    @property
    def address(self) -> str:
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return json.loads(self.file.read_text())["address"]

    def __exit__(self, *_):
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            process.kill()
            process.wait()


SCRIPT = """
import sys
import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.planning import batches
from tests.support import models

batches.BATCH_EVALUATIONS, batches.FEW_BATCHES = {batch_evaluations}, 1

def evaluate(dataset, out, diary, cluster):
    return se.evaluate(
        dataset, {chosen} + [models.Unhurried(diary)], out=out, progress=False, granularity="batch",
        last=2, observed_until="2024-07-01", cluster=cluster,
        workers=2 if cluster == "local" else None,
    )

if __name__ == "__main__":
    evaluate(*sys.argv[1:])
"""


def begin(dataset, out: Path, diary: Path, cluster: str) -> subprocess.Popen:
    """An evaluation of `dataset` in a process of its own."""
    script = out.with_suffix(".py")
    script.write_text(
        SCRIPT.format(batch_evaluations=batches.BATCH_EVALUATIONS, chosen=repr(CHOSEN)),
    )
    with out.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, str(script), str(dataset.store.root), str(out), str(diary), cluster],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
