"""What a verdict says of the companies that would settle it, and of how far a leader is flattered.

The truth is planted: companies are alike, and the models' errors are known.
"""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scale_eval.report.findings import Findings
from scale_eval.report.verdict import verdict
from scale_eval.report.verdict.power import to_settle
from scale_eval.report.verdict.selection import selection
from scale_eval.results.tables.choice_regret import CHOICE_REGRET
from tests.report.test_verdict import difference, figure, findings, two_models
from tests.support.planted import CUTOFF, like_companies, planted_findings

SETTLE = re.compile(
    r"About ([\d,]+) companies, these (\d+) among them, would settle it with a probability of "
    r"80 % \(([\d,]+|a few more) with 50 %, ([\d,]+) with 95 %\)\."
)


def pair(by: float, error: float, n: int = 60, margin: float = 0.002) -> SimpleNamespace:
    return SimpleNamespace(better_by=by, std_error=error, n=n, margin=margin)


def whole(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_number_is_said_with_its_probability_and_a_range():
    needed, n, least, most = SETTLE.fullmatch(to_settle(pair(0.0015, 0.00095))).groups()
    assert n == "60"
    assert 60 < whole(least) < whole(needed) < whole(most)
    assert all(re.fullmatch(r"\d\d0*", number) for number in (needed, least, most))


def test_a_few_more_are_not_counted():
    assert to_settle(pair(0.001, 0.0001, n=60, margin=0.0)) == (
        "A few more companies would settle it with a probability of 95 %."
    )


def test_what_no_number_of_companies_settles_is_said_in_words():
    assert to_settle(pair(0.0, 0.05, margin=0.0001)) == (
        "More companies of this kind would hardly settle it."
    )
    assert to_settle(pair(0.0, 0.0, margin=0.0)) == (
        "More companies of this kind would hardly settle it."
    )
    assert to_settle(pair(0.001, np.nan)) == "How many companies would settle it cannot be said."


def test_of_a_sample_no_more_companies_are_wanted_than_there_are():
    told = to_settle(pair(0.002, 0.006), (60, 300))
    numbers = [whole(n) for n in re.findall(r"\d[\d,]+", told.replace("80 %", ""))]
    assert "of the 300 companies, these 60 among them" in told
    assert max(numbers) <= 300


def test_an_open_verdict_says_how_many_companies_would_settle_it():
    told = verdict(two_models(0.004, 0.012))
    assert told.kind == "unknown"
    assert SETTLE.search(told.headline)


@pytest.fixture(scope="module")
def open_question() -> Findings:
    """Eight companies; `close` is a little bolder than the truth, which eight cannot show."""
    windows = like_companies(8, 60, 0.2, {"truth": 1.0, "close": 1.3}, seed=2, spread=1.0)
    return planted_findings(windows, {"log_loss": 0.002})


@pytest.mark.slow
def test_as_many_companies_as_are_said_settle_what_few_leave_open(open_question):
    told = verdict(open_question)
    found = SETTLE.search(told.headline)
    assert told.kind == "unknown" and found
    most = min(whole(found[4]), 1_500)
    windows = like_companies(most, 60, 0.2, {"truth": 1.0, "close": 1.3}, seed=2, spread=1.0)
    more = planted_findings(windows, {"log_loss": 0.002})
    known = more.pair("log_loss", "truth", "close")
    assert known.low > 0 or known.high < 0 or known.equivalent


def two_half_years(seed: int, errors: dict[str, float], n_companies: int = 25) -> Findings:
    later = CUTOFF + pd.DateOffset(months=6)
    first = like_companies(n_companies, 80, 0.2, errors, seed=seed, spread=1.0)
    second = like_companies(n_companies, 80, 0.2, errors, seed=seed + 1, spread=1.0)
    return planted_findings([*first, *(dataclasses.replace(w, cutoff=later) for w in second)])


@pytest.fixture(scope="module")
def led() -> Findings:
    return two_half_years(1, {"truth": 1.0, "high": 1.8, "low": 0.4})


def test_a_leader_is_said_to_be_picked_with_what_it_had_led_by_and_what_it_kept(led):
    told = verdict(led)
    assert told.choice == "truth"
    sentence = next(s for s in told.reservations if "was picked" in s)
    assert sentence.startswith("truth was picked from four models on these data, which ")
    row = led.choice_regret.query("cutoff.isna() and against == 'runner_up'").iloc[0]
    for name in ("promised", "kept"):
        assert f"{row[name]:.3f}".removeprefix("0") in sentence
    assert row["model_b"] in sentence and "in the last" in sentence


def test_what_a_leader_kept_is_its_true_lead(led):
    """The expected lead of the truth over a model is its divergence from the truth, known here."""
    row = led.choice_regret.query("cutoff.isna() and against == 'runner_up'").iloc[0]
    rng = np.random.default_rng(0)
    logits = np.log(0.25) + rng.normal(size=200_000)
    truth = 1 / (1 + np.exp(-logits))
    said = 1 / (1 + np.exp(-logits - np.log(1.8)))
    lead = np.mean(truth * np.log(truth / said) + (1 - truth) * np.log((1 - truth) / (1 - said)))
    assert row["model_b"] == "high"
    assert row["kept_low"] < lead < row["kept_high"]


def checked(n_cutoffs: int = 6, p: float = 0.001, **row) -> list[str]:
    """The sentences on `good`, the best of some models, by a row of `choice_regret`."""
    others = [f"other{i}" for i in range(4)]
    figures = [figure(m, "log_loss", 0.40 + 0.02 * i) for i, m in enumerate(["good", *others])]
    pairs = [
        difference("log_loss", "good", m, -0.02 * (i + 1), 0.006, mean_p_adjusted=p)
        for i, m in enumerate(others)
    ]
    given = findings(figures, pairs, cutoffs=n_cutoffs)
    if row:
        row = {"rule": "overall", "cutoff": None, "against": "runner_up", "reason": ""} | row
        regret = pd.DataFrame([row]).reindex(columns=CHOICE_REGRET.schema.names)
        given = dataclasses.replace(given, choice_regret=regret)
    return list(selection(given, "good"))


KEPT = {
    "model": "good",
    "model_b": "other0",
    "model_best": "good",
    "n_companies": 60,
    "promised": 0.021,
    "kept": 0.018,
    "kept_low": 0.012,
    "kept_high": 0.024,
    "regret": 0.0,
}


def test_a_lead_is_kept_in_part_or_not_at_all_or_whole():
    picked = "good was picked from five models on these data, which "
    assert checked(**KEPT) == [
        f"{picked}flatters it: chosen on the earlier half-years it had led other0 by .021 and kept "
        ".018 (.012 to .024) of it in the last."
    ]
    lost = KEPT | {"kept": -0.003, "kept_low": -0.009, "kept_high": 0.003}
    assert checked(**lost) == [
        f"{picked}flatters it: chosen on the earlier half-years it had led other0 by .021, and "
        "in the last other0 led by .0030 (-.0030 to .0090)."
    ]
    more = KEPT | {"kept": 0.025, "kept_low": 0.019, "kept_high": 0.031}
    assert checked(**more) == [
        f"{picked}may flatter it, but this does not show: chosen on the earlier half-years, where "
        "it led other0 by .021, it led by .025 (.019 to .031) in the last."
    ]


def test_where_few_companies_can_be_checked_it_says_so():
    (told,) = checked(**KEPT | {"n_companies": 3})
    assert "half-years at 3 of 60 companies it had led other0 by .021 and kept .018 of it" in told


def test_another_choice_on_the_earlier_half_years_is_said():
    other = KEPT | {"model": "other2", "model_best": "good", "regret": 0.004}
    assert checked(**other)[0].endswith(
        "on the earlier half-years other2 would have been picked, and in the last it was "
        "worse than good by .0040."
    )
    right = other | {"model_best": "other2", "regret": 0.0}
    assert checked(**right)[0].endswith("picked, and it was the best in the last too.")


def test_a_run_that_cannot_check_it_says_so():
    refused = {"model": None, "n_companies": 0, "reason": "no_earlier_window"}
    assert checked(1, **refused) == [
        "good was picked from five models on these data, which flatters it; with one half-year it "
        "cannot be checked by how much."
    ]
    assert "no company has an earlier half-year" in checked(**refused)[0]


def test_the_p_value_beside_a_mean_lead_is_that_of_the_mean():
    assert len(checked(**KEPT)) == 1
    assert checked(p=0.07, **KEPT)[1] == (
        "Allowing for all the comparisons, its mean lead over other0 has p = .070."
    )


def test_it_is_said_wherever_a_leader_is_named_and_nowhere_else():
    for by, half, kind in ((0.021, 0.006, "winner"), (0.0018, 0.0006, "small")):
        told = verdict(two_models(by, half))
        assert told.kind == kind
        assert any("good was picked from two models" in s for s in told.reservations)
    few = {"pair": {"sampling_std_error": 0.005, "ci_low": np.nan, "ci_high": np.nan}}
    here = verdict(two_models(0.05, 0.1, n_companies=3, **few))
    assert here.kind == "winner_here"
    assert any("was picked" in s for s in here.reservations)
    for by, half in ((0.004, 0.012), (0.0004, 0.001)):
        assert not any("was picked" in s for s in verdict(two_models(by, half)).sentences)
