"""Commands run by tests, in this process or as their own, and what they come to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.cells import cell_len

from scale_eval.cli import app as cli
from tests.support.companies import shop

COMMAND = Path(sys.executable).with_name("scale-eval")


DEFAULT_MODELS = {"base_rate", "recency", "rfm_logistic", "bgnbd"}


# A file as a user would write it, beside their data.
SHOP_MODELS = '''
import time

import numpy as np


class Half:
    """Everybody is as likely as not."""

    name = "half"

    def fit(self, history):
        self.n = history.n_customers

    def predict_proba(self, history):
        return np.full(self.n, 0.5)


class Patient(Half):
    name = "patient"

    def fit(self, history):
        super().fit(history)
        time.sleep(0.4)


class MorePatient(Half):
    """So slow that a busy machine, too, can end it after its first batch and before its last."""

    name = "more_patient"

    def fit(self, history):
        super().fit(history)
        time.sleep(2)


class Bracketed(Half):
    """Fails with words that a terminal library may take for its own markup."""

    name = "bracketed"

    def fit(self, history):
        raise KeyError(f"[/{history.company_id}] is no [column]")


class Unready(Half):
    def __init__(self):
        raise RuntimeError("the weights are not there")


class Blank:
    """No model at all."""


def hits(outcomes, probabilities, future_spend):
    return float(np.mean((probabilities >= 0.5) == outcomes))


def breaks(outcomes, probabilities, future_spend):
    raise RuntimeError("no such threshold")
'''


class Result(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def scale_eval_process(*words: object, cwd: Path, timeout: float = 240) -> Result:
    """Runs the installed command as a process of its own."""
    done = subprocess.run(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "80"}


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2 and a sentence with these words."""
    assert result.code == cli.USAGE, result
    assert "Traceback" not in result.err
    assert "Error: " in result.err
    for word in words:
        assert word in result.err


def assert_fits(text: str, *paths: Path) -> None:
    """No line is wider than 80 columns, but for those that name one of `paths`."""
    for line in text.splitlines():
        if cell_len(line) > 80:
            assert any(str(path) in line for path in paths), line


def write_csv(path: Path, rows: list[tuple[str, object, float]]) -> Path:
    frame = pd.DataFrame(rows, columns=["CustomerID", "Timestamp", "PurchaseValue"])
    frame.to_csv(path, index=False)
    return path


def shop_csv(path: Path, n_customers: int, seed: int) -> Path:
    company = shop(path.stem, n_customers, seed, days=800)
    when = pd.to_datetime(company.timestamps.astype("int64"), unit="us", utc=True)
    who = [company.customers[int(code)].as_py() for code in company.codes]
    return write_csv(path, list(zip(who, when, company.values, strict=True))[::-1])


STRICT = [
    "run",
    "data",
    "--out",
    "run",
    "--workers",
    "2",
    "--observed",
    "..",
    "--strict",
    "--every",
    "1 year",
    "--model",
    "shop_models:Half",
    "--model",
    "shop_models:Bracketed",
    "--metric",
    "shop_models:hits",
    "--metric",
    "shop_models:breaks",
]
