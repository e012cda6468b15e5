"""Commands run nothing that lies in the current folder; the user's models are found there last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scale_eval.cli import app as cli
from scale_eval.execution import child_process
from tests.support.commands import environment, scale_eval_process

pytestmark = pytest.mark.slow

NAMES = ["matplotlib", "numpy", "pandas", "pyarrow", "click", "rich", "jinja2", "tqdm", "scipy"]
NAMES += ["numba", "dask", "distributed", "cloudpickle", "pickle", "json", "multiprocessing"]
NAMES += ["sitecustomize", "usercustomize"]
OPTIONAL = ["cryptography", "cuda", "evil", "IPython", "lz4", "crick"]
"""Modules that need not be installed, and are looked for."""


@pytest.fixture
def hostile(tmp_path) -> Path:
    """A folder with modules of every name that commands import, and settings of other packages."""
    place = tmp_path / "downloads"
    place.mkdir()
    for name in [*NAMES, *OPTIONAL]:
        (place / f"{name}.py").write_text(f"open({str(place / 'ran')!r}, 'a').write({name!r})\n")
    (place / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\n")
    (place / ".numba_config.yaml").write_text("cache_dir: cache\ncuda_use_nvidia_binding: 1\n")
    return place


@pytest.mark.parametrize(
    "words",
    [
        "show",
        pytest.param("show companies", marks=pytest.mark.long),
        pytest.param("fingerprint", marks=pytest.mark.long),
        "report --out r.html",
        pytest.param("reduce", marks=pytest.mark.long),
    ],
)
def test_showing_reducing_and_reporting_run_nothing_that_lies_there(words, hostile, first):
    command, *others = words.split()
    done = scale_eval_process(command, first, *others, cwd=hostile)
    assert done.code == cli.OK, done
    assert not (hostile / "ran").exists()
    assert not (hostile / "cache").exists()


def test_neither_do_planning_and_a_run_with_models_of_the_package(hostile, data):
    for words in (["plan", data], ["run", data, "--out", "run", "--workers", "1"]):
        done = scale_eval_process(*words, cwd=hostile)
        assert done.code == cli.OK, done
        assert not (hostile / "ran").exists(), (hostile / "ran").read_text()


@pytest.mark.parametrize("module", ["scale_eval", "scale_eval.cli"])
def test_neither_does_it_as_a_module_with_what_python_has_not_imported_by_then(
    module, hostile, first
):
    for name in ("json", "pickle", "multiprocessing"):
        (hostile / f"{name}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", module, "show", str(first)],
        cwd=hostile,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    assert not (hostile / "ran").exists()


def test_neither_does_the_process_that_calls_a_function(hostile, monkeypatch):
    monkeypatch.chdir(hostile)
    with child_process.start() as call:
        assert call(len, "four") == 4
    assert not (hostile / "ran").exists()


@pytest.fixture
def beside_models(hostile) -> Path:
    """A folder that hides installed modules alone: where models are named, others are found."""
    for name in OPTIONAL:
        (hostile / f"{name}.py").unlink()
    return hostile


def test_own_models_are_found_there_and_do_not_shadow_what_is_installed(beside_models, data):
    hostile = beside_models
    (hostile / "mine.py").write_text(
        "import json, numpy as np\n"
        "class Half:\n"
        "    name = 'half'\n"
        "    def fit(self, history): self.n = history.n_customers\n"
        "    def predict_proba(self, history): return np.full(self.n, 0.5)\n"
    )
    run = ["run", data, "--out", "run", "--model", "mine:Half", "--workers", "1", "--strict"]
    done = scale_eval_process(*run, cwd=hostile)
    assert done.code == cli.OK, done
    assert "half" in done.out
    assert not (hostile / "ran").exists(), (hostile / "ran").read_text()
    shown = scale_eval_process("show", "run", "failures", cwd=hostile)
    assert shown.out.startswith("None."), shown


def test_what_a_model_starts_finds_modules_as_python_has_it(beside_models, data):
    """Workers are begun without the current folder on the path; their children are not."""
    (beside_models / "mine.py").write_text(
        "import os, numpy as np\n"
        "class Half:\n"
        "    name = 'half'\n"
        "    def fit(self, history):\n"
        "        assert 'PYTHONSAFEPATH' not in os.environ\n"
        "    def predict_proba(self, history): return np.full(history.n_customers, 0.5)\n"
    )
    run = ["run", data, "--out", "run", "--model", "mine:Half", "--workers", "1", "--strict"]
    assert "PYTHONSAFEPATH" not in os.environ
    done = scale_eval_process(*run, cwd=beside_models)
    assert done.code == cli.OK, done
