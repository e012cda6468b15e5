"""What a saving is made of is said as it was planted: telling apart, drift, miscalibration."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.special import expit, logit

from scale_eval.report.findings import Findings
from scale_eval.report.verdict.drift import parts_of_the_saving
from scale_eval.report.verdict.support import against_the_base_rate
from tests.support.planted import Planted, planted_findings

KNOWN = 0.1

PREDICTED = {
    "right": lambda random, truth, x: truth,
    "unaware": lambda random, truth, x: expit(logit(KNOWN) + x),
    "level_alone": lambda random, truth, x: expit(
        logit(truth) - x + 0.05 * random.normal(size=len(x))
    ),
    "too_bold": lambda random, truth, x: expit(logit(truth) + 0.8 * x),
}


@cache
def findings(came: float, n_companies: int = 120, n_customers: int = 150) -> Findings:
    """Companies whose known rate is `KNOWN`, and whose customers buy at the rate `came`."""
    random = np.random.default_rng(4)
    windows = []
    for i in range(n_companies):
        x = 0.8 * random.normal(size=n_customers) - 0.25
        truth = expit(logit(came) + x)
        outcomes = random.random(n_customers) < truth
        said = {model: predicted(random, truth, x) for model, predicted in PREDICTED.items()}
        windows.append(Planted(f"company-{i:04}", outcomes, said, KNOWN))
    return planted_findings(windows)


def said(predicted: str, came: float, **sizes: int) -> str:
    return " ".join(against_the_base_rate(findings(came, **sizes), predicted))


def test_a_right_model_where_nothing_drifts_saves_by_telling_customers_apart_and_no_more_is_said():
    told = said("right", KNOWN)
    assert "Telling customers apart saves" in told
    assert "drift" not in told and "loses" not in told and "Recalibration" not in told


def test_the_loss_of_the_base_rate_by_drift_is_its_own():
    told = said("right", 0.2)
    assert "Telling customers apart saves" in told
    assert "the one known at the cutoff, which nobody could know then (drift)" in told
    assert "right loses next to nothing by miscalibration" in told


def test_a_model_that_did_not_foresee_the_drift_loses_as_much_by_it():
    told = said("unaware", 0.2)
    row = findings(0.2).periods.query("model == 'unaware'").iloc[0]
    assert row["drift"] == pytest.approx(row["miscalibration"], rel=0.15)
    assert (
        "and unaware " in told and "because its probabilities were off in level or spread" in told
    )
    assert "Recalibration would win back" in told and "if the same error comes again" in told


def test_a_level_that_was_right_is_not_called_telling_customers_apart():
    told = said("level_alone", 0.2)
    assert "Hardly any of that comes from telling customers apart." in told
    assert "(drift)" in told and "Telling customers apart saves" not in told


def test_what_boldness_costs_is_told_without_any_drift():
    told = said("too_bold", KNOWN)
    assert "Telling customers apart saves" in told and "drift" not in told
    assert "too_bold loses" in told and "Recalibration would win back" in told


def test_shares_that_are_told_are_those_that_were_planted():
    came = 0.2
    x = 0.8 * np.random.default_rng(5).normal(size=400_000) - 0.25
    truth = expit(logit(came) + x)
    rate = truth.mean()
    reference = -(rate * np.log(KNOWN) + (1 - rate) * np.log1p(-KNOWN))
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    loss = -(truth * np.log(truth) + (1 - truth) * np.log1p(-truth)).mean()
    row = findings(came).periods.query("model == 'right'").iloc[0]
    for name, planted in (("drift", reference - entropy), ("discrimination", entropy - loss)):
        assert abs(row[name] - planted) < 3 * row[f"{name}_std_error"]
    told = said("right", came)
    assert f"loses {100 * row['drift'] / row['reference_log_loss']:.0f} %" in told


@pytest.mark.parametrize("n_companies", [1, 3, 120])
@pytest.mark.parametrize("came", [KNOWN, 0.2])
@pytest.mark.parametrize("predicted", PREDICTED)
def test_nothing_is_said_that_was_not_planted(predicted, came, n_companies):
    told = said(predicted, came, n_companies=n_companies)
    if came == KNOWN:
        assert "drift" not in told
    if predicted == "right":
        assert "off in level or spread" not in told and "Recalibration" not in told
    if predicted == "level_alone":
        assert "elling customers apart saves" not in told
    else:
        assert "Hardly any" not in told
    assert "brought up to date" not in told and "saves nothing" not in told


def test_of_a_sample_it_is_said_that_the_parts_are_the_samples():
    whole = findings(0.2)
    drawn = replace(whole, document={**whole.document, "sample": 120, "population": 5000})
    told = next(parts_of_the_saving(drawn, "right"))
    assert told.startswith("In the sample, telling customers apart saves")


def test_a_saving_that_is_not_sure_is_not_taken_apart():
    few = findings(KNOWN, n_companies=6, n_customers=60)
    assert list(parts_of_the_saving(few, "too_bold")) == []
    assert list(parts_of_the_saving(findings(0.2), "base_rate")) == []
