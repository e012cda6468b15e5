"""Commands that make a run."""

from __future__ import annotations

import os
import re
import shutil
import sys

import pandas as pd
import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.planning.run_options import seconds_of
from scale_eval.results.tables import tables_of
from scale_eval.storage import open_store
from tests.support.commands import (
    DEFAULT_MODELS,
    SHOP_MODELS,
    STRICT,
    assert_fits,
    assert_refused,
    scale_eval_process,
)
from tests.support.earlier_runs import a_run, two_models


class TestPlan:
    def test_says_what_would_be_evaluated_and_does_nothing(self, scale_eval, data, tmp_path):
        result = scale_eval("plan", data)
        assert result.code == cli.OK
        n, models = re.search(r"([\d,]+) evaluations of 4 models \(([^)]+)\)", result.out).groups()
        assert set(re.split(r",\s+", models)) == DEFAULT_MODELS
        assert int(n) > 0
        assert re.search(r"North\s+\d: 20\d\d-", result.out)
        assert not list(tmp_path.iterdir())

    def test_says_why_a_window_is_refused(self, scale_eval, data):
        result = scale_eval(
            "plan", data, "--guess", "--cutoff", "2018-09-01", "--cutoff", "2020-01-01"
        )
        assert result.code == cli.OK
        assert "not_observed_whole" in result.out
        assert "12 refused" in " ".join(result.out.split())

    def test_says_which_cutoff_fits_where_every_window_is_refused(self, scale_eval, data):
        result = scale_eval("plan", data, "--guess", "--cutoff", "2030-01-01")
        assert result.code == cli.OK
        assert "The latest cutoff that fits is 2019-" in " ".join(result.out.split())

    @pytest.mark.parametrize("limit", [-1, -100])
    def test_a_negative_number_of_companies_is_refused(self, scale_eval, data, limit):
        assert_refused(scale_eval("plan", data, "--limit", limit), "--limit")

    def test_says_by_an_earlier_run_how_many_companies_are_needed(self, scale_eval, data, tmp_path):
        a_run(tmp_path / "pilot", two_models())
        result = scale_eval("plan", data, "--guess", "--power", "pilot")
        assert result.code == cli.OK, result
        assert_fits(result.out)
        told = " ".join(result.out.split())
        assert "How many companies settle with a probability of 50, 80 and 95 %" in told
        assert "good is better, judged by 40 companies of pilot (other companies" in told
        row = re.search(
            r"weak +\.0010 \(-\.0050 to \.0070\) +([\d,]+) +([\d,]+) +([\d,]+) +(\d+) %", told
        )
        least, needed, most = (int(n.replace(",", "")) for n in row.groups()[:3])
        assert least < needed < most
        assert "This run can evaluate three companies." in told
        assert "inside the margin of .002." in told

    def test_says_that_an_earlier_run_has_settled_it(self, scale_eval, data, tmp_path):
        dataset = se.open_dataset(data)
        a_run(tmp_path / "pilot", two_models(by=0.03), data=dataset.content_hash)
        result = scale_eval("plan", data, "--guess", "--power", "pilot")
        assert re.search(r"weak .* settled +settled +settled", result.out)

    def test_an_earlier_run_that_says_nothing_of_it_is_refused(self, scale_eval, data, first):
        assert_refused(scale_eval("plan", data, "--power", first), "too few to say")
        assert_refused(scale_eval("plan", data, "--power", "nowhere"), "nowhere is not a run")


class TestRun:
    def test_ends_with_a_verdict_the_report_and_the_commands_that_come_next(self, ran, first):
        _, end = ran.out.split(f"Tables: {first}\n")
        assert f"Report: {first / 'report.html'}\n" in end
        assert "scale-eval show runs/first companies" in end
        assert "scale-eval report runs/first" in end
        assert "failures" not in end
        assert (first / "report.html").stat().st_size < 2_000_000
        verdict = se.open_run(first).verdict
        assert any(model in verdict.headline for model in DEFAULT_MODELS)
        result = " ".join(ran.out.split())
        assert all(" ".join(sentence.split()) in result for sentence in verdict.sentences)
        assert "Traceback" not in ran.err

    def test_says_in_a_log_file_what_it_waits_for_line_by_line(self, ran):
        lines = [line.partition(" [")[0] for line in ran.err.splitlines()]
        lines = [line for line in lines if "compiling" not in line and "36/36" not in line]
        assert lines == [
            "starting workers",
            "preparing the workers",
            "evaluating: 0 % (0/36)",
            "making the tables",
            "writing the report",
        ]
        assert "evaluating: 100 % (36/36)" in ran.err
        assert "\r" not in ran.err

    def test_leaves_the_tables_and_no_half_written_file(self, first):
        left = {path.name for path in first.iterdir()}
        tables = {
            f"{name}.parquet" for name in ("plan", *(t.name for t in tables_of(sample=False)))
        }
        assert left == {"run.json", "report.html", "evaluations", "scores", ".lock", *tables}
        assert not list(first.rglob("*.unfinished"))

    def test_the_same_command_again_changes_nothing(self, scale_eval, data, first):
        before = scale_eval("fingerprint", first)
        again = scale_eval("run", data, "--out", first)
        assert again.code == cli.OK
        assert "evaluating" not in again.err
        assert scale_eval("fingerprint", first) == before

    def test_other_settings_into_the_same_place_are_refused(self, scale_eval, data, first):
        result = scale_eval("run", data, "--out", first, "--seed", 1)
        assert_refused(result, "seed was 0, now 1", "Choose another place")

    def test_a_run_that_another_process_writes_is_refused_with_its_number(
        self, scale_eval, data, first
    ):
        with open_store(first).lock():
            result = scale_eval("run", data, "--out", first)
        assert_refused(result, f"pid {os.getpid()}")

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
            result = scale_eval("run", data, "--out", "run", *options)
        finally:
            sys.modules.pop("shop_models", None)
        assert_refused(result, *words)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("command", ["run", "plan"])
    def test_what_is_no_dataset_is_refused(self, scale_eval, files, first, tmp_path, command):
        out = ["--out", "run"] if command == "run" else []
        for place, words in {
            "nowhere": ["nothing of this name", "ingest FILE..."],
            files[0]: ["it is a CSV file", f"ingest {files[0]} --into"],
            files[0].parent: ["a folder of 3 files of rows", f"ingest {files[0].parent}/*.csv"],
            first: ["it is a run of the dataset", f"show {first}", f"--out {first}"],
            first.parent: ["it is a folder of other things"],
            tmp_path: ["it is an empty folder"],
        }.items():
            assert_refused(scale_eval(command, place, *out), "is not a dataset", *words)
        assert not (tmp_path / "run").exists()

    def test_a_place_with_other_files_is_refused(self, scale_eval, data, tmp_path):
        (tmp_path / "thesis.txt").write_text("precious")
        assert_refused(scale_eval("run", data, "--out", tmp_path), "thesis.txt")

    def test_a_run_whose_windows_are_all_refused_says_which_cutoff_fits_and_leaves_nothing(
        self, scale_eval, data, tmp_path
    ):
        result = scale_eval("run", data, "--out", "run", "--cutoff", "2031-01-01")
        assert "not_observed_whole" in result.out
        assert_refused(result, "the company's data end before the window does (3 windows)")
        assert not (tmp_path / "run").exists()
        latest = re.search(r"The latest cutoff that fits is (20\d\d-\d\d-\d\d)", result.err)[1]
        planned = scale_eval("plan", data, "--guess", "--cutoff", latest).out
        assert "0 evaluations" not in planned
        later = str((pd.Timestamp(latest) + pd.DateOffset(months=1)).date())
        assert "0 evaluations of" in scale_eval("plan", data, "--guess", "--cutoff", later).out

    @pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("2 minutes", 120)])
    def test_a_timeout_without_a_unit_is_in_seconds(self, text, seconds):
        assert seconds_of(text) == seconds

    def test_what_it_prints_fits_80_columns(self, ingested, ran, strict, data, workshop):
        for result in (ingested, ran, strict):
            assert_fits(result.out, data.parent, workshop)


class TestOwnModelsAndMetrics:
    @pytest.mark.slow
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
        result = scale_eval("show", workshop / "run", "pooled", "--metric", "hits")
        assert result.code == cli.OK
        assert "half" in result.out
        rows = se.open_run(workshop / "run").evaluations.query("model == 'half' and status == 'ok'")
        assert rows["hits"].to_numpy() == pytest.approx(rows["observed_rate"].to_numpy())

    def test_a_metric_that_raises_is_told_with_what_it_raised(self, strict, scale_eval, workshop):
        rows = se.open_run(workshop / "run").evaluations.query("status == 'ok'")
        assert rows["breaks"].isna().all()
        assert rows["undefined"].str.contains("breaks:exception").all()
        said = " ".join(strict.out.split())
        assert f"The metric breaks has no value in all {len(rows):,} evaluations: " in said
        shown = scale_eval("show", workshop / "run", "failures").out
        assert "no such threshold" in said + shown

    def test_a_failure_is_shown_in_the_words_of_the_model(self, strict, scale_eval, workshop):
        result = scale_eval("show", workshop / "run", "failures")
        assert result.code == cli.OK, result.err
        assert_fits(result.out, workshop)
        words = " ".join(result.out.split())
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


@pytest.mark.slow
@pytest.mark.long
def test_the_demo_names_a_model_and_where_the_tables_are(tmp_path):
    result = scale_eval_process("demo", "--workers", "2", cwd=tmp_path)
    assert result.code == cli.OK, result
    assert "Traceback" not in result.err
    assert_fits(result.out, tmp_path)
    run = tmp_path / "runs" / "demo"
    assert se.open_run(run).verdict.choice in DEFAULT_MODELS
    assert f"Tables: {run}\nReport: {run / 'report.html'}\n" in result.out
    assert "scale-eval show runs/demo companies" in result.out
    assert (run / "report.html").stat().st_size < 2_000_000
    assert len(se.open_run(run).pooled) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]

    before = se.open_run(run).fingerprint()
    again = scale_eval_process("demo", cwd=tmp_path)
    assert again.code == cli.OK
    assert "evaluating" not in again.err
    assert se.open_run(run).fingerprint() == before
