"""Measure how long a new user waits: the first demo, the second, an import, and the help.

    python -m benchmarks.first_result --repeat 3

The first demo finds nothing compiled, the second all that the first has compiled. Each is run in a
new folder. Processor seconds are of the command and the processes that it waited for, which does
not include its workers.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

COMMAND = (sys.executable, "-m", "scale_eval.cli")
TARGETS = {"first demo": 15.0, "second demo": 5.0, "import scale_eval": 0.7, "--help": 0.5}
"""Seconds that each may take."""


def seconds_of(command: Sequence[str], folder: Path, compiled: Path) -> tuple[float, float]:
    """Run a command in a folder; return its seconds, and the processor's."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(compiled)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(place: Path) -> dict[str, tuple[float, float]]:
    """Measure each of `TARGETS` once, as on a machine where nothing is compiled yet."""
    compiled = place / "compiled"
    compiled.mkdir()
    measured = {}
    for name, arguments in {
        "first demo": (*COMMAND, "demo"),
        "second demo": (*COMMAND, "demo"),
        "import scale_eval": (sys.executable, "-c", "import scale_eval"),
        "--help": (*COMMAND, "--help"),
    }.items():
        (folder := place / name.replace(" ", "-")).mkdir()
        measured[name] = seconds_of(arguments, folder, compiled)
    return measured


@click.command()
@click.option("--repeat", type=click.IntRange(min=1), default=3, show_default=True)
def main(repeat: int) -> None:
    """Print the median seconds of each, the processor's, and the target."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as place:
            runs.append(measure(Path(place)))
    print(f"{'':18}{'seconds':>9}{'of a core':>11}{'target':>8}")
    for name, target in TARGETS.items():
        wall, cpu = (statistics.median(run[name][i] for run in runs) for i in range(2))
        print(f"{name:18}{wall:9.2f}{cpu:11.2f}{target:8.1f}")


if __name__ == "__main__":
    main()
