"""The package is imported and computes where its user can write neither beside it nor at home."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scale_eval import compiling
from scale_eval.models.warm_up import compilation_reported
from tests.support.paths import PROJECT

DROP_POWERS = """
import ctypes, os, sys
if os.geteuid() == 0:  # without the powers by which root writes whatever is read-only
    libc = ctypes.CDLL(None, use_errno=True)
    for power in range(64):
        libc.prctl(24, power, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

SCRIPT = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from scale_eval import compiling
    from scale_eval.metrics.compiled import elementary, losses
    @compiling.compiled
    def ratio(a, b):
        return a / b
    @compiling.compiled(error_model="python")
    def python_ratio(a, b):
        return a / b
    print(ratio(1.0, 0.0))
    try:
        python_ratio(1.0, 0.0)
    except ZeroDivisionError:
        print("raised")
    print(compiling.__file__)
for warning in said:
    if warning.category is compiling.CompiledAnew:
        print("said:", warning.message)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A copy of the package in which nobody may write."""
    place = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(
        PROJECT / "scale_eval",
        place / "scale_eval",
        ignore=shutil.ignore_patterns("__pycache__", "data"),
    )
    folders = [path for path in [place, *place.rglob("*")] if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    yield place
    for folder in folders:
        folder.chmod(0o755)


def run(place: Path, script: str, **environment: str) -> str:
    """Run a script without a home, by a user who can write nothing that is read-only."""
    folder = Path(environment["TMPDIR"]) / "script"
    folder.mkdir()
    (file := folder / "script.py").write_text(script)
    folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", DROP_POWERS, str(file)],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("XDG", "NUMBA"))},
            "PYTHONPATH": str(place),
            "HOME": "/proc/nothing",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_it_compiles_into_its_scratch_folder_and_says_once_how_to_have_it_last(installed, tmp_path):
    infinite, raised, file, *said = run(installed, SCRIPT, TMPDIR=str(tmp_path)).splitlines()
    assert (infinite, raised) == ("inf", "raised")
    assert Path(file).is_relative_to(installed)
    (sentence,) = said
    assert f"{tmp_path}/scale_eval-{os.geteuid()}/numba, where it will not last" in sentence
    assert "set NUMBA_CACHE_DIR to a folder that this user may write" in sentence
    assert list(tmp_path.rglob("*.nbi"))


@pytest.mark.slow
def test_where_there_is_no_folder_at_all_it_compiles_anew_and_says_that(installed, tmp_path):
    no_scratch = "from scale_eval import scratch\nscratch.scratch_folder = lambda: None\n"
    infinite, raised, _, *said = run(
        installed, no_scratch + SCRIPT, TMPDIR=str(tmp_path)
    ).splitlines()
    assert (infinite, raised) == ("inf", "raised")
    (sentence,) = said
    assert sentence.startswith("said: compiled code cannot be kept")
    assert not list(tmp_path.rglob("*.nbi"))


@pytest.mark.slow
def test_where_it_is_given_a_folder_it_says_nothing(installed, tmp_path):
    (tmp_path / "lasting").mkdir()
    printed = run(
        installed, SCRIPT, TMPDIR=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "lasting")
    )
    assert "said" not in printed
    assert list((tmp_path / "lasting").rglob("*.nbi"))


@pytest.mark.slow
def test_settings_of_numba_in_the_current_folder_do_not_count(tmp_path, monkeypatch):
    (tmp_path / ".numba_config.yaml").write_text(f"cache_dir: {tmp_path}/planted\n")
    script = (
        "import numba.core.config as before\n"
        "print(before.CACHE_DIR)\n"
        "from scale_eval.compiling import compiled\n"
        "from scale_eval.metrics.compiled import elementary\n"
        "from numba.core import config\n"
        "print(repr(config.CACHE_DIR))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [f"{tmp_path}/planted", "''"]
    assert not (tmp_path / "planted").exists()


@compiling.compiled
def double(x):
    return 2 * x


def _keep(arguments: list[object], barrier) -> None:
    for argument in arguments:
        barrier.wait()
        double(argument)


def test_what_two_processes_keep_at_once_is_what_a_third_loads(tmp_path, monkeypatch):
    """Both took the number 1 for the file of their code, and `2 * 1` was computed as of a float."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    whole = [np.int8(1), np.int16(1), np.int32(1), np.int64(1)]
    real = [np.float32(1.5), np.float64(1.5), np.complex64(1.5), np.complex128(1.5)]
    processes = [context.Process(target=_keep, args=(each, barrier)) for each in (whole, real)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    loaded = (
        "import numpy as np\nfrom tests.test_compiling import double\n"
        "for kind in (np.int8, np.int16, np.int32, np.int64):\n    assert double(kind(1)) == 2\n"
        "for kind in (np.float32, np.float64, np.complex64, np.complex128):\n"
        "    assert double(kind(1.5)) == 3\n"
        "print(len(double.stats.cache_hits))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "8\n"


def test_a_function_for_many_numbers_is_compiled_when_it_has_seen_many(monkeypatch):
    monkeypatch.setattr(compiling, "PLAIN_NUMBERS", 100)

    @compiling.compiled_for_many
    def mean_and_first(x):
        total = 0.0
        for i in range(len(x)):
            total += x[i]
        return total / len(x), x[0]

    values, told = np.linspace(0.1, 0.7, 40), []
    with compilation_reported(lambda: told.append("compiled")):
        python = mean_and_first(values)
        assert mean_and_first(values) == python
        assert not told
        assert mean_and_first(values) == python  # 120 numbers
        assert told == ["compiled"]
    assert [type(each) for each in python] == [float, float]


def test_a_function_for_many_numbers_divides_by_zero_in_python_as_when_it_is_compiled(monkeypatch):
    @compiling.compiled_for_many
    def ratio(a, b):
        return a[0] / b[0]

    zero = np.zeros(1)
    for plain_numbers in (100, 0):
        monkeypatch.setattr(compiling, "PLAIN_NUMBERS", plain_numbers)
        assert ratio(np.ones(1), zero) == np.inf
        assert np.isnan(ratio(zero, zero))
