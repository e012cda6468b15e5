"""Which model for which use, with planted truth: probabilities, and whom to choose."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from scale_eval.report.findings import Findings
from scale_eval.report.verdict import Verdict, verdict
from tests.support.planted import Planted, planted_findings

RATE = 0.15


def said(
    random: np.random.Generator, logits: np.ndarray, error: float, noise: float, bold: float = 1.0
) -> np.ndarray:
    """Return probabilities that err in level, blur the order of customers, or are too bold."""
    blurred = logits + noise * random.normal(size=len(logits))
    return expit(logit(RATE) + bold * (blurred - logit(RATE)) + error)


@cache
def findings(
    n_companies: int, errors: tuple[tuple[str, float, float], ...], one: str = ""
) -> Findings:
    """Companies of 1,500 customers; by model, its error in level and the noise in its order.

    At the company `one` the first model ranks customers the wrong way round.
    """
    random = np.random.default_rng(11)
    windows = []
    for i in range(n_companies):
        company = f"shop-{i:03}"
        logits = logit(RATE) + random.normal(size=1_500)
        outcomes = random.random(len(logits)) < expit(logits)
        models = {name: said(random, logits, *rest) for name, *rest in errors}
        if company == one:
            models[errors[0][0]] = said(random, logits, 0.0, 0.0, bold=-0.3)
        windows.append(Planted(company, outcomes, models, RATE))
    return planted_findings(windows)


RANKS = ("ranks_and_lies", 1.2, 0.0)
CALM = ("calm", 0.0, 0.5)
HONEST = ("honest", 0.0, 2.5)


@pytest.mark.parametrize("n_companies", [3, 12])
def test_a_model_that_ranks_well_and_lies_is_for_choosing_customers_only(n_companies):
    told = verdict(findings(n_companies, (RANKS, CALM)))
    assert told.choices["probabilities"] == "calm"
    assert told.choices["customers"] == "ranks_and_lies"
    (sentence,) = (s for s in told.uses if s.startswith("To choose customers"))
    assert sentence.startswith("To choose customers, take ranks_and_lies, not calm: the tenth")
    assert "Probabilities of ranks_and_lies are too high" in " ".join(told.support)


@pytest.mark.parametrize("n_companies", [3, 12])
def test_a_leader_that_lies_about_its_probabilities_is_not_to_be_taken_at_its_word(n_companies):
    told = verdict(findings(n_companies, (("sharp", 0.5, 0.0), HONEST)))
    assert told.choices == {"probabilities": "sharp", "customers": "sharp"}
    assert told.uses[0].startswith("The probabilities of sharp cannot be taken at their word")
    assert "Recalibrate them before they are used as rates." in told.uses[0]
    assert any(s.startswith("sharp also chooses customers best") for s in told.uses)


def test_probabilities_that_are_right_can_be_taken_at_their_word():
    told = verdict(findings(40, (("right", 0.0, 0.0), HONEST)))
    assert told.uses[0].startswith("The probabilities of right can be taken at their word")
    few = verdict(findings(3, (("right", 0.0, 0.0), HONEST)))
    assert "cannot be taken at their word" not in " ".join(few.sentences)


@pytest.mark.parametrize("n_companies", [3, 12])
def test_one_company_against_the_rest_is_named(n_companies):
    told = verdict(findings(n_companies, (("right", 0.0, 0.0), ("other", 0.0, 0.9)), "shop-001"))
    text = " ".join(told.sentences)
    assert "At shop-001 the tenth of customers that right ranks highest holds" in text
    assert "one at random would hold 10 %" in text or "a tenth drawn at random" in text
    row = told.companies.set_index("company_id").loc["shop-001"]
    assert row["best"] != "right"
    assert "top tenth by right holds" in row["remarks"]
    others = told.companies.query("company_id != 'shop-001'")
    assert (others["best"] == "right").all() and not others["remarks"].str.contains("tenth").any()


def test_among_many_companies_those_that_fail_beyond_chance_are_counted_and_named():
    told = verdict(findings(40, (("right", 0.0, 0.0), ("other", 0.0, 0.9)), "shop-001"))
    text = " ".join(told.uses)
    assert "At shop-001 the tenth of customers" in text and "shop-002" not in text
    assert told.companies.empty


def test_where_chance_alone_makes_the_difference_no_model_is_said_to_choose_better():
    same = (("one", 0.0, 1.0), ("two", 0.0, 1.0))
    for n_companies in (3, 12):
        told = verdict(findings(n_companies, same))
        assert "To choose customers, take" not in " ".join(told.uses)


def test_the_leader_is_compared_with_each_serious_rival_and_says_against_whom():
    told = verdict(
        findings(3, (("right", 0.0, 0.0), ("next", 0.0, 1.0), ("far", 0.0, 1.5)), "shop-001")
    )
    assert told.kind == "split" or " better than " in told.headline
    compared = [s for s in told.support if s.startswith("Against ")]
    assert compared and all("companies" in s for s in compared[:1])
    assert any("shop-001 by" in s for s in [*told.support, told.headline])


def test_a_metric_that_decides_orders_the_models_and_is_named_in_the_headline():
    given = findings(12, (RANKS, CALM))
    by_loss = verdict(given)
    assert by_loss.choice == "calm" and "log loss lower by" in by_loss.headline
    by_auc = verdict(deciding(given, "roc_auc"))
    assert by_auc.choice == "ranks_and_lies" and "AUC higher by" in by_auc.headline
    by_ratio = deciding(given, "observed_expected_ratio")
    assert by_ratio.models[0] == "calm"


def deciding(given: Findings, metric: str) -> Findings:
    return replace(given, document={**given.document, "primary": metric})


def test_which_company_has_which_best_model_agrees_with_the_evaluations():
    given = findings(3, (RANKS, CALM))
    told: Verdict = verdict(given)
    rows = given._evaluations.to_pandas()
    losses = rows.pivot(index="company_id", columns="model", values="log_loss")
    best = told.companies.set_index("company_id")
    pd.testing.assert_series_equal(
        best["best"], losses.idxmin(axis=1), check_names=False, check_dtype=False
    )
    second = losses.apply(lambda row: row.nsmallest(2).diff().iloc[1], axis=1)
    np.testing.assert_allclose(best["better_by"], second, rtol=1e-12)


def test_a_few_companies_where_another_model_is_surely_better_are_named_with_it():
    given = findings(3, (("right", 0.0, 0.0), ("other", 0.0, 0.5)), "shop-001")
    told, best = verdict(given), given.models[0]
    assert set(told.companies["best"]) != {best}
    rows = told.companies.set_index("company_id")
    for company, row in rows.iterrows():
        named = any(s.startswith(f"At {company} {row['best']} is better") for s in told.uses)
        assert named == (row["best"] != best and row["ci_low"] > 0 and row["second"] == best)


def test_who_is_ahead_by_one_company_alone_is_told_so():
    told = verdict(findings(3, (("right", 0.0, 0.0), ("other", 0.0, 0.9)), "shop-001"))
    (sentence,) = (s for s in told.uses if "chooses customers" in s or "To choose" in s)
    if sentence.startswith("To choose customers, take"):
        assert "By spend it is ahead at" in sentence


def test_the_choice_for_probabilities_is_by_the_log_loss_whatever_decides():
    given = findings(12, (RANKS, CALM))
    by_auc = verdict(deciding(given, "roc_auc"))
    assert by_auc.choice == "ranks_and_lies"
    assert by_auc.choices["probabilities"] == "calm" == verdict(given).choice
