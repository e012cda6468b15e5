"""Datasets and runs that the tests of commands share, made by the commands themselves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scale_eval.cli import app as cli
from scale_eval.cli import commands  # noqa: F401 - they are all there
from scale_eval.report import page
from tests.support.commands import (
    SHOP_MODELS,
    STRICT,
    Result,
    scale_eval_process,
    shop_csv,
    write_csv,
)


@pytest.fixture(autouse=True)
def hangups_end_commands():
    """Commands that a test starts end with their terminal, also where the tests run by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def scale_eval(request, tmp_path, monkeypatch, capsys) -> Callable[..., Result]:
    """Runs a command in this process, in the test's own directory: quick, with 80 columns.

    The report at the end of a run is a blank page, unless a test is marked `whole_report`: drawing
    it takes longer than the run.
    """
    if request.node.get_closest_marker("whole_report") is None:
        monkeypatch.setattr(page, "write_page", lambda _, store, name: store.write(name, b""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(cli.out, "width", 80)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def scale_eval(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["scale-eval", *map(str, words)])
        capsys.readouterr()
        code, trace = 0, ""
        try:
            cli.run_command()
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:  # what a user would meet as a traceback
            code, trace = 1, traceback.format_exc()
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err + trace)

    return scale_eval


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> list[Path]:
    place = tmp_path_factory.mktemp("files")
    sizes = {"North": 90, "South": 45, "East": 25}
    return [shop_csv(place / f"{name}.csv", n, i) for i, (name, n) in enumerate(sizes.items())]


@pytest.fixture(scope="session")
def ingested(files, tmp_path_factory) -> Result:
    return scale_eval_process(
        "ingest", *files, "--into", "data", cwd=tmp_path_factory.mktemp("work")
    )


@pytest.fixture(scope="session")
def data(ingested) -> Path:
    """Three companies, ingested by the command."""
    return Path(re.search(r"^Dataset: (.+)$", ingested.out, re.MULTILINE)[1])


@pytest.fixture(scope="session")
def ran(data) -> Result:
    return scale_eval_process("run", data, "--out", "runs/first", "--workers", "2", cwd=data.parent)


@pytest.fixture(scope="session")
def first(ran, data) -> Path:
    """A finished run of the default models; East is too young for some of them at first."""
    assert ran.code == cli.OK, ran
    return data.parent / "runs" / "first"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Path:
    """A user's directory: their module, and companies of which there is little to say."""
    place = tmp_path_factory.mktemp("workshop")
    (place / "shop_models.py").write_text(SHOP_MODELS)
    months = pd.date_range("2017-01-03", "2019-12-03", freq="MS", tz="UTC")
    early = [(f"c{i}", f"2018-01-{i + 1:02} 10:00Z", 5.0) for i in range(20)]
    write_csv(place / "one row.csv", [("a", "2019-01-01 10:00Z", 5.0)])
    write_csv(place / "one-customer.csv", [("a", month, 5.0) for month in months])
    write_csv(place / "nobody returns.csv", [*early, ("z", "2019-12-31 10:00Z", 1.0)])
    write_csv(place / "0012.csv", [(who, when, -1.0) for who, when, _ in early])
    shop_csv(place / "usual.csv", 60, seed=5)
    into = scale_eval_process("ingest", *sorted(place.glob("*.csv")), "--into", "data", cwd=place)
    assert into.code == cli.OK, into
    return place


@pytest.fixture(scope="session")
def strict(workshop) -> Result:
    """A run with models and metrics of the user, good and bad, in worker processes."""
    return scale_eval_process(*STRICT, cwd=workshop)


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of 4 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)
