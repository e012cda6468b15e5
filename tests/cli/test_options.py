"""Options of a run from a configuration file, and margins."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from tests.support.commands import (
    assert_refused,
)


class TestConfig:
    @pytest.fixture
    def planned(self, scale_eval, data, tmp_path):
        """How many evaluations are planned with this configuration, and these options besides."""

        def planned(text: str, *options: object) -> int:
            (tmp_path / "settings.toml").write_text(text)
            result = scale_eval("plan", data, "--guess", "--config", "settings.toml", *options)
            assert result.code == cli.OK, result.err
            return int(re.search(r"(\d+) evaluations of", result.out)[1])

        return planned

    def test_its_values_are_used(self, planned):
        assert planned("last = 1") == 3 * 4
        assert planned('last = 1\nmodels = ["recency"]') == 3 * 2
        assert planned('cutoffs = ["2019-01-01", "2019-02-01"]\nmodels = ["bgnbd"]') == 3 * 2 * 3
        assert planned("cutoffs = [2019-01-01]") == 3 * 4

    @pytest.mark.slow
    def test_the_command_line_wins_over_it(self, planned):
        assert planned("last = 1", "--last", 2) == 3 * 2 * 4
        assert planned('last = 1\nmodels = ["recency"]', "--model", "bgnbd") == 3 * 3

    @pytest.mark.slow
    def test_one_file_serves_both_run_and_plan(self, planned):
        assert planned('last = 1\ntimeout = "5 minutes"\nworkers = 2') == 3 * 4

    @pytest.mark.slow
    def test_a_run_remembers_what_was_in_it(self, scale_eval, data, tmp_path):
        text = 'cutoffs = ["2019-01-01"]\nhorizon = "3 months"\nseed = 5\nmodels = ["recency"]'
        (tmp_path / "settings.toml").write_text(text)
        result = scale_eval("run", data, "--out", "run", "--config", "settings.toml", "--seed", 7)
        assert result.code == cli.OK, result.err
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
        result = scale_eval("run", data, "--out", "run", "--config", "settings.toml", *future)
        assert_refused(result, *words)
        assert not (tmp_path / "run").exists()


class TestMargins:
    @pytest.fixture
    def copied(self, first, tmp_path) -> Path:
        return shutil.copytree(first, tmp_path / "run")

    @pytest.mark.slow
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
