"""Runs of a sample of the companies: what is drawn, that it grows, what it says of all of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import scale_eval as se
from scale_eval.planning.company_sample import SamplingFrame
from scale_eval.results.directory import RunDiffers

MODELS = ["base_rate", "recency", "rfm_logistic"]
VALUE = "estimand == 'equal_company' and coverage == 'common' and figure == 'value'"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Three hundred small companies."""
    place = tmp_path_factory.mktemp("many") / "dataset"
    return se.synthesize(
        place, companies=300, seed=5, median_customers=60, sigma=0.9, observed_whole=True
    )


def evaluate(dataset, out, client, **choices):
    choices = {"last": 2, "observed_until": "2024-07-01", "progress": False, **choices}
    return se.evaluate(dataset, MODELS, out=out, client=client, **choices)


@pytest.fixture(scope="module")
def whole(many, client, tmp_path_factory):
    return evaluate(many, tmp_path_factory.mktemp("whole") / "run", client)


def test_a_sample_evaluates_its_companies_and_no_other(many, client, tmp_path):
    run = evaluate(many, tmp_path / "run", client, sample=80)
    drawn = SamplingFrame(many.manifest_table, 0).sample(80).company_ids
    assert sorted(set(run.evaluations["company_id"])) == drawn
    assert run.directory.document["population"] == 300


def test_the_verdict_of_a_sample_speaks_of_all_companies_and_says_so(many, client, tmp_path):
    run = evaluate(many, tmp_path / "run", client, sample=120)
    assert any(s.startswith("Of 300 companies 120 were sampled") for s in run.verdict.sentences)
    said = run.sampled.query(VALUE + " and model_b.isna() and metric == 'log_loss'")
    shown = run.findings.leaderboard()["log_loss"]
    assert shown.to_dict() == said.set_index("model")["value"].to_dict()
    assert (
        shown.to_dict()
        != run.pooled.query(
            "metric == 'log_loss' and estimand == 'equal_company' and coverage == 'common'"
            " and cutoff.isna()"
        )
        .set_index("model")["value"]
        .to_dict()
    )
    assert run.report().stat().st_size < 2_000_000


def test_a_sample_says_how_many_companies_settle_which_model_is_better(many, client, tmp_path):
    run = evaluate(many, tmp_path / "run", client, sample=80)
    options = {"last": 2, "observed_until": "2024-07-01", "power": run.path}
    whole, sample = (se.preview(many, MODELS, **options, **n).power for n in ({}, {"sample": 160}))
    best = run.findings.models[0]
    assert (whole["model"] == best).all()
    assert set(whole["model_b"]) == set(MODELS) - {best}
    for told in (whole, sample):
        assert told["among_them"].all()
        assert (told["companies_50"] <= told["companies_95"]).all()
        assert told.loc[told["settled"], "probability"].min() > 0.5
    shown = run.sampled.query(VALUE + " and model_b.notna() and metric == 'log_loss'")
    shown = shown[(shown[["model", "model_b"]] == best).any(axis=1)]
    assert sorted(whole["lead"]) == pytest.approx(sorted(shown["value"].abs()))
    assert sample["n_planned"].max() <= 160 < whole["n_planned"].min()


@pytest.mark.long
def test_a_larger_sample_goes_on_from_a_smaller_one_as_if_it_had_been_asked_for_at_once(
    many, client, tmp_path
):
    grown = evaluate(many, tmp_path / "grown", client, sample=70)
    before = grown.evaluations.set_index(["company_id", "cutoff", "model"])["evaluated_at"]
    grown = evaluate(many, tmp_path / "grown", client, sample=110)
    after = grown.evaluations.set_index(["company_id", "cutoff", "model"])["evaluated_at"]
    assert (after.loc[before.index] == before).all()  # what was done stands
    at_once = evaluate(many, tmp_path / "at_once", client, sample=110)
    assert grown.fingerprint() == at_once.fingerprint()


def test_the_figures_of_all_companies_lie_in_the_intervals_of_a_sample(
    many, client, whole, tmp_path
):
    run = evaluate(many, tmp_path / "run", client, sample=150)
    said = run.sampled.query(VALUE + " and model_b.isna()").set_index(["metric", "model"])
    truth = whole.pooled.query(
        "estimand == 'equal_company' and coverage == 'common' and cutoff.isna()"
    ).set_index(["metric", "model"])["value"]
    held = said.join(truth.rename("truth")).dropna(subset=["ci_low", "truth"])
    inside = (held["ci_low"] <= held["truth"]) & (held["truth"] <= held["ci_high"])
    assert len(held) > 20
    assert inside.mean() > 0.75  # figures of one sample are right or wrong together


def test_a_sample_of_all_companies_says_what_a_run_of_all_says(many, client, whole, tmp_path):
    run = evaluate(many, tmp_path / "run", client, sample=300)
    said = run.sampled.query(VALUE + " and model_b.isna()").set_index(["metric", "model"])
    truth = whole.pooled.query(
        "estimand == 'equal_company' and coverage == 'common' and cutoff.isna()"
    ).set_index(["metric", "model"])["value"]
    both = said.join(truth.rename("truth"))
    assert np.allclose(both["value"], both["truth"], rtol=1e-6, equal_nan=True)
    assert (both["ci_high"] - both["ci_low"]).max() < 1e-9


def test_companies_are_added_until_the_interval_is_as_narrow_as_asked(many, client, tmp_path):
    first = evaluate(many, tmp_path / "run", client, sample=66)
    row = first.sampled.query(
        VALUE + " and metric == 'log_loss' and model == 'recency' and model_b.isna()"
    )
    wide = float((row["ci_high"] - row["ci_low"]).item()) / 2
    run = evaluate(many, tmp_path / "run", client, sample=66, until_half_width=0.6 * wide)
    rows = run.sampled.query(VALUE + " and metric == 'log_loss' and model_b.isna()")
    assert ((rows["ci_high"] - rows["ci_low"]) / 2 <= 0.6 * wide).all()
    assert 66 < run.directory.document["sample"] <= 300


def test_a_run_of_all_companies_takes_no_sample_and_a_sample_not_all(many, client, whole, tmp_path):
    with pytest.raises(RunDiffers, match="holds a run of all companies"):
        evaluate(many, whole.path, client, sample=80)
    evaluate(many, tmp_path / "run", client, sample=66)
    with pytest.raises(RunDiffers, match="a sample of 66 companies"):
        evaluate(many, tmp_path / "run", client)
    with pytest.raises(ValueError, match="too small for its intervals"):
        evaluate(many, tmp_path / "tiny", client, sample=3)


def test_one_model_for_all_companies_is_evaluated_like_any_other(many, client, tmp_path):
    run = se.evaluate(
        many,
        ["rfm_logistic", "global_rfm_logistic"],
        out=tmp_path / "run",
        client=client,
        progress=False,
        last=2,
        observed_until="2024-07-01",
        granularity="batch",
    )
    rows = run.evaluations.query("model == 'global_rfm_logistic'")
    refused = set(rows.query("status == 'skipped'")["reason"])
    assert refused <= {"no_whole_window", "too_few_customers", "gap_in_data"}
    ok = rows.query("status == 'ok'")
    assert ok["note"].str.fullmatch(r"one model of \d+ companies").all()
    assert len(run.directory.document["fitted"]) == 2  # one a cutoff
    small = run.comparisons.query(
        "metric == 'log_loss' and estimand == 'equal_company' and stratum == '1 to 99 customers'"
        " and model_a == 'global_rfm_logistic' and model_b == 'rfm_logistic'"
    )
    assert small["mean_difference"].item() < 0  # small companies borrow strength


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"until_half_width": 0.01}, "say with how many to begin"),
        ({"sample": 80, "until_half_width": 0.0}, "a number above 0"),
        ({"sample": 80, "until_half_width": 0.1, "until_metric": "log_lose"}, "mean 'log_loss'"),
        ({"sample": True}, "a whole number"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_before_anything_is_written(
    many, client, tmp_path, choices, message
):
    with pytest.raises(ValueError, match=message):
        evaluate(many, tmp_path / "run", client, **choices)
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_sample_stops_growing_where_samples_may_be_no_larger(many, client, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["scale_eval.planning.company_sample"], "LARGEST_SAMPLE", 90)
    run = evaluate(many, tmp_path / "run", client, sample=70, until_half_width=1e-9)
    assert run.directory.document["sample"] == 90
    assert run.finished
