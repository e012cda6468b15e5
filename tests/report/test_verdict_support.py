"""What supports a verdict is held against planted truth: no sentence contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from scale_eval.report.findings import Findings
from scale_eval.report.verdict import verdict
from scale_eval.report.verdict.at_their_word import at_their_word
from scale_eval.report.verdict.half_year import differs_in_latest, holds_in_latest
from scale_eval.report.verdict.next_company import next_company, one_window
from scale_eval.report.verdict.rivals import rivals
from scale_eval.report.verdict.support import against_the_base_rate
from scale_eval.report.verdict.whom import choose_whom
from tests.support.planted import CUTOFF, Planted, planted_findings

Saying = Callable[[np.ndarray, int, int], Mapping[str, np.ndarray]]
"""What models say of logits of true probabilities, at a company and a half-year."""


def half_year(j: int) -> pd.Timestamp:
    return CUTOFF + pd.DateOffset(months=6 * j)


def plant(
    sizes: list[int], says: Saying, *, half_years: int = 1, level: float = -1.5, seed: int = 1
) -> Findings:
    """Draw companies of these sizes; logits of their customers are normal around `level`."""
    rng = np.random.default_rng(seed)
    windows = []
    for i, n in enumerate(sizes):
        for j in range(half_years):
            logits = level + rng.normal(size=n)
            bought = rng.random(n) < expit(logits)
            said = {model: expit(at) for model, at in says(logits, i, j).items()}
            rate = float(expit(logits).mean())
            windows.append(Planted(f"company-{i:04}", bought, said, rate, half_year(j)))
    return planted_findings(windows)


@pytest.fixture(scope="module")
def giants() -> Findings:
    """`at_giants` is right at ten companies of 6,000 customers, `at_others` at 90 of 150."""
    return plant(
        [6_000] * 10 + [150] * 90,
        lambda logits, i, _: {
            "at_giants": logits + (0.6 if i >= 10 else 0.0),
            "at_others": logits + (0.6 if i < 10 else 0.0),
        },
    )


@pytest.fixture(scope="module")
def worse() -> Findings:
    """Three models are far off, one knows as much as the base rate, one is right."""
    return plant(
        [500] * 60,
        lambda logits, i, _: {
            "right": logits,
            "high": logits + 1.2,
            "higher": logits + 1.6,
            "low": logits - 1.8,
            "constant": np.full(len(logits), logit(0.2243 + 0.002 * (-1) ** i)),
        },
    )


@pytest.fixture(scope="module")
def changing() -> Findings:
    """`old` is right in three half-years and off in the last, `new` the other way round."""
    return plant(
        [200] * 40,
        lambda logits, _, j: {
            "old": logits + (0.8 if j == 3 else 0.0),
            "new": logits + (0.0 if j == 3 else 0.7),
        },
        half_years=4,
    )


def test_a_model_better_at_giants_only_is_said_to_be_better_there_and_over_all_customers(giants):
    assert giants.models[0] == "at_others"
    (sentence,) = (s for s in rivals(giants, "at_others") if "at_giants" in s)
    assert sentence.startswith("In favour of at_giants over at_others: over all customers pooled")
    assert ", if no company is larger than those seen" in sentence
    assert "at the ten companies of 1,000 to 9,999 customers its log loss is lower by" in sentence
    assert "so choose it there" in sentence
    assert "100 to 999" not in sentence  # there it is worse, in truth
    assert "beyond doubt" not in sentence and "it was better at" not in sentence
    assert sum("In favour of at_giants" in s for s in verdict(giants).support) == 1


def test_models_that_rank_alike_are_not_said_to_rank_differently(giants):
    model, (sentence,) = choose_whom(giants, "at_others")
    assert model == "at_others" and "at_giants ranks them as well" in sentence
    assert "chooses customers best" not in sentence


def test_a_model_that_truly_ranks_better_is_said_to():
    findings = plant(
        [400] * 60,
        lambda logits, *_: {
            "sharp": 0.4 * logits - 1.4,  # it knows the order, and is off in level and spread
            "dull": 0.6 * (logits + 1.5) - 1.4 + np.random.default_rng(2).normal(size=len(logits)),
            "best": logits + 0.9 * np.random.default_rng(3).normal(size=len(logits)),
        },
    )
    assert findings.models[0] == "sharp"
    model, (sentence,) = choose_whom(findings, "sharp")
    assert model == "sharp" and sentence.startswith("sharp also chooses customers best: ")
    flipped = plant(
        [400] * 60,
        lambda logits, *_: {
            "order": logits + 1.5,
            "level": logits + 0.8 * np.random.default_rng(3).normal(size=len(logits)),
        },
    )
    assert flipped.models[0] == "level"
    model, (sentence,) = choose_whom(flipped, "level")
    assert model == "order"
    assert sentence.startswith("To choose customers, take order, not level: the tenth of customers")
    assert "(more by" in sentence and "chooses customers best" not in sentence


def test_a_model_that_wins_at_most_companies_is_weighed_against_the_leader():
    findings = plant(
        [600] * 90,
        lambda logits, i, _: {
            "mean": logits + 0.35,
            "majority": logits + (3.0 if i % 6 == 0 else 0.0),
        },
    )
    assert findings.models[0] == "mean"
    (sentence,) = (s for s in rivals(findings, "mean") if "majority" in s)
    assert "it was better at" in sentence and "mostly chance" not in sentence
    pair = findings.pair("log_loss", "majority", "mean")
    assert pair is not None and pair.wins > 0.5 * pair.n > pair.losses  # in truth five of six


def test_wins_that_chance_hands_out_are_not_held_against_the_leader_as_sure():
    """With few buyers, most companies have none, and there the lower prediction looks better."""
    findings = plant(
        [12] * 300,
        lambda logits, *_: {"right": logits, "low": logits - 1.2},
        level=-4.0,
    )
    pair = findings.pair("log_loss", "low", "right")
    assert pair is not None and pair.wins > pair.losses  # in truth `right` is better everywhere
    for sentence in rivals(findings, "right"):
        if "low" in sentence and "it was better at" in sentence:
            assert "though not beyond doubt" in sentence and "mostly chance" in sentence


def test_every_model_worse_than_the_base_rate_is_named_and_none_that_is_not(worse):
    told = list(against_the_base_rate(worse, "right"))
    assert told[-2] == "Worse than that base rate: high, low and higher."
    assert told[-1] == "Not shown to be better than that base rate: constant."
    rows = worse.models
    assert rows[0] == "right" and rows.index("base_rate") < rows.index("high")


def test_a_difference_below_the_margin_is_enough_to_be_worse():
    findings = plant(
        [2_000] * 60,
        lambda logits, *_: {"right": logits, "hardly": np.full(len(logits), logit(0.2243) + 0.12)},
    )
    pair = findings.pair("log_loss", "hardly", "base_rate")
    assert pair is not None and pair.high < 0 and -pair.better_by < pair.margin
    assert "Worse than that base rate: hardly." in list(against_the_base_rate(findings, "right"))


def test_a_leader_that_changes_in_the_latest_half_year_is_a_reservation(changing):
    told = verdict(changing)
    (sentence,) = (s for s in told.reservations if "latest half-year" in s)
    assert sentence.startswith(
        "In the latest half-year evaluated (from 2021-07-01, all 40 companies) new leads: its "
        "log loss there is"
    )
    assert "beyond doubt" not in sentence
    assert not any("also leads" in s for s in told.sentences)


def test_a_leader_that_stays_is_confirmed_in_one_sentence():
    findings = plant([200] * 30, lambda logits, *_: {"a": logits, "b": logits + 0.8}, half_years=3)
    assert list(holds_in_latest(findings, "a")) == [
        "a also leads in the latest half-year evaluated (from 2021-01-01, all 30 companies)."
    ]
    assert not list(differs_in_latest(findings, "a", is_choice=True))


def test_the_latest_half_year_is_one_that_most_companies_share():
    rng = np.random.default_rng(4)
    windows = []
    for i in range(30):
        for j in [0, 1, *([2] if i < 10 else [])]:
            logits = -1.5 + rng.normal(size=200)
            said = {
                "early": logits + (0.0 if j == 0 else 0.6),
                "late": logits + (1.2 if j == 0 else 0.0),
            }
            bought = rng.random(200) < expit(logits)
            said = {model: expit(at) for model, at in said.items()}
            windows.append(Planted(f"company-{i:04}", bought, said, 0.22, half_year(j)))
    findings = planted_findings(windows)
    assert findings.models[0] == "early"
    (sentence,) = differs_in_latest(findings, "early", is_choice=True)
    assert "that was" not in sentence
    assert "(from 2020-07-01, all 30 companies) late leads" in sentence


def test_where_no_half_year_is_shared_the_verdict_says_so():
    rng = np.random.default_rng(5)
    windows = []
    for i in range(20):
        logits = -1.5 + rng.normal(size=300)
        said = {"a": expit(logits), "b": expit(logits + 0.5)}
        at = CUTOFF + pd.DateOffset(months=i)
        windows.append(Planted(f"c{i:05}", rng.random(300) < expit(logits), said, 0.22, at))
    findings = planted_findings(windows)
    (sentence,) = differs_in_latest(findings, "a", is_choice=True)
    assert sentence.startswith(
        "No half-year is shared by most companies: there are 20 cutoffs from 2020-01 to 2021-08, "
        "none of them of more than 1 of 20 companies"
    )
    assert not list(holds_in_latest(findings, "a"))
    said_of_next = " ".join(next_company(findings, "a"))
    assert "in one half-year, as each company was seen in one" in said_of_next


def test_without_a_choice_only_a_sure_lead_in_the_latest_half_year_is_a_reservation(changing):
    assert list(differs_in_latest(changing, "old", is_choice=False))
    rows = changing.periods.copy()
    rows["behind_leader_high"] = 0.01  # not sure any more
    doubtful = replace(changing, periods=rows)
    assert not list(differs_in_latest(doubtful, "old", is_choice=False))
    (sentence,) = differs_in_latest(doubtful, "old", is_choice=True)
    assert "which is not beyond doubt" in sentence


@pytest.mark.slow
def test_the_next_company_is_spoken_of_against_every_model_that_could_be_better_there():
    def says(logits: np.ndarray, i: int, _: int) -> dict[str, np.ndarray]:
        off = np.random.default_rng(i).normal(size=3)
        return {
            "a": logits + 0.5 * off[0],
            "b": logits + 0.6 * off[1],
            "c": logits + 0.7 * off[2],
            "hopeless": logits + 3.0,
        }

    findings = plant([1_500] * 60, says)
    best = findings.models[0]
    *_, sentence = next_company(findings, best)
    for other in {"a", "b", "c"} - {best}:
        assert f"than {other}" in sentence
    assert "than hopeless" not in sentence and "with 5 % at most" in sentence


def ranked(k: int, j: int, company: float, cutoff: float, both: float, seed: int) -> Findings:
    """Draw companies whose true logit AUCs are normal: a mean, a company, a half-year, and both.

    Scores of buyers are normal around d, of others around 0: the true AUC is Phi(d / sqrt 2).
    """
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    of_company, of_cutoff = rng.normal(0, company, k), rng.normal(0, cutoff, j)
    windows = []
    for i in range(k):
        for c in range(j):
            auc = expit(1.0 + of_company[i] + of_cutoff[c] + rng.normal(0, both))
            bought = rng.random(400) < 0.25
            scores = rng.normal(size=400) + np.sqrt(2) * norm.ppf(auc) * bought
            said = {"ranks": expit(scores - 2.0)}
            windows.append(Planted(f"company-{i:04}", bought, said, 0.25, half_year(c)))
    return planted_findings(windows)


def test_one_half_year_of_the_next_company_is_less_sure_than_its_mean():
    findings = ranked(30, 6, 0.2, 0.2, 0.2, seed=6)
    row = findings.figure("roc_auc", "ranks")
    rows = findings.pooled.copy()
    nobody = rows[rows["cutoff"].notna()].iloc[:1].assign(n_heterogeneity=np.nan, metric="roc_auc")
    nobody = nobody.assign(model="ranks", coverage="common", estimand="equal_company")
    findings = replace(findings, pooled=pd.concat([rows, nobody], ignore_index=True))
    single = one_window(findings, "ranks", row)
    assert single is not None
    assert single[0] < row["prediction_low"] < row["prediction_high"] < single[1]
    (sentence,) = (s for s in next_company(findings, "ranks") if "AUC" in s)
    assert "averaged over its half-years, and between" in sentence
    assert "in any one of them (judged by 30 companies)" in sentence
    width = np.diff(logit(np.array(single)))[0] / (2 * 1.96)
    assert 0.8 * np.sqrt(3 * 0.2**2) < width < 2.0 * np.sqrt(3 * 0.2**2)


def test_where_half_years_cannot_be_told_apart_one_may_differ_by_more():
    findings = ranked(20, 2, 0.2, 0.2, 0.1, seed=7)
    assert one_window(findings, "ranks", findings.figure("roc_auc", "ranks")) is None
    (sentence,) = (s for s in next_company(findings, "ranks") if "AUC" in s)
    assert "averaged over its half-years, of which any one may differ by more" in sentence


def test_a_figure_of_fewer_companies_says_of_how_many():
    findings = plant(
        [400] * 20 + [4] * 40, lambda logits, *_: {"a": logits, "b": logits + 0.9}, level=-2.5
    )
    row = findings.figure("roc_auc", "a")
    n = int(row["n_companies_defined"])
    assert 20 <= n < 60
    _, (sentence,) = choose_whom(findings, "a")
    assert f"at {n} of 60 companies" in sentence
    (of_next,) = (s for s in next_company(findings, "a") if "AUC" in s)
    assert "judged by 20 of 60 companies, those with enough buyers" in of_next


@pytest.mark.slow
def test_one_company_by_itself_proves_no_miscalibration():
    for seed in range(5):
        right = plant([120], lambda logits, *_: {"right": logits}, seed=seed)
        assert not [s for s in at_their_word(right, "right") if "cannot" in s]


def test_long_names_are_short_in_every_sentence_and_the_choice_is_whole():
    whole = "predictions:/a/long/path/to/forecasts/spring.parquet"
    findings = plant(
        [300] * 20,
        lambda logits, *_: {whole: logits, "shop.models.lapsed:Lapsed": logits + 1.0},
        half_years=2,
    )
    told = verdict(findings)
    assert told.choice == whole
    assert not any("predictions:" in s or "shop.models" in s for s in told.sentences)
    assert any("spring" in s for s in told.support) and any("Lapsed" in s for s in told.support)
