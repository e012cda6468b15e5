"""The command line as a stranger meets it: words, exit codes, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from rich.cells import cell_len

import scale_eval as se
from scale_eval.cli import runs as cli
from scale_eval.planning.settings import seconds_of
from scale_eval.report.terminal import SHOWN
from scale_eval.results.tables import tables_of
from scale_eval.storage import open_store
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


class Told(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def scale_eval(tmp_path, monkeypatch, capsys) -> Callable[..., Told]:
    """Runs a command in this process, in the test's own directory: quick, with 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(cli.out, "width", 80)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def scale_eval(*words: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["scale-eval", *map(str, words)])
        capsys.readouterr()
        code, trace = 0, ""
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:  # what a user would meet as a traceback
            code, trace = 1, traceback.format_exc()
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err + trace)

    return scale_eval


def scale_eval_process(*words: object, cwd: Path, timeout: float = 240) -> Told:
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
    return Told(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "80"}


def assert_refused(told: Told, *words: str) -> None:
    """Exit code 2 and a sentence with these words."""
    assert told.code == cli.USAGE, told
    assert "Traceback" not in told.err
    assert "Error: " in told.err
    for word in words:
        assert word in told.err


def assert_fits(text: str, *paths: Path) -> None:
    """No line is wider than 80 columns, but for those that name one of `paths`."""
    for line in text.splitlines():
        if cell_len(line) > 80:
            assert any(str(path) in line for path in paths), line


def wait_for(happened: Callable[[], object], process: subprocess.Popen, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def batches(run: Path) -> int:
    return len(list((run / "evaluations").glob("*.parquet")))


def children(pid: int) -> set[int]:
    """The living processes that `pid` began."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [map(int, line.split()) for line in listed.stdout.splitlines()]
    return {child for child, parent in pairs if parent == pid}


def assert_all_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 30
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def write_csv(path: Path, rows: list[tuple[str, object, float]]) -> Path:
    frame = pd.DataFrame(rows, columns=["CustomerID", "Timestamp", "PurchaseValue"])
    frame.to_csv(path, index=False)
    return path


def shop_csv(path: Path, n_customers: int, seed: int) -> Path:
    company = shop(path.stem, n_customers, seed, days=800)
    when = pd.to_datetime(company.timestamps.astype("int64"), unit="us", utc=True)
    who = [company.customers[int(code)].as_py() for code in company.codes]
    return write_csv(path, list(zip(who, when, company.values, strict=True))[::-1])


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> list[Path]:
    place = tmp_path_factory.mktemp("files")
    sizes = {"North": 90, "South": 45, "East": 25}
    return [shop_csv(place / f"{name}.csv", n, i) for i, (name, n) in enumerate(sizes.items())]


@pytest.fixture(scope="session")
def ingested(files, tmp_path_factory) -> Told:
    return scale_eval_process(
        "ingest", *files, "--into", "data", cwd=tmp_path_factory.mktemp("work")
    )


@pytest.fixture(scope="session")
def data(ingested) -> Path:
    """Three companies, ingested by the command."""
    return Path(re.search(r"^Dataset: (.+)$", ingested.out, re.MULTILINE)[1])


@pytest.fixture(scope="session")
def ran(data) -> Told:
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


STRICT = [
    "run",
    "data",
    "--out",
    "run",
    "--workers",
    "2",
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


@pytest.fixture(scope="session")
def strict(workshop) -> Told:
    """A run with models and metrics of the user, good and bad, in worker processes."""
    return scale_eval_process(*STRICT, cwd=workshop)


class TestIngest:
    def test_tells_what_it_read_and_where_it_is(self, ingested):
        assert ingested.code == cli.OK
        assert "Companies: 3 new" in ingested.out
        assert re.search(r"([\d,]+) rows in = \1 kept \+ 0 refused", ingested.out)
        assert ingested.err == ""

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("missing.csv", None, ["No such file"]),
            ("empty.csv", b"", ["is empty"]),
            ("header.csv", b"CustomerID,Timestamp,PurchaseValue\n", ["no rows"]),
            ("columns.csv", b"a,b,c\n1,2020-01-01,3\n", ["'CustomerID'", "--columns"]),
            ("binary.csv", b"\x00\xff\x17" * 900, ["is not text"]),
            ("half.parquet", b"PAR1 and no more", ["is damaged or no Parquet"]),
            ("words.csv", b"CustomerID,Timestamp,PurchaseValue\na,noon,1\n", ["'a,noon,1'"]),
        ],
    )
    def test_a_file_that_is_none_is_refused_by_name(
        self, scale_eval, tmp_path, name, content, words
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert_refused(scale_eval("ingest", name, "--into", "data"), name, *words)
        assert not (tmp_path / "data").exists()

    def test_a_directory_is_refused_with_what_to_name_instead(self, scale_eval, tmp_path):
        (tmp_path / "shops").mkdir()
        assert_refused(scale_eval("ingest", "shops", "--into", "data"), "shops/*.csv")

    def test_a_run_is_no_place_for_a_dataset(self, scale_eval, files, first):
        assert_refused(scale_eval("ingest", files[0], "--into", first), "is not a dataset")

    def test_a_company_named_like_markup_keeps_its_name(self, scale_eval, tmp_path):
        write_csv(tmp_path / "[red]x.csv", [("a", "2019-01-01", 1.0), ("a", "2020-01-01", 1.0)])
        table = "CustomerID,Timestamp,PurchaseValue,shop\na,2019-01-01,1,a[/b]\n"
        (tmp_path / "table.csv").write_text(table)
        told = scale_eval("ingest", "[red]x.csv", "--into", "one")
        assert "[red]x" in told.out
        told = scale_eval("ingest", "table.csv", "--company-column", "shop", "--into", "two")
        assert told.code == cli.OK, told.err
        assert "a[/b]" in told.out
        assert "a[/b]" in scale_eval("plan", "two").out

    @pytest.mark.parametrize(
        "name", ["my shop", "k=v", "Ünï 東京", ".hidden", "x" * 200, "0012", "20e1738615", "nan"]
    )
    def test_a_company_is_what_its_file_is_called(self, scale_eval, tmp_path, name):
        write_csv(tmp_path / f"{name}.csv", [("0017", "2019-01-01", 1), ("1e5", "2020-01-01", 2)])
        told = scale_eval("ingest", f"{name}.csv", "--into", "data")
        assert told.code == cli.OK, told.err
        assert_fits(told.out, tmp_path)
        dataset = se.open_dataset(tmp_path / "data")
        assert dataset.company_ids == [name]
        assert dataset.read(name).customers.to_pylist() == ["0017", "1e5"]
        folders = [path.name for path in (tmp_path / "data" / "transactions").iterdir()]
        assert not any(folder.startswith(".") or "=" in folder for folder in folders)


class TestSynth:
    def test_makes_what_can_be_planned(self, scale_eval):
        made = scale_eval("synth", "--companies", 3, "--seed", 4, "--into", "made")
        assert made.code == cli.OK
        assert made.out.startswith("3 companies, ")
        assert "12 evaluations of 4 models" in scale_eval("plan", "made", "--last", 1).out

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--companies", 0), ("--seed", -1), ("--median-customers", "nan"), ("--sigma", -1)],
    )
    def test_a_number_out_of_place_is_refused_by_name(self, scale_eval, option, value):
        words = {"--companies": 2, option: value}
        told = scale_eval("synth", "--into", "made", *(w for pair in words.items() for w in pair))
        assert_refused(told)
        assert option.strip("-").partition("-")[0] in told.err

    def test_a_directory_with_other_things_in_it_is_left_alone(self, scale_eval, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("precious")
        told = scale_eval("synth", "--companies", 1, "--into", "thesis")
        assert_refused(told, "thesis")
        assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


class TestPlan:
    def test_says_what_would_be_evaluated_and_does_nothing(self, scale_eval, data, tmp_path):
        told = scale_eval("plan", data)
        assert told.code == cli.OK
        n, models = re.search(r"([\d,]+) evaluations of 4 models \(([^)]+)\)", told.out).groups()
        assert set(re.split(r",\s+", models)) == DEFAULT_MODELS
        assert int(n) > 0
        assert re.search(r"North\s+\d: 20\d\d-", told.out)
        assert not list(tmp_path.iterdir())

    def test_says_why_a_window_is_refused(self, scale_eval, data):
        told = scale_eval("plan", data, "--cutoff", "2018-09-01", "--cutoff", "2020-01-01")
        assert told.code == cli.OK
        assert "not_observed_whole" in told.out
        assert "12 refused" in " ".join(told.out.split())

    @pytest.mark.parametrize("limit", [-1, -100])
    def test_a_negative_number_of_companies_is_refused(self, scale_eval, data, limit):
        assert_refused(scale_eval("plan", data, "--limit", limit), "--limit")


class TestRun:
    def test_ends_with_a_verdict_and_where_the_tables_are(self, ran, first):
        *_, last = ran.out.splitlines()
        assert last == f"Tables: {first}"
        verdict = se.open_run(first).verdict
        assert any(model in verdict.headline for model in DEFAULT_MODELS)
        told = " ".join(ran.out.split())
        assert all(" ".join(sentence.split()) in told for sentence in verdict.sentences)
        assert "Traceback" not in ran.err

    def test_leaves_the_tables_and_no_half_written_file(self, first):
        left = {path.name for path in first.iterdir()}
        tables = {
            f"{name}.parquet" for name in ("plan", *(t.name for t in tables_of(sample=False)))
        }
        assert left == {"run.json", "evaluations", "scores", ".lock", *tables}
        assert not list(first.rglob("*.unfinished"))

    def test_the_same_command_again_changes_nothing(self, scale_eval, data, first):
        before = scale_eval("fingerprint", first)
        again = scale_eval("run", data, "--out", first)
        assert again.code == cli.OK
        assert "evaluating" not in again.err
        assert scale_eval("fingerprint", first) == before

    def test_other_settings_into_the_same_place_are_refused(self, scale_eval, data, first):
        told = scale_eval("run", data, "--out", first, "--seed", 1)
        assert_refused(told, "seed was 0, now 1", "Choose another place")

    def test_a_run_that_another_process_writes_is_refused_with_its_number(
        self, scale_eval, data, first
    ):
        with open_store(first).lock():
            told = scale_eval("run", data, "--out", first)
        assert_refused(told, f"pid {os.getpid()}")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--modle", "bgnbd"], ["'--modle'", "'--model'"]),
            (["--model", "bgndb"], ["'bgndb'", "did you mean 'bgnbd'"]),
            (["--model", "predictor"], ["Known: base_rate"]),
            (["--model", ""], ["there is no model"]),
            (["--model", "predictions:none.parquet"], ["none.parquet", "no such file"]),
            (["--model", "no_such_module:Model"], ["no_such_module", "directory"]),
            (["--model", "./shop_models:Half"], ["./shop_models"]),
            (["--model", "shop_models:Hlaf"], ["did you mean 'Half'"]),
            (["--model", "shop_models:Blank"], ["lacks fit and predict_proba"]),
            (["--model", "shop_models:Unready"], ["Unready", "the weights are not there"]),
            (["--model", "unwritten:Model"], ["unwritten"]),
            (["--metric", "roc_acu"], ["'roc_acu'"]),
            (["--metric", "shop_models:hit"], ["did you mean 'hits'"]),
            (["--purchase-rule", "positiv"], ["'positiv'", "'positive'"]),
            (["--cutoff", "yesterday-ish"], ["'yesterday-ish'", "2017-12-01"]),
            (["--cutoff", "2019-02-30"], ["'2019-02-30'"]),
            (["--observed-until", "never"], ["'never'"]),
            (["--every", "6"], ["'6'", "'6 months'"]),
            (["--every", "0 months"], ["'0 months'"]),
            (["--horizon", "half a year"], ["'half a year'", "'6 months'"]),
            (["--horizon", "5000 years"], ["5000 years"]),
            (["--lookback", "-1 day"], ["'-1 day'"]),
            (["--timeout", "soon"], ["'soon'", "'10 minutes'"]),
            (["--timeout", "0"], ["'0'"]),
            (["--last", "0"], ["last"]),
            (["--cutoff", "2019-01-01", "--last", "1"], ["last"]),
            (["--workers", "0"], ["--workers"]),
            (["--cluster", "nowhere"], ["'nowhere'", "'local'"]),
            (["--cluster", "shop_models.py"], ["shop_models.py", "scheduler"]),
            (["--config", "none.toml"], ["none.toml"]),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_what_it_does_not_know_is_refused_and_leaves_nothing(
        self, scale_eval, data, tmp_path, options, words
    ):
        (tmp_path / "shop_models.py").write_text(SHOP_MODELS)
        (tmp_path / "unwritten.py").write_text("class Model(:\n")
        try:
            told = scale_eval("run", data, "--out", "run", *options)
        finally:
            sys.modules.pop("shop_models", None)
        assert_refused(told, *words)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("command", ["run", "plan"])
    def test_what_is_no_dataset_is_refused(self, scale_eval, files, first, tmp_path, command):
        out = ["--out", "run"] if command == "run" else []
        for place in ("nowhere", files[0], first, tmp_path):
            assert_refused(scale_eval(command, place, *out), "is not a dataset", "ingest")
        assert not (tmp_path / "run").exists()

    def test_a_place_with_other_files_is_refused(self, scale_eval, data, tmp_path):
        (tmp_path / "thesis.txt").write_text("precious")
        assert_refused(scale_eval("run", data, "--out", tmp_path), "thesis.txt")

    def test_a_cutoff_in_the_future_is_skipped_with_its_reason(self, scale_eval, data, tmp_path):
        told = scale_eval("run", data, "--out", "run", "--cutoff", "2031-01-01", "--strict")
        assert told.code == cli.OK
        assert "not_observed_whole" in told.out
        assert "There is no verdict" in told.out
        rows = se.open_run(tmp_path / "run").evaluations
        assert len(rows) == 12
        assert set(rows["status"]) == {"skipped"}
        assert set(rows["reason"]) == {"not_observed_whole"}
        assert "not_observed_whole" in scale_eval("show", "run", "evaluations").out

    @pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("2 minutes", 120)])
    def test_a_timeout_without_a_unit_is_in_seconds(self, text, seconds):
        assert seconds_of(text) == seconds


class TestConfig:
    @pytest.fixture
    def planned(self, scale_eval, data, tmp_path):
        """How many evaluations are planned with this configuration, and these options besides."""

        def planned(text: str, *options: object) -> int:
            (tmp_path / "settings.toml").write_text(text)
            told = scale_eval("plan", data, "--config", "settings.toml", *options)
            assert told.code == cli.OK, told.err
            return int(re.search(r"(\d+) evaluations of", told.out)[1])

        return planned

    def test_its_values_are_used(self, planned):
        assert planned("last = 1") == 3 * 4
        assert planned('last = 1\nmodels = ["recency"]') == 3 * 2
        assert planned('cutoffs = ["2019-01-01", "2019-02-01"]\nmodels = ["bgnbd"]') == 3 * 2 * 3
        assert planned("cutoffs = [2019-01-01]") == 3 * 4

    def test_the_command_line_wins_over_it(self, planned):
        assert planned("last = 1", "--last", 2) == 3 * 2 * 4
        assert planned('last = 1\nmodels = ["recency"]', "--model", "bgnbd") == 3 * 3

    def test_one_file_serves_both_run_and_plan(self, planned):
        assert planned('last = 1\ntimeout = "5 minutes"\nworkers = 2') == 3 * 4

    def test_a_run_remembers_what_was_in_it(self, scale_eval, data, tmp_path):
        text = 'cutoffs = ["2031-01-01"]\nhorizon = "3 months"\nseed = 5'
        (tmp_path / "settings.toml").write_text(text)
        told = scale_eval("run", data, "--out", "run", "--config", "settings.toml", "--seed", 7)
        assert told.code == cli.OK, told.err
        settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
        assert (settings["horizon"], settings["seed"]) == ("3 months", 7)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b'horizont = "6 months"', ["'horizont'", "did you mean 'horizon'"]),
            (b'purchase-rule = "all"', ["did you mean 'purchase_rule'"]),
            (b"[run]\nlast = 1", ["'run'"]),
            (b"last = = 1", ["not TOML", "line 1"]),
            (b"\xff\xfe\x00", ["settings.toml"]),
            (b'purchase_rule = "al"', ["purchase_rule", "'al'"]),
            (b'last = "two"', ["last"]),
            (b"every = 6", ["every"]),
            (b'seed = "x"', ["seed"]),
            (b"seed = 1.5", ["seed"]),
            (b'models = "bgnbd"', ["models"]),
            (b'cutoffs = "2031-01-01"', ["cutoffs"]),
            (b'shared_calendar = "no"', ["shared_calendar"]),
            (b"workers = 0", ["workers"]),
            (b'workers = "two"', ["workers"]),
            (b"cluster = 5", ["cluster"]),
            (b"timeout = []", ["timeout"]),
            (b'granularity = "dozen"', ["granularity"]),
            (b'retry = "yes"', ["retry"]),
            (b"margins = 0.1", ["margins"]),
            (b"margins = {log_los = 0.1}", ["'log_los'", "did you mean 'log_loss'"]),
            (b'margins = {log_loss = "wide"}', ["log_loss", "'wide'"]),
            (b"margins = {log_loss = -1}", ["log_loss", "-1"]),
        ],
        ids=lambda value: value.decode("latin-1") if isinstance(value, bytes) else None,
    )
    def test_what_is_wrong_in_it_is_refused_by_name(
        self, scale_eval, data, tmp_path, content, words
    ):
        (tmp_path / "settings.toml").write_bytes(content)
        future = [] if b"cutoffs" in content else ["--cutoff", "2031-01-01"]  # nothing to evaluate
        told = scale_eval("run", data, "--out", "run", "--config", "settings.toml", *future)
        assert_refused(told, *words)
        assert not (tmp_path / "run").exists()


class TestShow:
    @pytest.mark.parametrize("table", [*(name for name in SHOWN if name != "sampled"), None])
    def test_every_table_fits_80_columns(self, scale_eval, first, table):
        told = scale_eval("show", first, *([table] if table else []), "--limit", 200)
        assert told.code == cli.OK
        assert_fits(told.out, first)

    def test_what_a_sample_says_is_refused_of_a_run_of_all_companies(self, scale_eval, first):
        told = scale_eval("show", first, "sampled")
        assert_refused(told, "all companies", "not of a sample")

    def test_without_a_table_it_says_what_the_run_said(self, scale_eval, ran, first):
        told = scale_eval("show", first)
        assert told.out in ran.out

    def test_filters_choose_rows(self, scale_eval, first):
        told = scale_eval("show", first, "pooled", "--metric", "roc_auc", "--model", "bgnbd")
        assert "roc_auc" in told.out
        assert "bgnbd" in told.out
        assert "log_loss" not in told.out
        assert "recency" not in told.out
        told = scale_eval("show", first, "comparisons", "--model", "bgnbd", "--limit", 1000)
        assert "bgnbd" in told.out
        assert not re.search(r"base_rate\s+recency", told.out)
        told = scale_eval("show", first, "companies", "--company", "South", "--limit", 1000)
        assert "South" in told.out
        assert "North" not in told.out
        assert "No such rows" in scale_eval("show", first, "companies", "--company", "Sohth").out

    @pytest.mark.parametrize("table", SHOWN)
    def test_the_columns_of_every_table_are_explained_in_80_columns(self, scale_eval, first, table):
        told = scale_eval("show", first, table, "--columns")
        assert told.code == cli.OK
        assert_fits(told.out, first)
        assert all(column in " ".join(told.out.split()) for column in SHOWN[table])

    def test_a_filter_that_the_table_does_not_have_is_refused(self, scale_eval, first):
        told = scale_eval("show", first, "evaluations", "--metric", "roc_auc")
        assert_refused(told, "evaluations", "metric")
        told = scale_eval("show", first, "pooled", "--company", "South")
        assert_refused(told, "pooled", "company")

    def test_a_filter_without_a_table_is_refused(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "--model", "bgnbd"), "--model")

    def test_an_unknown_table_is_refused_with_those_that_there_are(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "evaluation"), "'evaluation'", "evaluations")

    def test_a_negative_number_of_rows_is_refused(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "evaluations", "--limit", -3), "--limit")

    def test_the_rows_left_out_are_counted(self, scale_eval, first):
        n = len(se.open_run(first).evaluations)
        assert f"2 of {n} rows" in scale_eval("show", first, "evaluations", "--limit", 2).out

    def test_a_reason_stands_at_the_rows_that_have_it_and_at_no_others(self, scale_eval, first):
        """East's first window is too short for base_rate and rfm_logistic, not for the others."""
        rows = se.open_run(first).evaluations
        assert set(rows.loc[rows["reason"] != "", "reason"].dropna()) == {"history_too_short"}
        for company, n in [("East", 2), ("North", 0)]:
            told = scale_eval("show", first, "evaluations", "--company", company)
            text = re.sub(r"(?m)^reason .*", "", told.out)
            assert len(re.findall("history", text)) == n, told.out

    def test_dates_and_names_of_models_are_not_broken_over_lines(self, scale_eval, first):
        told = scale_eval("show", first, "evaluations", "--limit", 200)
        for model in DEFAULT_MODELS:
            assert model in told.out
        assert re.search(r"20\d\d-\d\d-01", told.out)

    @pytest.mark.parametrize("command", ["show", "fingerprint", "reduce"])
    def test_what_is_no_run_is_refused(self, scale_eval, data, files, command):
        for place in ("nowhere", data, files[0]):
            assert_refused(scale_eval(command, place), "is not a run", "scale-eval run")

    def test_a_pipe_that_closes_early_ends_it_quietly(self, first):
        words = f"{COMMAND} show {first} companies --limit 10000 | head -1"
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=300)
        assert len(done.stdout.splitlines()) == 1
        assert done.stderr == ""


class TestFingerprintAndReduce:
    def test_a_fingerprint_is_one_line_that_reducing_does_not_change(self, scale_eval, first):
        before = scale_eval("fingerprint", first)
        assert re.fullmatch(r"[0-9a-f]{64}\n", before.out)
        reduced = scale_eval("reduce", first)
        assert reduced.code == cli.OK
        assert f"Tables: {first}" in reduced.out
        assert scale_eval("fingerprint", first) == before

    def test_a_run_begun_with_nothing_done_is_not_reduced_to_a_riddle(
        self, scale_eval, data, first, tmp_path
    ):
        begun = tmp_path / "begun"
        begun.mkdir()
        for name in ("run.json", "plan.parquet"):
            shutil.copy(first / name, begun)
        told = scale_eval("reduce", begun)
        assert "Traceback" not in told.err
        assert "concatenate" not in told.err
        assert "not" in told.out + told.err  # no evaluation has been done, in whatever words


class TestRunsOfAnotherFormat:
    @pytest.fixture
    def other(self, first, tmp_path) -> Path:
        document = json.loads((first / "run.json").read_text()) | {"format": 99}
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "run.json").write_text(json.dumps(document))
        return tmp_path / "other"

    @pytest.mark.parametrize("command", ["show", "report", "fingerprint", "reduce", "run"])
    def test_every_command_refuses_one_and_says_what_to_do(self, scale_eval, data, other, command):
        words = [data, "--out", other] if command == "run" else [other]
        told = scale_eval(command, *words)
        version = json.loads((other / "run.json").read_text())["versions"]["scale_eval"]
        assert_refused(told, f"was written by scale_eval {version} in format 99", "another place")
        assert not (other / "report.html").exists()


class TestMargins:
    @pytest.fixture
    def copied(self, first, tmp_path) -> Path:
        return shutil.copytree(first, tmp_path / "run")

    def test_a_margin_is_kept_until_another_is_given(self, scale_eval, copied):
        assert scale_eval("reduce", copied, "--margin", "log_loss=0.5").code == cli.OK
        assert scale_eval("reduce", copied, "--margin", "roc_auc=0.25").code == cli.OK
        margins = json.loads((copied / "run.json").read_text())["margins"]
        assert (margins["log_loss"], margins["roc_auc"]) == (0.5, 0.25)
        rows = se.open_run(copied).comparisons.query("metric == 'log_loss'")
        assert set(rows["margin"]) == {0.5}

    @pytest.mark.parametrize(
        ("margin", "words"),
        [
            ("log_loss", ["log_loss"]),
            ("log_loss=wide", ["log_loss=wide"]),
            ("log_loss=-1", ["log_loss", "-1"]),
            ("log_loss=nan", ["log_loss", "nan"]),
            ("log_los=1", ["'log_los'", "did you mean 'log_loss'"]),
        ],
    )
    def test_what_is_no_margin_is_refused_by_name(self, scale_eval, copied, margin, words):
        assert_refused(scale_eval("reduce", copied, "--margin", margin), *words)


class TestReport:
    def test_it_is_written_into_the_run_unless_it_is_told_where(self, scale_eval, first, tmp_path):
        told = scale_eval("report", first)
        assert told.code == cli.OK
        assert told.out == f"Report: {first / 'report.html'}\n"
        elsewhere = tmp_path / "page.html"
        assert scale_eval("report", first, "--out", elsewhere).code == cli.OK
        assert elsewhere.read_bytes() == (first / "report.html").read_bytes()
        (first / "report.html").unlink()

    def test_where_there_is_no_run_it_says_how_to_make_one(self, scale_eval, tmp_path):
        assert_refused(scale_eval("report", tmp_path), "is not a run", "scale-eval run")


class TestOwnModelsAndMetrics:
    def test_a_failing_model_is_exit_code_1_with_strict_alone(self, strict, scale_eval, workshop):
        assert strict.code == cli.FAILED_ROWS, strict
        assert "Traceback" not in strict.err
        assert "evaluations failed: scale-eval show" in strict.out.replace("\n", " ")
        words = [
            workshop / word if word in ("data", "run") and i else word
            for i, word in enumerate(STRICT)
            if word != "--strict"
        ]
        shutil.copy(workshop / "shop_models.py", "shop_models.py")
        assert scale_eval(*words).code == cli.OK

    def test_a_model_of_the_user_is_evaluated_by_worker_processes(self, strict, workshop):
        rows = se.open_run(workshop / "run").evaluations
        half = rows.query("model == 'half' and status == 'ok'")
        assert len(half) > 0
        assert (half["mean_prediction"] == 0.5).all()
        assert half["worker"].str.startswith("tcp://").all()

    def test_a_metric_of_the_user_is_in_the_tables(self, strict, scale_eval, workshop):
        told = scale_eval("show", workshop / "run", "pooled", "--metric", "hits")
        assert told.code == cli.OK
        assert "half" in told.out
        rows = se.open_run(workshop / "run").evaluations.query("model == 'half' and status == 'ok'")
        assert rows["hits"].to_numpy() == pytest.approx(rows["observed_rate"].to_numpy())

    def test_a_metric_that_raises_is_told_with_what_it_raised(self, strict, scale_eval, workshop):
        rows = se.open_run(workshop / "run").evaluations.query("status == 'ok'")
        assert rows["breaks"].isna().all()
        assert rows["undefined"].str.contains("breaks:exception").all()
        assert "breaks" in strict.out
        shown = scale_eval("show", workshop / "run", "failures").out
        assert "no such threshold" in strict.out + shown

    def test_a_failure_is_shown_in_the_words_of_the_model(self, strict, scale_eval, workshop):
        told = scale_eval("show", workshop / "run", "failures")
        assert told.code == cli.OK, told.err
        assert_fits(told.out, workshop)
        words = " ".join(told.out.split())
        assert "exception:KeyError" in words
        assert "[column]" in words
        assert "[/usual]" in words

    @pytest.mark.parametrize(
        ("company", "reasons"),
        [
            ("one row", {"no_whole_window"}),
            ("one-customer", {"too_few_customers"}),
            ("0012", {"no_whole_window"}),
        ],
    )
    def test_a_company_of_which_there_is_little_to_say_is_skipped_with_its_reason(
        self, strict, workshop, company, reasons
    ):
        rows = se.open_run(workshop / "run").evaluations.query("company_id == @company")
        assert set(rows["status"]) == {"skipped"}
        assert set(rows["reason"]) == reasons
        assert set(rows["model"]) == {"base_rate", "recency", "half", "bracketed"}
        assert any(reason in strict.out for reason in reasons)

    def test_a_company_to_which_nobody_returns_is_scored_where_scores_are_defined(
        self, strict, workshop
    ):
        rows = se.open_run(workshop / "run").evaluations
        rows = rows.query("company_id == 'nobody returns' and model == 'half'")
        assert set(rows["status"]) == {"ok"}
        assert set(rows["n_positive"]) == {0}
        assert rows["log_loss"].notna().all()
        assert rows["roc_auc"].isna().all()
        assert rows["undefined"].str.contains("roc_auc:no_positives").all()


class TestTheCommandItself:
    @pytest.mark.parametrize("command", ["", *sorted(cli.cli.commands)])
    def test_its_help_fits_80_columns(self, scale_eval, command):
        told = scale_eval(*command.split(), "--help")
        assert told.code == cli.OK
        assert told.out.startswith("Usage: scale-eval")
        assert_fits(told.out)

    def test_its_help_lists_every_command_in_a_whole_sentence(self, scale_eval):
        told = scale_eval("--help")
        _, listed = told.out.split("Commands:")
        for command in cli.cli.commands:
            assert re.search(rf"^  {command}\s", listed, re.MULTILINE)
        assert "..." not in listed

    def test_its_version_is_that_of_the_package(self, scale_eval):
        assert se.__version__ in scale_eval("--version").out

    def test_alone_it_says_how_to_begin(self, scale_eval):
        told = scale_eval()
        assert told.code in (cli.OK, cli.USAGE)
        assert "scale-eval demo" in told.out + told.err

    def test_an_unknown_command_is_refused_with_the_nearest(self, scale_eval):
        assert_refused(scale_eval("shwo"), "'shwo'", "show")

    def test_it_runs_as_a_module(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "scale_eval.cli", "--version"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert se.__version__ in done.stdout

    def test_it_and_every_worker_start_without_what_few_of_them_need(self, tmp_path):
        lists = (
            "import sys, scale_eval.cli, scale_eval.execution.worker;"
            "print(*{'sklearn', 'scipy.stats', 'matplotlib', 'pyarrow.dataset'} & {*sys.modules})"
        )
        done = subprocess.run(
            [sys.executable, "-c", lists],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.split() == []

    def test_a_directory_that_is_gone_is_no_traceback(self, tmp_path):
        gone = tmp_path / "gone"
        gone.mkdir()
        words = f"rmdir '{gone}' && exec '{COMMAND}' --version"
        done = subprocess.run(
            ["sh", "-c", words], cwd=gone, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr

    def test_what_it_prints_fits_80_columns(self, ingested, ran, strict, data, workshop):
        for told in (ingested, ran, strict):
            assert_fits(told.out, data.parent, workshop)


@pytest.mark.slow
@pytest.mark.long
def test_the_demo_names_a_model_and_where_the_tables_are(tmp_path):
    told = scale_eval_process("demo", "--workers", "2", cwd=tmp_path)
    assert told.code == cli.OK, told
    assert "Traceback" not in told.err
    assert_fits(told.out, tmp_path)
    run = tmp_path / "runs" / "demo"
    assert se.open_run(run).verdict.choice in DEFAULT_MODELS
    assert told.out.splitlines()[-2:] == [f"Tables: {run}", f"Report: {run / 'report.html'}"]
    assert (run / "report.html").stat().st_size < 2_000_000
    assert len(se.open_run(run).pooled) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]

    before = se.open_run(run).fingerprint()
    again = scale_eval_process("demo", cwd=tmp_path)
    assert again.code == cli.OK
    assert "evaluating" not in again.err
    assert se.open_run(run).fingerprint() == before


def begin(
    workshop: Path, data: Path, run: Path, log: Path, model: str = "Patient"
) -> subprocess.Popen:
    """A run that takes a while, in a session of its own."""
    with log.open("w") as file:
        return subprocess.Popen(
            [COMMAND, *patient(data, run, model)],
            cwd=workshop,
            env=environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def patient(data: Path, run: Path, model: str = "Patient") -> list[str]:
    return [
        "run",
        str(data),
        "--out",
        str(run),
        "--model",
        f"shop_models:{model}",
        "--every",
        "1 month",
        "--workers",
        "2",
    ]


def assert_interrupted(told: str, run: Path) -> None:
    assert "Interrupted. What is done is on disk" in told
    assert "Traceback" not in told
    assert batches(run) > 0
    shown = scale_eval_process("show", run, cwd=run.parent)
    assert "not" in shown.out + shown.err
    assert re.search(r"not finished|have not been done", shown.out + shown.err)


def assert_finished_by_the_same_command(workshop: Path, data: Path, run: Path) -> None:
    before = se.open_run(run).evaluations
    told = scale_eval_process(*patient(data, run), cwd=workshop)
    assert told.code == cli.OK, told
    after = se.open_run(run)
    assert after.finished
    assert len(after.evaluations) == len(after.plan) > len(before)
    key = ["company_id", "cutoff", "model"]
    kept = after.evaluations.merge(before[key], on=key)
    assert kept["evaluated_at"].tolist() == before["evaluated_at"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_what_was_interrupted_leaves_no_process_and_is_finished_by_the_same_command(
    workshop, data, tmp_path, blow
):
    run, log = tmp_path / "run", tmp_path / "log"
    process = begin(workshop, data, run, log)
    wait_for(lambda: batches(run) >= 2, process)
    workers = children(process.pid)
    assert len(workers) >= 2
    if blow == signal.SIGINT:
        os.killpg(process.pid, blow)  # as a terminal does
        assert process.wait(timeout=60) == cli.UNFINISHED
        assert_interrupted(log.read_text(), run)
    else:
        process.send_signal(blow)
        process.wait(timeout=60)
    assert_all_gone(workers)
    assert_finished_by_the_same_command(workshop, data, run)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_is_one_sentence(workshop, data, tmp_path):
    run = tmp_path / "run"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(workshop)
        os.execv(COMMAND, [str(COMMAND), *patient(data, run)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    told, pressed, deadline = b"", False, time.monotonic() + 120
    with contextlib.suppress(OSError):  # the terminal closes with its last process
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                told += os.read(terminal, 65536)
            if not pressed and batches(run) >= 2:
                os.write(terminal, b"\x03")
                pressed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = told.decode()
    assert os.waitstatus_to_exitcode(status) == cli.UNFINISHED, text
    assert re.search(r"evaluating: +\d+%", text)
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\^C", "", text)  # ^C: the terminal echoes it
    assert_fits(plain.replace("\r", "\n"), tmp_path)
    assert_interrupted(text, run)
    assert_finished_by_the_same_command(workshop, data, run)


@pytest.mark.slow
def test_a_finished_run_to_which_a_model_is_being_added_is_not_shown_as_finished(
    workshop, data, tmp_path
):
    run, log = tmp_path / "run", tmp_path / "log"
    words = ["run", data, "--out", run, "--model", "recency", "--every", "1 month"]
    assert scale_eval_process(*words, cwd=workshop).code == cli.OK
    already = batches(run)
    process = begin(workshop, data, run, log, "MorePatient")
    wait_for(lambda: batches(run) > already, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == cli.UNFINISHED
    told = scale_eval_process("show", run, cwd=workshop)
    assert re.search(r"not finished|have not been done", told.out + told.err)


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


def leave(free_bytes: int, disk: Path) -> Path:
    """A file that takes all of `disk` but so many bytes."""
    there = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - free_bytes))
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize("free_bytes", [pytest.param(8_000, marks=pytest.mark.long), 300_000])
def test_a_full_disk_is_exit_code_3_and_the_same_command_goes_on(data, small_disk, free_bytes):
    ballast = leave(free_bytes, small_disk)
    words = ["run", data, "--out", small_disk / "run", "--every", "1 month", "--save-predictions"]
    full = scale_eval_process(*words, cwd=data.parent)
    assert full.code == cli.UNFINISHED, full
    assert "Traceback" not in full.err
    assert "No space left on device" in full.err
    assert "run the same command again" in full.err
    assert not list(small_disk.rglob("*.unfinished"))

    ballast.unlink()
    told = scale_eval_process(*words, cwd=data.parent)
    assert told.code == cli.OK, told
    run = se.open_run(small_disk / "run")
    assert run.finished
    assert run.failures.empty
    saved = pd.read_parquet(small_disk / "run" / "predictions")
    ok = run.evaluations.query("status == 'ok'")
    assert len(saved) == ok["n_customers"].sum()


@pytest.mark.slow
def test_a_full_disk_names_the_place_that_is_full(data, small_disk):
    leave(8_000, small_disk)
    told = scale_eval_process("run", data, "--out", small_disk / "run", cwd=data.parent)
    assert told.code == cli.UNFINISHED
    assert str(small_disk) in told.err


@pytest.mark.slow
def test_synth_on_a_full_disk_says_a_remedy_that_works(scale_eval, small_disk):
    ballast = leave(8_000, small_disk)
    words = ["synth", "--companies", 3, "--into", small_disk / "made"]
    full = scale_eval(*words)
    assert full.code != cli.OK
    assert "No space left on device" in full.err
    ballast.unlink()
    if "run the same command again" in full.err:
        assert scale_eval(*words).code == cli.OK


def test_a_read_only_place_is_refused_by_name(scale_eval, data, first, files, small_disk):
    shutil.copytree(first, small_disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for words in (
        ["run", data, "--out", small_disk / "run"],
        ["run", data, "--out", small_disk / "new"],
        ["reduce", small_disk / "run"],
        ["ingest", files[0], "--into", small_disk / "data"],
        ["synth", "--companies", 1, "--into", small_disk / "made"],
        ["demo", "--out", small_disk / "demo"],
    ):
        assert_refused(scale_eval(*words), str(small_disk), "Read-only file system")
    assert scale_eval("show", small_disk / "run").code == cli.OK
    assert scale_eval("fingerprint", small_disk / "run").code == cli.OK
