"""Runs on a Dask cluster: one task an evaluation, failures as rows, resuming, equal results."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from distributed import SchedulerPlugin

import scale_eval as se
from scale_eval.datasets import Transactions
from scale_eval.evaluation.schema import EVALUATION_COLUMNS
from scale_eval.execution.clusters.registry import dask_client
from scale_eval.metrics import N_GROUPS
from scale_eval.metrics.base import MetricWarning
from scale_eval.results.directory import RunDiffers, RunDirectory
from scale_eval.results.tables import TABLES
from scale_eval.storage import StoreLocked, open_store
from scale_eval.storage.unfinished import unfinished_name
from tests.support import models as models
from tests.support.companies import dataset_of, frame_of, shop

QUICK = ["base_rate", "recency", "frequency", models.Constant]


class CountsTasks(SchedulerPlugin):
    """Counts, on the scheduler, the tasks that came to a result."""

    name = "counts-tasks"

    def start(self, scheduler):
        self.scheduler = scheduler
        self.keys = []
        scheduler.counts_tasks = self

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.keys.append(key)


def evaluate(dataset, out, client, chosen=QUICK, **settings):
    return se.evaluate(dataset, chosen, out=out, client=client, progress=False, **settings)


@pytest.fixture(scope="module")
def quick(shops, client, tmp_path_factory):
    """A finished run of the quick models, which nobody may change."""
    return evaluate(shops, tmp_path_factory.mktemp("quick") / "run", client)


@pytest.fixture
def copied(quick, tmp_path):
    """A copy of that run, in which a test may write."""
    shutil.copytree(quick.directory.store.path(""), tmp_path / "run")
    return se.open_run(tmp_path / "run")


@pytest.mark.slow
def test_the_scheduler_runs_as_many_tasks_as_there_are_evaluations(shops, client, tmp_path):
    client.register_plugin(CountsTasks())
    run = evaluate(shops, tmp_path / "run", client)
    keys = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.counts_tasks.keys)
    client.unregister_scheduler_plugin("counts-tasks")
    ours = [key for key in keys if isinstance(key, tuple) and key[0].startswith("evaluate-")]
    rows = run.evaluations
    evaluated = rows[rows["worker"].notna()]
    assert len(ours) == len(evaluated) == len(run.plan.query("status == 'planned'"))
    told = {(company, pd.Timestamp(cutoff), model) for _, company, cutoff, model in ours}
    assert told == set(
        evaluated[["company_id", "cutoff", "model"]].itertuples(index=False, name=None)
    )


def test_every_planned_and_refused_evaluation_is_a_row(quick):
    run = quick
    key = ["company_id", "cutoff", "model"]
    assert len(run.evaluations) == len(run.plan)
    assert not run.evaluations.duplicated(key).any()
    young = run.evaluations.query("company_id == 'young'")
    assert young["cutoff"].isna().all()
    assert set(young["reason"]) == {"no_whole_window"}
    assert set(young["model"]) == {"base_rate", "recency", "frequency", "constant"}
    assert run.finished


def test_the_baselines_are_run_whatever_the_user_picks(shops, client, tmp_path):
    run = evaluate(shops, tmp_path / "run", client, ["frequency"], last=1)
    assert set(run.evaluations["model"]) == {"base_rate", "recency", "frequency"}


@pytest.mark.slow
def test_misbehaving_models_are_rows_and_change_no_other(shops, client, tmp_path):
    alone = evaluate(shops, tmp_path / "alone", client)
    bad = [models.Raises, models.TooShort, models.NotANumber, models.Outside, models.WrongOrder]
    beside = evaluate(shops, tmp_path / "beside", client, [*QUICK, *bad])
    failed = beside.evaluations.query("status == 'error'")
    assert dict(zip(failed["model"], failed["reason"], strict=True)) == {
        "raises": "exception:ZeroDivisionError",
        "too_short": "wrong_length",
        "not_a_number": "not_a_number",
        "outside": "outside_0_1",
        "wrong_order": "wrong_order",
    }
    assert (
        len(beside.failures)
        == len(failed)
        == 5 * len(beside.plan.query("status == 'planned' and model == 'raises'"))
    )
    same = ["company_id", "cutoff", "model", "log_loss", "roc_auc", "undefined", "note"]
    good = beside.evaluations[~beside.evaluations["model"].isin(failed["model"])]
    pd.testing.assert_frame_equal(
        good[same].reset_index(drop=True), alone.evaluations[same].reset_index(drop=True)
    )


@pytest.mark.slow
def test_whatever_a_model_throws_or_says_is_a_row_and_the_run_goes_on(shops, client, tmp_path):
    odd = [models.Throws, models.Mute, models.OddWords, models.CannotBeCopied]
    told = [models.DeclinesWithANumber, models.NotesANumber]
    run = evaluate(shops, tmp_path / "run", client, [*odd, *told], last=1)
    assert run.finished
    assert set(run.failures["model"]) == {m.name for m in odd}
    rows = run.evaluations[run.evaluations["worker"].notna()].set_index("model")
    assert set(rows.loc["declines", "reason"]) == {"3"}
    assert set(rows.loc["notes_a_number", "note"]) == {"3"}


def test_a_company_whose_spend_has_no_number_is_error_rows_and_the_others_are_ok(client, tmp_path):
    frame = frame_of(shop("rich", 40, 1))
    late = frame["timestamp"] > frame["timestamp"].max() - pd.Timedelta(days=150)
    frame.loc[late, "value"] = 1.7e308
    rich = Transactions.from_frame("rich", frame)
    dataset = dataset_of([rich, shop("usual", 60, 2)], tmp_path / "data")
    run = evaluate(dataset, tmp_path / "run", client, last=1)
    status = run.evaluations.groupby("company_id")["status"].agg(set)
    assert "error" in status["rich"]
    assert "error" not in status["usual"]


def test_orphan_scores_do_not_count_when_a_run_is_reduced(copied, tmp_path):
    before = copied.fingerprint()
    scores = sorted((tmp_path / "run" / "scores").glob("*.parquet"))
    shutil.copy(scores[0], scores[0].with_name("0123456789abcdef01234567.parquet"))
    assert se.reduce(tmp_path / "run").fingerprint() == before


@pytest.mark.slow
def test_a_model_added_to_a_finished_run_is_evaluated_alone(copied, shops, client, tmp_path):
    before = copied.evaluations
    second = evaluate(shops, tmp_path / "run", client, [*QUICK, "bgnbd"])
    after = second.evaluations
    kept = after[after["model"] != "bgnbd"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)  # evaluated_at and seconds too
    assert "bgnbd" in set(second.pooled["model"])
    whole = evaluate(shops, tmp_path / "whole", client, [*QUICK, "bgnbd"])
    assert second.fingerprint() == whole.fingerprint()


def test_a_finished_run_is_not_done_again(copied, shops, client, tmp_path):
    first = copied.evaluations
    second = evaluate(shops, tmp_path / "run", client)
    pd.testing.assert_frame_equal(first, second.evaluations)  # evaluated_at and seconds too
    assert copied.fingerprint() == second.fingerprint()


def test_anything_else_in_the_same_directory_is_refused_with_what_differs(
    copied, shops, client, tmp_path
):
    with pytest.raises(RunDiffers, match=r"seed was 0, now 1"):
        evaluate(shops, tmp_path / "run", client, seed=1)
    with pytest.raises(RunDiffers, match="horizon"):
        evaluate(shops, tmp_path / "run", client, horizon="3 months")
    other = dataset_of([shop("big", 30, seed=77)], tmp_path / "other")
    with pytest.raises(RunDiffers, match="data"):
        evaluate(other, tmp_path / "run", client)
    tuned = models.Constant()
    tuned.parameter = 3
    with pytest.raises(RunDiffers, match="parameters"):
        evaluate(shops, tmp_path / "run", client, [tuned])


def test_a_directory_with_other_things_in_it_is_left_alone(shops, client, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunDiffers, match=r"thesis\.txt"):
        evaluate(shops, tmp_path, client)


@pytest.mark.slow
def test_failures_stand_when_a_run_goes_on_unless_they_are_retried(shops, client, tmp_path):
    class Fickle(models.Constant):
        name = "fickle"
        place = str(tmp_path / "now-it-works")

        def fit(self, history):
            super().fit(history)
            if not Path(self.place).exists():
                raise OSError("not yet")

    failed = evaluate(shops, tmp_path / "run", client, [Fickle])
    assert set(failed.failures["model"]) == {"fickle"}
    (tmp_path / "now-it-works").touch()
    stands = evaluate(shops, tmp_path / "run", client, [Fickle])
    assert len(stands.failures) == len(failed.failures)
    retried = evaluate(shops, tmp_path / "run", client, [Fickle], retry=True)
    assert retried.failures.empty
    again = retried.evaluations.query("model == 'fickle' and worker.notna()")
    assert set(again["attempts"]) == {2}
    assert set(retried.evaluations.query("model == 'recency'")["attempts"]) == {1}


@pytest.mark.slow
def test_a_corrupt_company_is_error_rows_and_the_others_are_ok(tmp_path, client):
    dataset = dataset_of([shop("good", 60, 1), shop("rotten", 60, 2)], tmp_path / "data")
    path = dataset.store.path(dataset.manifest.set_index("company_id").loc["rotten", "path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    run = evaluate(dataset, tmp_path / "run", client)
    status = run.evaluations.groupby("company_id")["status"].agg(set)
    assert status["rotten"] == {"error"}
    assert "error" not in status["good"]
    assert set(run.failures["reason"]) == {"data_unreadable"}


@pytest.mark.slow
def test_predictions_that_were_saved_are_evaluated_to_the_same_figures(shops, client, tmp_path):
    run = evaluate(shops, tmp_path / "run", client, ["bgnbd"], save_predictions=True)
    saved = pd.read_parquet(tmp_path / "run" / "predictions")
    elsewhere = tmp_path / "elsewhere.parquet"
    saved.query("model == 'bgnbd'").to_parquet(elsewhere)
    again = evaluate(shops, tmp_path / "again", client, [f"predictions:{elsewhere}"])
    columns = ["log_loss", "roc_auc", "calibration_slope", "lift_at_10", "n_positive"]

    def of(done, name):
        rows = done.evaluations
        return rows[(rows["status"] == "ok") & (rows["model"] == name)][columns]

    first, second = of(run, "bgnbd"), of(again, f"predictions:{elsewhere}")
    assert len(first) > 3
    pd.testing.assert_frame_equal(
        first.reset_index(drop=True), second.reset_index(drop=True), check_exact=True
    )


def test_a_column_is_null_only_where_its_table_says_when(quick):
    run = quick
    columns = {name: table.columns for name, table in TABLES.items() if name != "sampled"}
    columns["evaluations"] = EVALUATION_COLUMNS
    for name, said in columns.items():
        nulls = getattr(run, name).isna().any()
        assert {c.name for c in said if nulls[c.name]} <= {c.name for c in said if c.null}, name


@pytest.mark.slow
def test_a_metric_of_the_user_reaches_every_table(shops, client, tmp_path):
    run = evaluate(shops, tmp_path / "run", client, metrics=[models.hits])
    assert run.evaluations.query("status == 'ok'")["hits"].notna().all()
    assert "hits" in set(run.companies["metric"])
    assert set(run.pooled.query("metric == 'hits'")["estimand"]) == {"equal_company"}
    assert "hits" in set(run.comparisons["metric"])
    figures = run.companies.query("metric == 'hits' and n_defined > 0")
    assert len(figures) and figures["std_error"].notna().all()
    (evaluation, *_) = run.evaluations.query("status == 'ok'").itertuples()
    assert len(evaluation.hits_influence) == N_GROUPS
    assert se.reduce(tmp_path / "run").fingerprint() == run.fingerprint()


def test_two_metrics_of_the_user_cannot_claim_one_column(shops, client, tmp_path):
    taken = se.metric(name="hits_influence")(lambda outcomes, *_: outcomes.mean())
    for metrics in ([models.hits, taken], [taken, models.hits]):
        with pytest.raises(ValueError, match="is taken by a column"):
            evaluate(shops, tmp_path / "run", client, metrics=metrics)


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_read_and_gone_on_with(copied, shops, client, tmp_path):
    later = ["gain_at_10_influence", "value_captured_at_10_influence"]
    for path in (tmp_path / "run/evaluations").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(later), path)
    run = se.reduce(tmp_path / "run")
    assert run.evaluations[later].isna().all(axis=None)
    of_gain, of_loss = (
        run.companies.query("metric == @name and n_defined > 0")["std_error"]
        for name in ("gain_at_10", "log_loss")
    )
    assert of_gain.isna().all() and of_loss.notna().all()
    pairs = run.comparisons.query("metric == 'gain_at_10' and estimand == 'equal_company'")
    assert set(pairs["heterogeneity_reason"]) == {"no_influence_kept"}
    run = evaluate(shops, tmp_path / "run", client, ["bgnbd"])
    figures = run.companies.query("metric == 'gain_at_10' and n_positive >= 20")
    errors = figures.set_index("model")["std_error"]
    assert errors["bgnbd"].notna().any() and errors["recency"].isna().all()


@pytest.mark.slow
def test_a_scikit_learn_classifier_is_a_model(shops, client, tmp_path):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=20, min_samples_leaf=5)
    first = evaluate(shops, tmp_path / "a", client, [forest])
    second = evaluate(shops, tmp_path / "b", client, [forest])
    assert "ok" in set(first.evaluations.query("model == 'RandomForestClassifier'")["status"])
    assert first.fingerprint() == second.fingerprint()


def test_two_processes_do_not_write_one_run(copied, shops, client, tmp_path):
    with copied.directory.store.lock(), pytest.raises(StoreLocked, match=str(os.getpid())):
        evaluate(shops, tmp_path / "run", client)


@pytest.mark.slow
def test_scores_of_a_batch_whose_evaluations_never_came_do_not_count(
    copied, shops, client, tmp_path
):
    before = copied.fingerprint()
    scores = sorted((tmp_path / "run" / "scores").glob("*.parquet"))
    shutil.copy(scores[0], scores[0].with_name("0123456789abcdef01234567.parquet"))
    (tmp_path / "run" / "evaluations" / unfinished_name("half.parquet")).write_bytes(b"PAR1")
    again = evaluate(shops, tmp_path / "run", client)
    assert again.fingerprint() == before
    assert not list((tmp_path / "run").rglob(".*.unfinished"))


def test_scores_do_not_count_while_the_evaluations_of_their_batch_are_still_to_come(
    copied, tmp_path
):
    before = copied.directory.scores()
    scores = sorted((tmp_path / "run" / "scores").glob("*.parquet"))
    shutil.copy(scores[0], scores[0].with_name("0123456789abcdef01234567.parquet"))
    assert copied.directory.scores().equals(before)


@pytest.mark.slow
def test_a_batch_whose_scores_were_cleaned_away_before_its_evaluations_came_is_done_again(
    shops, client, tmp_path
):
    run = evaluate(shops, tmp_path / "run", client)
    before = run.fingerprint()
    store = run.directory.store
    store.delete(store.names("scores/*.parquet")[0])
    assert evaluate(shops, tmp_path / "run", client).fingerprint() == before
    assert store.names("scores/*.parquet")
    store.delete(store.names("scores/*.parquet")[0])
    assert se.reduce(tmp_path / "run").document["n_missing"] > 0


def test_a_run_that_was_killed_before_its_plan_has_nothing_to_reduce(tmp_path):
    RunDirectory(open_store(tmp_path)).begin({"seed": 0, "metrics": {}}, {}, {})
    with pytest.raises(
        ValueError, match="no evaluation is done, nothing to reduce; run the command"
    ):
        se.reduce(tmp_path)


@pytest.mark.slow
def test_run_json_names_what_was_run_on_what(shops, client, tmp_path):
    evaluate(shops, tmp_path / "run", client, seed=3)
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["settings"]["seed"] == 3
    assert document["settings"]["data"] == shops.content_hash
    assert set(document["models"]) == {"base_rate", "recency", "frequency", "constant"}
    assert {"numpy", "distributed", "instructions", "python"} <= set(document["versions"])
    assert document["conventions"]["roc_auc_se"].startswith("DeLong")


def test_an_unknown_setting_is_an_error_that_names_the_nearest(shops, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'horizon'"):
        se.evaluate(shops, out=tmp_path / "run", horizont="6 months")


@pytest.mark.slow
def test_one_worker_and_two_workers_give_equal_fingerprints(shops, client, tmp_path):
    chosen = [*QUICK, "rfm_logistic", "rfm_gradient_boosting", "bgnbd", models.RandomForest]
    with dask_client("local", workers=1) as single:
        one = evaluate(shops, tmp_path / "one", single, chosen)
    two = evaluate(shops, tmp_path / "two", client, chosen)
    assert not len(one.failures)
    assert one.fingerprint() == two.fingerprint()


@pytest.mark.slow
def test_a_model_that_hangs_is_a_timeout_and_the_rest_is_done(shops, client, tmp_path):
    quiet = evaluate(shops, tmp_path / "quiet", client)
    run = evaluate(shops, tmp_path / "run", client, [*QUICK, models.Hangs], timeout=3)
    lost = run.failures
    assert set(lost["status"]) == {"timeout"}
    assert set(lost["company_id"]) == {"middle"}
    rest = run.evaluations.query("model == 'hangs' and company_id != 'middle' and worker.notna()")
    assert set(rest["status"]) == {"ok"}
    same = ["company_id", "cutoff", "model", "log_loss", "roc_auc"]
    others = run.evaluations.query("model != 'hangs'")[same].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, quiet.evaluations[same])


@pytest.mark.slow
@pytest.mark.long
def test_a_model_that_takes_its_worker_down_is_killed_and_its_neighbours_are_ok(
    shops, client, tmp_path
):
    quiet = evaluate(shops, tmp_path / "quiet", client)
    run = evaluate(shops, tmp_path / "run", client, [*QUICK, models.Kills])
    lost = run.failures
    assert set(lost["status"]) == {"killed"}
    assert set(lost["company_id"]) == {"middle"}
    same = ["company_id", "cutoff", "model", "log_loss", "roc_auc"]
    others = run.evaluations.query("model != 'kills'")[same].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, quiet.evaluations[same])


def breaks(outcomes, probabilities, future_spend):
    raise KeyError("no such threshold")


def nothing(outcomes, probabilities, future_spend):
    return None


@pytest.mark.slow
def test_a_call_from_python_warns_of_each_and_the_run_names_them(shops, client, tmp_path):
    with pytest.warns(MetricWarning) as warned:
        run = se.evaluate(
            shops,
            out=tmp_path / "run",
            client=client,
            metrics=[breaks, nothing],
            last=1,
            progress=False,
        )
    sentences = [str(each.message) for each in warned if each.category is MetricWarning]
    assert [" ".join(sentence.split()[:3]) for sentence in sentences] == [
        "The metric breaks",
        "The metric nothing",
    ]
    assert "KeyError: 'no such threshold'" in sentences[0]
    assert repr(run).endswith("finished; without a value in some evaluations: breaks, nothing)")
    assert set(run.evaluations["status"]) <= {"ok", "skipped"}
    assert run.evaluations.query("status == 'ok'")["log_loss"].notna().all()
