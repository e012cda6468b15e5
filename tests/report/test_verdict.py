"""The verdict changes its words with the evidence, not its numbers alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from scale_eval.report.findings import Findings
from scale_eval.report.verdict import Verdict, verdict
from scale_eval.report.wording import chance, number, percent, percent_with_interval, share, span
from scale_eval.results.tables.choice_regret import CHOICE_REGRET
from scale_eval.results.tables.comparisons import COMPARISONS
from scale_eval.results.tables.periods import PERIODS
from scale_eval.results.tables.pooled import POOLED

NAN = math.nan
MARGINS = {"log_loss": 0.002, "roc_auc": 0.005}


def figure(model: str, metric: str, value: float, estimand="equal_company", **others: Any) -> dict:
    return {
        "model": model,
        "metric": metric,
        "estimand": estimand,
        "coverage": "common",
        "value": value,
        "reason": "",
        "n_companies": 60,
        "n_companies_defined": 60,
        "n_defined": 300,
        "n_undefined": 0,
        "n_skipped": 0,
        "n_failed": 0,
        "n_not_common": 0,
        "n_effective": 60.0,
        "heterogeneity_reason": "",
        **others,
    }


def difference(metric: str, a: str, b: str, by: float, half: float, **others: Any) -> dict:
    """Return a row that says by how much a is above b (a < b by name), with half its interval."""
    margin = MARGINS[metric]
    wins, losses = (45, 10) if (by < 0) == (metric == "log_loss") else (10, 45)
    return {
        "metric": metric,
        "model_a": a,
        "model_b": b,
        "estimand": "equal_company",
        "stratum": "all",
        "n_companies": 60,
        "mean_difference": by,
        "reason": "",
        "std_error": half / 2,
        "ci_low": by - half,
        "ci_high": by + half,
        "sampling_std_error": half / 4,
        "n_effective": 60.0,
        "margin": margin,
        "wins": wins,
        "ties": 5,
        "losses": losses,
        "p_value": 0.001,
        "p_adjusted": 0.001,
        "mean_p_value": 0.001,
        "mean_p_adjusted": 0.001,
        "heterogeneity_reason": "",
        "equivalent": abs(by) + half < margin,
        **others,
    }


def findings(
    figures: list[dict],
    comparisons: list[dict],
    statuses: list[dict] = (),
    cutoffs: int = 6,
) -> Findings:
    models = sorted({row["model"] for row in figures})
    ok = [{"model": m, "status": "ok", "reason": "", "overlaps": False, "n": 300} for m in models]
    periods = [
        {
            "cutoff": cutoff,
            "companies": "all",
            "model": model,
            "n_companies": 60,
        }
        for model in models
        for cutoff in [None, *pd.date_range("2020-01-01", periods=cutoffs, freq="6MS", tz="UTC")]
    ]
    empty = pd.DataFrame()
    return Findings(
        pooled=pd.DataFrame(figures).reindex(columns=POOLED.schema.names),
        comparisons=pd.DataFrame(comparisons).reindex(columns=COMPARISONS.schema.names),
        reliability=empty,
        decompositions=empty,
        spread=empty,
        periods=pd.DataFrame(periods).reindex(columns=PERIODS.schema.names),
        choice_regret=pd.DataFrame(columns=CHOICE_REGRET.schema.names),
        statuses=pd.DataFrame([*ok, *statuses]),
        document={},
    )


def two_models(
    by: float, half: float, figures: list[dict] = (), extra: list[dict] = (), **others: Any
) -> Findings:
    """`good` has a log loss lower than `weak` by `by`, give or take `half`."""
    n = others.pop("n_companies", 60)
    rows = [
        figure("good", "log_loss", 0.40, n_companies=n),
        figure("weak", "log_loss", 0.40 + by, n_companies=n),
        figure(
            "good", "roc_auc", 0.75, prediction_low=0.61, prediction_high=0.84, n_heterogeneity=50
        ),
        figure("weak", "roc_auc", 0.75),
        *figures,
    ]
    pair = difference(
        "log_loss",
        "good",
        "weak",
        -by,
        half,
        n_companies=n,
        **{"wins": 50, "losses": 5, **others.pop("pair", {})},
    )
    auc = difference("roc_auc", "good", "weak", 0.0, 0.01)
    return findings(rows, [pair, auc, *extra], **others)


def said(given: Findings) -> str:
    return " ".join(verdict(given).sentences)


def test_a_winner_is_named_with_its_lead_its_interval_and_at_how_many_companies():
    told = verdict(two_models(0.021, 0.006))
    assert (told.kind, told.choice) == ("winner", "good")
    assert told.headline == (
        "Choose good over weak: log loss lower by .021 (.015 to .027) at the average company; "
        "better at 83 % of 60 companies, within the margin at 8 %."
    )
    assert "a true AUC between .61 and .84" in said(two_models(0.021, 0.006))


def test_models_shown_to_be_equal_are_called_equal_and_no_winner_is_named():
    alike = {"wins": 1, "ties": 59, "losses": 0}
    told = verdict(two_models(0.0004, 0.001, pair=alike))
    assert (told.kind, told.choice) == ("equal", None)
    assert "good and weak are equal for any practical purpose" in told.headline
    assert "Take the one that is cheaper to run" in told.headline


def test_what_is_not_known_is_not_called_equal_and_says_what_would_settle_it():
    told = verdict(two_models(0.004, 0.012))
    assert (told.kind, told.choice) == ("unknown", None)
    assert told.headline.startswith("It is not known whether good or weak is better")
    assert "companies, these 60 among them, would settle it with a probability" in told.headline


def test_a_lead_smaller_than_the_margin_is_hardly_one():
    told = verdict(two_models(0.0018, 0.0006))
    assert (told.kind, told.choice) == ("small", "good")
    assert "hardly by what matters" in told.headline


def test_three_companies_are_these_three_and_say_nothing_of_the_next():
    chance_low = {"pair": {"sampling_std_error": 0.005, "ci_low": NAN, "ci_high": NAN}}
    told = verdict(two_models(0.05, 0.1, n_companies=3, **chance_low))
    assert (told.kind, told.choice) == ("winner_here", "good")
    assert told.headline.startswith("At these three companies, in these half-years, good was")
    assert "Three companies cannot say what to expect at the next one." in told.reservations
    chance_high = {"pair": {"sampling_std_error": 0.05, "ci_low": NAN, "ci_high": NAN}}
    told = verdict(two_models(0.05, 0.1, n_companies=3, **chance_high))
    assert told.kind == "unknown" and "cannot be told apart" in told.headline


def test_a_baseline_that_nothing_beats_is_the_verdict():
    rows = [figure("base_rate", "log_loss", 0.40), figure("clever", "log_loss", 0.45)]
    told = verdict(findings(rows, [difference("log_loss", "base_rate", "clever", -0.05, 0.01)]))
    assert told.kind == "baseline"
    assert told.headline.startswith("No model beats the base rate that was known at the cutoff")


def test_who_ranks_better_and_is_calibrated_worse_is_told_apart():
    rank = difference("roc_auc", "good", "weak", -0.04, 0.01)
    rows = [figure("weak", "roc_auc", 0.79)]
    base = two_models(0.021, 0.006)
    pooled = base.pooled[~((base.pooled["model"] == "weak") & (base.pooled["metric"] == "roc_auc"))]
    figures = [*pooled.to_dict("records"), *rows]
    pairs = base.comparisons[base.comparisons["metric"] == "log_loss"].to_dict("records")
    told = verdict(findings(figures, [*pairs, rank]))
    assert told.kind == "winner"
    assert told.choices == {"probabilities": "good", "customers": "weak"}
    assert told.uses == [
        "To choose customers, take weak, not good: AUC .790 against .750 (more by .040, .030 to "
        ".050)."
    ]
    assert "To choose customers, take" not in said(base)
    assert "In favour" not in said(base)


def test_another_winner_over_all_rows_is_said():
    row = difference("log_loss", "good", "weak", 0.01, 0.004, estimand="row")
    assert (
        "In favour of weak over good: over all customers pooled, where large companies count by "
        "their size, its log loss is lower by .010 (.006 to .014)."
    ) in said(two_models(0.021, 0.006, extra=[row]))
    unsure = difference("log_loss", "good", "weak", 0.01, 0.04, estimand="row")
    assert "In favour of weak over good, though not beyond doubt: over all customers" in said(
        two_models(0.021, 0.006, extra=[unsure])
    )
    same = difference("log_loss", "good", "weak", -0.01, 0.004, estimand="row")
    assert "In favour" not in said(two_models(0.021, 0.006, extra=[same]))


def test_for_whom_another_model_is_better_is_said():
    small = "1 to 99 customers"
    row = difference("log_loss", "good", "weak", 0.03, 0.01, stratum=small, n_companies=20)
    assert (
        "In favour of weak over good: at the 20 companies of 1 to 99 customers its log loss is "
        "lower by .030 (.020 to .040), so choose it there."
    ) in said(two_models(0.021, 0.006, extra=[row]))
    few = difference("log_loss", "good", "weak", 0.03, 0.01, stratum=small, n_companies=3)
    assert "In favour" not in said(two_models(0.021, 0.006, extra=[few]))


def test_miscalibration_is_said_in_words():
    high = figure("good", "observed_expected_ratio", 1 / 1.2, ci_low=0.79, ci_high=0.88)
    low = figure("weak", "observed_expected_ratio", 4 / 3, ci_low=1.2, ci_high=1.5)
    bold = figure("weak", "calibration_slope", 0.6, ci_low=0.5, ci_high=0.7)
    told = said(two_models(0.021, 0.006, figures=[high, low, bold]))
    assert "they are too high by a fifth; observed over expected .83 (.79 to .88)." in told
    assert "Probabilities of weak are too low by a quarter." in told
    assert "Probabilities of weak are too bold (slope .60)." in told
    unsure = figure("good", "observed_expected_ratio", 1 / 1.2, ci_low=0.7, ci_high=1.1)
    assert "too high" not in said(two_models(0.021, 0.006, figures=[unsure]))


def test_what_the_best_saves_against_the_base_rate_is_told_with_its_interval():
    skill = [figure("good", "log_loss_skill", 0.2, ci_low=0.15, ci_high=0.25)]
    told = said(two_models(0.021, 0.006, figures=skill))
    assert "saves 20 % (15 to 25 %) of log loss" in told


def test_thin_evidence_is_told():
    assert "the intervals hold, and are as wide as that" in said(
        two_models(0.021, 0.006, n_companies=12)
    )
    assert "All of it is one half-year" in said(two_models(0.021, 0.006, cutoffs=1))
    overlapping = {"model": "good", "status": "ok", "reason": "", "overlaps": True, "n": 40}
    assert "40 evaluations have label windows that overlap" in said(
        two_models(0.021, 0.006, statuses=[overlapping])
    )
    row = figure("good", "log_loss", 0.3, "row", n_effective=7.2)
    assert "they weigh as 7 companies would" in said(two_models(0.021, 0.006, figures=[row]))


def test_what_is_missing_is_told():
    statuses = [
        {"model": "mute", "status": "error", "reason": "exception:Boom", "overlaps": False, "n": 9},
        {
            "model": "good",
            "status": "skipped",
            "reason": "no_whole_window",
            "overlaps": False,
            "n": 4,
        },
    ]
    told = said(two_models(0.021, 0.006, statuses=statuses))
    assert "Not compared, because they made no predictions: mute." in told
    assert "Evaluations that failed: mute 9." in told
    assert "Four companies without a window that was observed whole" in told


def test_where_no_window_is_common_there_is_no_verdict():
    told = verdict(findings([figure("good", "log_loss", NAN)], []))
    assert isinstance(told, Verdict)
    assert (told.kind, told.choice) == ("none", None)
    assert told.headline.startswith("There is no verdict")


def test_one_model_alone_is_no_winner():
    told = verdict(findings([figure("good", "log_loss", 0.4)], []))
    assert told.kind == "alone" and told.choice is None


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [(0.0214, 0.001, ".021"), (-0.5, 0.01, "-.50"), (1.25, 0.01, "1.25"), (-1e-9, 0.001, ".000")],
)
def test_numbers_are_short(value, step, words):
    assert number(value, step) == words
    assert span(value, value, step) == f"{words} to {words}"


def test_shares_are_said_as_people_say_them():
    assert [share(s) for s in (0.2, 0.25, 1 / 3, 0.5, 0.13)] == [
        "a fifth",
        "a quarter",
        "a third",
        "a half",
        "13 %",
    ]
    assert percent(0.9991) == "more than 99 %" and percent(1.0) == "100 %"
    assert percent(0.0004) == "less than 1 %" and chance(1.0) == "more than 99 %"
    assert percent_with_interval(0.051, 0.0502, 0.0518) == "5.1 % (5.0 to 5.2 %)"


def test_one_rival_left_open_leaves_the_verdict_open():
    third = [figure("third", "log_loss", 0.43)]
    pair = difference("log_loss", "good", "third", -0.03, 0.05)
    told = verdict(two_models(0.0015, 0.001, figures=third, extra=[pair]))
    assert told.kind == "unknown" and told.choice is None
    assert "good or third is better" in told.headline


def test_a_slope_below_0_is_the_wrong_way_round():
    slope = figure("good", "calibration_slope", -0.4, ci_low=-0.6, ci_high=-0.2)
    told = said(two_models(0.021, 0.006, figures=[slope]))
    assert "they are the wrong way round (slope -.40)" in told


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ("exception:ValueError no:10", "log loss, failed in all 20 evaluations"),
        ("constant_predictions:9;exception:ValueError no:1", "log loss, is undefined in all 20"),
    ],
)
def test_a_metric_that_decides_and_is_never_defined_is_named(reasons, words):
    undefined = {"n_defined": 0, "n_undefined": 10, "undefined_reasons": reasons}
    rows = [figure(model, "log_loss", NAN, **undefined) for model in ("good", "weak")]
    told = verdict(findings([*rows, figure("good", "roc_auc", 0.7)], []))
    assert words in told.headline
    assert "--primary" in told.headline
