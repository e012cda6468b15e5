"""Commands that show a run."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.report.terminal import SHOWN
from tests.support.commands import (
    COMMAND,
    DEFAULT_MODELS,
    assert_fits,
    assert_refused,
)


class TestShow:
    @pytest.mark.parametrize("table", [*(name for name in SHOWN if name != "sampled"), None])
    def test_every_table_fits_80_columns(self, scale_eval, first, table):
        result = scale_eval("show", first, *([table] if table else []), "--limit", 200)
        assert result.code == cli.OK
        assert_fits(result.out, first)

    @pytest.mark.parametrize("table", [name for name in SHOWN if name != "sampled"])
    def test_no_two_rows_of_a_table_look_as_if_they_were_about_the_same(self, first, table):
        frame = getattr(se.open_run(first), table)[SHOWN[table]]
        points = {"probability", "depth", "low"}
        keys = [c for c in frame if c in points or not pd.api.types.is_numeric_dtype(frame[c])]
        assert not frame[keys].duplicated().any()

    @pytest.mark.parametrize("table", ["pooled", "companies", "spread", "decompositions"])
    def test_the_leading_model_comes_first(self, scale_eval, first, table):
        best = se.open_run(first).findings.models[0]
        result = scale_eval("show", first, table, "--limit", 1)
        assert [model for model in DEFAULT_MODELS if model in result.out] == [best]

    def test_what_a_sample_says_is_refused_of_a_run_of_all_companies(self, scale_eval, first):
        result = scale_eval("show", first, "sampled")
        assert_refused(result, "all companies", "not of a sample")

    def test_without_a_table_it_says_what_the_run_said(self, scale_eval, ran, first):
        result = scale_eval("show", first)
        assert result.out in ran.out

    def test_filters_choose_rows(self, scale_eval, first):
        result = scale_eval("show", first, "pooled", "--metric", "roc_auc", "--model", "bgnbd")
        assert "roc_auc" in result.out
        assert "bgnbd" in result.out
        assert "log_loss" not in result.out
        assert "recency" not in result.out
        result = scale_eval("show", first, "comparisons", "--model", "bgnbd", "--limit", 1000)
        assert "bgnbd" in result.out
        assert not re.search(r"base_rate\s+recency", result.out)
        result = scale_eval("show", first, "companies", "--company", "South", "--limit", 1000)
        assert "South" in result.out
        assert "North" not in result.out

    def test_a_filter_takes_a_name_as_it_is_displayed(self, scale_eval, first):
        for name in ("AUC", "auc", "roc_auc", "Roc AUC"):
            result = scale_eval("show", first, "pooled", "--metric", name, "--limit", 1)
            assert "roc_auc" in result.out, name
        result = scale_eval("show", first, "pooled", "--metric", "O:E", "--format", "csv")
        assert {line.split(",")[1] for line in result.out.splitlines()} == {
            "metric",
            "observed_expected_ratio",
        }

    @pytest.mark.parametrize(
        ("words", "hints"),
        [
            (["companies", "--company", "Sohth"], ["'Sohth'", "did you mean 'South'"]),
            (["pooled", "--metric", "acu"], ["'acu'", "did you mean 'AUC'"]),
            (["pooled", "--metric", "profit"], ["'profit'", "log_loss", "value_captured_at_10"]),
            (["pooled", "--model", "BGMBD"], ["'BGMBD'", "did you mean 'bgnbd'"]),
            (
                ["decompositions", "--metric", "AUC"],
                ["decompositions has no column of a metric; its rows", "--model"],
            ),
        ],
        ids=" ".join,
    )
    def test_a_filter_that_matches_nothing_is_refused_with_the_nearest(
        self, scale_eval, first, words, hints
    ):
        assert_refused(scale_eval("show", first, *words), *hints)

    def test_a_name_of_the_run_that_did_not_fail_has_no_failures(self, scale_eval, first):
        assert scale_eval("show", first, "failures", "--model", "bgnbd").out == "None.\n"

    def test_the_comparisons_say_which_sign_is_better_and_what_is_a_tie(self, scale_eval, first):
        margins = se.open_run(first).comparisons.query("metric == 'log_loss'")["margin"]
        result = scale_eval("show", first, "comparisons", "--metric", "log_loss")
        told = " ".join(result.out.split())
        assert "log loss: lower is better, so below 0 model a is better" in told
        assert f"at most {margins.iloc[0]:.4g} is a tie" in told
        assert "ties" in told
        told = " ".join(scale_eval("show", first, "comparisons", "--metric", "AUC").out.split())
        assert "AUC: higher is better, so above 0 model a is better" in told

    @pytest.mark.parametrize("table", [name for name in SHOWN if name != "sampled"])
    def test_every_table_is_written_whole_for_programs(self, scale_eval, first, table):
        """What is read back is the table itself, to the last digit."""
        frame = getattr(se.open_run(first), table)
        as_csv = scale_eval("show", first, table, "--format", "csv")
        assert as_csv.err == ""
        text = [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]
        read = pd.read_csv(io.StringIO(as_csv.out), dtype=dict.fromkeys(text, str))
        assert list(read) == list(frame)
        assert len(read) == len(frame)
        as_json = json.loads(scale_eval("show", first, table, "--format", "json").out)
        assert len(as_json) == len(frame)
        for name in frame.select_dtypes("number"):
            expected = frame[name].to_numpy(dtype=float)
            assert np.array_equal(read[name].to_numpy(dtype=float), expected, equal_nan=True), name
            values = [np.nan if row[name] is None else row[name] for row in as_json]
            finite = np.where(np.isinf(expected), np.nan, expected)
            assert np.array_equal(values, finite, equal_nan=True), name
        lines = scale_eval("show", first, table, "--format", "markdown").out.splitlines()
        assert len(lines) == len(frame) + 2
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1

    def test_counts_are_whole_numbers_for_programs_also_where_some_are_null(
        self, scale_eval, first
    ):
        rows = json.loads(scale_eval("show", first, "evaluations", "--format", "json").out)
        assert {type(row["n_positive"]) for row in rows} <= {int, type(None)}

    @pytest.mark.parametrize("table", SHOWN)
    def test_the_columns_of_every_table_are_explained_in_80_columns(self, scale_eval, first, table):
        result = scale_eval("show", first, table, "--columns")
        assert result.code == cli.OK
        assert_fits(result.out, first)
        assert all(column in " ".join(result.out.split()) for column in SHOWN[table])

    def test_a_filter_that_the_table_does_not_have_is_refused(self, scale_eval, first):
        result = scale_eval("show", first, "evaluations", "--metric", "roc_auc")
        assert_refused(result, "evaluations", "metric", "chosen by --model and --company")
        result = scale_eval("show", first, "pooled", "--company", "South")
        assert_refused(result, "pooled", "company")

    def test_a_filter_without_a_table_is_refused(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "--model", "bgnbd"), "--model")

    def test_an_unknown_table_is_refused_with_those_that_there_are(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "evaluation"), "'evaluation'", "evaluations")

    def test_a_negative_number_of_rows_is_refused(self, scale_eval, first):
        assert_refused(scale_eval("show", first, "evaluations", "--limit", -3), "--limit")

    def test_the_rows_left_out_are_counted(self, scale_eval, first):
        n = len(se.open_run(first).evaluations)
        shown = " ".join(scale_eval("show", first, "evaluations", "--limit", 2).out.split())
        assert f"2 of {n} rows; --limit shows more, --model and --company choose" in shown

    def test_a_reason_stands_at_the_rows_that_have_it_and_at_no_others(self, scale_eval, first):
        """East's first window is too short for base_rate and rfm_logistic, not for the others."""
        rows = se.open_run(first).evaluations
        assert set(rows.loc[rows["reason"] != "", "reason"].dropna()) == {"history_too_short"}
        for company, n in [("East", 2), ("North", 0)]:
            result = scale_eval("show", first, "evaluations", "--company", company)
            text = re.sub(r"(?m)^reason .*", "", result.out)
            assert len(re.findall("history", text)) == n, result.out

    def test_dates_and_names_of_models_are_not_broken_over_lines(self, scale_eval, first):
        result = scale_eval("show", first, "evaluations", "--limit", 200)
        for model in DEFAULT_MODELS:
            assert model in result.out
        assert re.search(r"20\d\d-\d\d-01", result.out)

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
        result = scale_eval("reduce", begun)
        assert "Traceback" not in result.err
        assert "concatenate" not in result.err
        assert "not" in result.out + result.err  # no evaluation has been done, in whatever words


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
        result = scale_eval(command, *words)
        version = json.loads((other / "run.json").read_text())["versions"]["scale_eval"]
        assert_refused(result, f"was written by scale_eval {version} in format 99", "another place")
        assert not (other / "report.html").exists()


class TestReport:
    @pytest.mark.slow
    @pytest.mark.whole_report
    def test_it_is_written_into_the_run_unless_it_is_told_where(self, scale_eval, first, tmp_path):
        result = scale_eval("report", first)
        assert result.code == cli.OK
        assert result.out == f"Report: {first / 'report.html'}\n"
        elsewhere = tmp_path / "page.html"
        assert scale_eval("report", first, "--out", elsewhere).code == cli.OK
        assert elsewhere.read_bytes() == (first / "report.html").read_bytes()

    def test_where_there_is_no_run_it_says_how_to_make_one(self, scale_eval, tmp_path):
        assert_refused(scale_eval("report", tmp_path), "is not a run", "scale-eval run")
