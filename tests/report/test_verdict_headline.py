"""The headline says nothing that the planted truth contradicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy import stats

from scale_eval.report.findings import Findings
from scale_eval.report.nothing_to_judge import nothing_to_judge
from scale_eval.report.page import page
from scale_eval.report.verdict import Verdict, verdict
from scale_eval.report.wording import listed
from tests.report.test_verdict import difference, figure, findings, two_models
from tests.support.planted import Planted, planted_findings

TRUE, OFF, WRONG = 1.0, 1.6, 14.0
"""Factors of the true odds: of a model that is right, one that is a little off, one that fails."""


def companies(
    n_companies: int,
    n_customers: int,
    errors: Callable[[int], Mapping[str, float]],
    rate: float = 0.1,
    spread: float = 1.0,
) -> list[Planted]:
    """Companies where each model multiplies the true odds by its own factor at each company."""
    rng = np.random.default_rng(11)
    windows = []
    for i in range(n_companies):
        logits = np.log(rate / (1 - rate)) + spread * rng.normal(size=n_customers)
        said = {m: 1 / (1 + np.exp(-logits) / factor) for m, factor in errors(i).items()}
        outcomes = rng.random(n_customers) < 1 / (1 + np.exp(-logits))
        windows.append(Planted(f"company-{i:06}", outcomes, said, rate))
    return windows


def told_of(windows: list[Planted]) -> Verdict:
    return verdict(planted_findings(windows))


class TestEqual:
    @pytest.mark.slow
    def test_equal_on_average_is_not_equal_at_each_company(self):
        half = [{"a": TRUE, "b": OFF}, {"a": OFF, "b": TRUE}]
        told = told_of(companies(120, 300, lambda i: half[i % 2]))
        assert (told.kind, told.choice) == ("equal_on_average", None)
        assert "are equal on average, not at each company" in told.headline
        assert "One model a company may pay." in told.headline
        shares = [int(p) for p in re.findall(r"(?:of|with) (\d+) %", told.headline)]
        assert len(shares) == 2 and all(25 < share <= 50 for share in shares)  # truly 50 and 50

    def test_models_that_hardly_differ_anywhere_are_equal_for_any_practical_purpose(self):
        told = told_of(companies(150, 300, lambda i: {"a": 1.1, "b": 1 / 1.1}))
        assert told.kind == "equal"
        assert "equal for any practical purpose" in told.headline

    @pytest.mark.parametrize(
        ("pair", "kind", "words"),
        [
            ({"probability_a_better_by_margin": 0.02}, "equal", "for any practical purpose"),
            ({"probability_a_better_by_margin": 0.07}, "equal_on_average", "perhaps not at each"),
            ({"probability_a_better_by_margin": 0.55}, "equal_on_average", "not at each company"),
        ],
    )
    def test_the_next_company_decides_whether_single_companies_are_equal(self, pair, kind, words):
        nearly = {"probability_b_better_by_margin": 0.02, "n_heterogeneity": 60, **pair}
        told = verdict(two_models(0.0004, 0.001, pair=nearly))
        assert told.kind == kind and words in told.headline

    def test_without_a_prediction_ties_at_nearly_all_companies_are_needed(self):
        told = verdict(two_models(0.0004, 0.001))
        assert told.kind == "equal_on_average"
        assert "good was better by more than that at 83 % of them and weak at 8 %" in told.headline

    def test_a_prediction_from_a_few_of_the_companies_is_not_enough(self):
        few = {"probability_a_better_by_margin": 0.01, "probability_b_better_by_margin": 0.01}
        told = verdict(two_models(0.0004, 0.001, pair={**few, "n_heterogeneity": 12}))
        assert told.kind == "equal_on_average" and "(by 12 of 60 companies)" in told.headline


class TestMeanAndMajority:
    def test_a_model_that_fails_badly_at_a_few_companies_needs_a_guard(self):
        told = told_of(companies(120, 300, lambda i: {"a": OFF, "b": TRUE if i % 12 else WRONG}))
        assert (told.kind, told.choice) == ("split", None)
        assert re.match(r"b is better at \d\d % of 120 companies", told.headline)
        assert "and fails badly at 10 (worse by" in told.headline  # at so many it was planted
        assert "On average a is better by" in told.headline
        assert "Choose b only with a guard against such companies; without one, a." in told.headline

    def test_a_model_that_is_far_ahead_at_a_few_companies_is_for_these(self):
        def errors(i):
            return {"a": OFF, "b": TRUE} if i % 12 else {"a": TRUE, "b": TRUE}

        windows = companies(120, 300, errors)
        for i in range(0, 120, 12):  # there `a` has seen what nobody else has
            outcomes = windows[i].outcomes
            known = np.where(outcomes, 0.9, 0.02)
            windows[i] = Planted(
                windows[i].company, outcomes, {"a": known, "b": known * 0 + 0.1}, 0.1
            )
        told = told_of(windows)
        assert told.kind == "split" and "and is far behind at 10 (worse by" in told.headline
        assert "choose a for them, else b." in told.headline

    def test_where_the_mean_is_not_known_the_majority_is_still_said(self):
        told = told_of(companies(60, 300, lambda i: {"a": OFF, "b": TRUE if i % 20 else WRONG}))
        assert told.kind == "split" and "fails badly at three" not in told.headline
        assert "fails badly at 3 (" in told.headline
        assert "On average it is not known whether a is better" in told.headline
        assert told.headline.endswith("Choose b only with a guard against such companies.")

    def test_among_few_buyers_chance_favours_the_model_that_says_less_and_is_not_believed(self):
        windows = companies(300, 20, lambda i: {"a": TRUE, "b": 0.4}, rate=0.02)
        given = planted_findings(windows)
        pair = given.pair("log_loss", "a", "b")
        assert pair.losses > 1.2 * pair.wins  # most companies have no buyer, and favour `b`
        told = verdict(given)
        assert (told.kind, told.choice) == ("winner", "a")
        assert "as chance has it where buyers are few" in told.headline

    def test_a_winner_is_said_to_fail_where_it_does(self):
        told = told_of(companies(120, 300, lambda i: {"a": TRUE if i % 40 else WRONG}))
        assert told.choice == "a" and re.search(r", worse at [2-4] % by \.[3-6]", told.headline)

    def test_a_heavy_tailed_difference_names_nobody(self):
        tails = np.random.default_rng(3).standard_t(1.2, size=150)
        told = told_of(
            companies(
                150,
                200,
                lambda i: {
                    "a": float(np.exp(0.5 * max(tails[i], 0))),
                    "b": float(np.exp(0.5 * max(-tails[i], 0))),
                },
            )
        )
        assert told.choice not in ("a", "b")

    def test_a_next_company_that_favours_the_other_is_the_headline(self):
        favours_weak = {"probability_a_better": 0.39, "n_heterogeneity": 300}
        told = verdict(two_models(0.021, 0.006, pair=favours_weak, n_companies=300))
        assert (told.kind, told.choice) == ("split", None)
        assert "at the next company weak is better with a probability of 61 %" in told.headline
        assert "Choose" not in told.headline

    @pytest.mark.parametrize(("p", "kind"), [(0.3, "unknown"), (0.05, "split")])
    def test_where_the_mean_is_not_known_the_next_company_must_be_sure(self, p, kind):
        unsure = {"probability_a_better": p, "n_heterogeneity": 60}
        told = verdict(two_models(0.004, 0.012, pair=unsure))
        assert (told.kind, told.choice) == (kind, None)
        assert ("probability of 95 %" in told.headline) == (kind == "split")

    def test_a_next_company_that_may_favour_the_other_by_chance_is_said_beside_the_choice(self):
        told = verdict(
            two_models(0.021, 0.006, pair={"probability_a_better": 0.39, "n_heterogeneity": 30})
        )
        assert (told.kind, told.choice) == ("winner", "good")
        assert (
            "; yet at the next company weak is better with a probability of 61 % (by 30 of 60 "
            "companies)." in told.headline
        )

    def test_shares_of_a_sample_are_no_evidence_against_the_mean_of_all_companies(self):
        given = two_models(0.021, 0.006, pair={"wins": 15, "losses": 45, "mean_loss": 0.01})
        sample = {"sample": 60, "population": 1000}
        drawn = Findings(**{**vars(given), "document": sample})
        told = verdict(drawn)
        assert told.choice == "good" and "worse at 75 % by .010" in told.headline

    def test_a_p_value_beside_a_mean_is_that_of_the_mean(self):
        ranks_say_nothing = {"mean_p_adjusted": 0.0004, "p_adjusted": 0.979}
        third = figure("third", "log_loss", 0.48)
        farther = difference("log_loss", "good", "third", -0.08, 0.006)
        given = two_models(0.021, 0.006, [third], [farther], pair=ranks_say_nothing)
        assert ".979" not in " ".join(verdict(given).sentences)
        assert given.pair("log_loss", "good", "weak").mean_p_adjusted == 0.0004


class TestIdentical:
    def test_models_that_are_all_the_same_are_called_identical(self):
        windows = [
            Planted(f"c{i}", np.arange(60) % 7 == i % 7, {"a": np.full(60, 0.1)}, 0.1)
            for i in range(8)
        ]
        told = told_of(windows)
        assert (told.kind, told.choice) == ("identical", None)
        assert told.headline == (
            "base_rate and a are identical: the same predictions score the same at each of eight "
            "companies."
        )

    @pytest.mark.parametrize("n_companies", [1, 3, 60])
    def test_two_of_three_that_are_the_same_are_named_as_one(self, n_companies):
        told = told_of(companies(n_companies, 500, lambda i: {"a": TRUE, "b": TRUE, "c": 3.0}))
        assert told.choice == "a"
        assert "a (identical to b)" in told.headline and "base_rate" in told.headline
        assert "equal" not in told.headline and "not known" not in told.headline


def outcomes_of(kind: str, i: int) -> np.ndarray:
    return {
        "nobody": np.zeros(50, dtype=bool),
        "everybody": np.ones(50, dtype=bool),
        "one class a company": np.full(50, i % 2 == 0),
        "one customer": np.ones(1, dtype=bool),
        "few buyers": np.arange(50) == (0 if i < 4 else 50),
        "few others": np.arange(50) != (0 if i < 4 else 50),
    }[kind]


class TestNothingToJudge:
    @pytest.mark.parametrize(
        ("kind", "n_companies", "words"),
        [
            ("nobody", 1, "nobody bought"),
            ("nobody", 3, "nobody bought"),
            ("nobody", 20, "nobody bought"),
            ("everybody", 20, "everybody bought"),
            ("one class a company", 20, "either everybody bought or nobody did"),
            ("one customer", 1, "there is one customer in all"),
            ("few buyers", 20, "there are four buyers in all, among 1,000 customers"),
            ("few others", 20, "all but 4 of 1,000 customers bought"),
        ],
    )
    def test_it_cannot_be_judged_and_nobody_is_praised(self, kind, n_companies, words):
        windows = [
            Planted(f"c{i:02}", y, {"low": np.full(len(y), 0.1), "high": np.full(len(y), 0.3)}, 0.2)
            for i in range(n_companies)
            for y in [outcomes_of(kind, i)]
        ]
        given = planted_findings(windows)
        told = verdict(given)
        assert (told.kind, told.choice, told.support) == ("none", None, [])
        assert told.headline.startswith("The models cannot be judged: ") and words in told.headline
        for name in ("low", "high", "base_rate"):
            assert not re.search(rf"\b{name}\b", told.headline)
        assert not re.search(r"\.\d+ to ", " ".join(told.sentences))
        text = page(given)
        assert told.headline in text and "Which model is best?" not in text

    def test_enough_buyers_can_be_judged(self):
        given = planted_findings(companies(8, 100, lambda i: {"a": TRUE, "b": OFF}))
        assert nothing_to_judge(given) == ""


class TestFewCompanies:
    def test_the_mean_and_most_of_three_companies_are_told_apart(self):
        told = told_of(companies(3, 2000, lambda i: {"a": OFF, "b": TRUE if i else WRONG}))
        assert (told.kind, told.choice) == ("split", None)
        assert "b was better at 2 of 3, by" in told.headline
        assert "but a on average: log loss lower by" in told.headline

    def test_chance_among_customers_has_fifteen_degrees_of_freedom(self):
        given = two_models(0.05, 0.1, n_companies=3, pair={"sampling_std_error": 0.02})
        low, high = given.pair("log_loss", "good", "weak").by_chance()
        assert (low, high) == pytest.approx(stats.t.interval(0.95, 15, 0.05, 0.02))
        assert verdict(given).kind == "winner_here"  # .0074; the normal would say .011
        wider = two_models(0.05, 0.1, n_companies=3, pair={"sampling_std_error": 0.0245})
        assert verdict(wider).kind == "unknown"  # -.002; the normal would say .002


class TestWords:
    @pytest.mark.parametrize(
        ("by", "half", "words"),
        [
            (0.021, 0.006, "by .021 (.015 to .027)"),
            (0.21, 0.01, "by .21 (.20 to .22)"),
            (0.2101, 0.0001, "by .2101 (.2100 to .2102)"),
            (0.00412, 0.00108, "by .0041 (.0030 to .0052)"),
        ],
    )
    def test_a_difference_has_two_digits_or_as_many_as_tell_it_from_its_ends(self, by, half, words):
        sure = {"wins": 60, "losses": 0, "ties": 0}
        assert words in verdict(two_models(by, half, pair=sure)).headline

    @pytest.mark.parametrize("lead", [0.0001, 0.02])
    def test_eleven_models_are_never_all_named(self, lead):
        names = [f"model_{i:02}" for i in range(11)]
        rows = [figure(m, "log_loss", 0.4 + lead * i) for i, m in enumerate(names)]
        pairs = [
            difference("log_loss", a, b, lead * (i - j), 0.03, probability_a_better=0.5)
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if a < b
        ]
        told = verdict(findings(rows, pairs))
        named = [m for m in names if m in told.headline]
        assert 2 <= len(named) <= 3
        if lead < 0.01:
            assert "model_00, model_01, model_02 or one of eight others" in told.headline

    def test_lists_are_cut_after_three_names(self):
        assert listed(list("abc")) == "a, b and c"
        assert listed(list("abcdefghijk")) == "a, b, c and eight others"
        assert listed(list("abcdefghijk"), "or") == "a, b, c or one of eight others"

    def test_a_margin_has_two_digits(self):
        told = verdict(two_models(0.0018, 0.0006, pair={"margin": 0.0032512}))
        assert "the margin of .0033" in told.headline or "the margin is .0033" in told.headline

    def test_an_interval_that_is_next_to_nothing_is_not_written_out(self):
        alike = {"wins": 0, "losses": 0, "ties": 60}
        told = verdict(two_models(1e-12, 1e-13, pair=alike))
        assert told.kind == "equal" and "(by less than .000001)" in told.headline
