"""Comparisons of two models, recomputed from the evaluations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from scale_eval.metrics import METRICS
from scale_eval.results.reduce import reduce_tables
from tests.support.tables import (
    KEY,
    MODELS,
    clustered_variance,
    common,
    comparison,
    linearised_by_hand,
    pooled,
    reduced_from,
)


def mean_reference(tables, column="reference_log_loss") -> float:
    """The loss of the base rate at the average company, over the windows of all models."""
    return common(tables, MODELS[0]).groupby("company_id")[column].mean().mean()


def test_a_comparison_is_paired_customer_by_customer(shops):
    tables, _ = shops
    a, b = (common(tables, m).set_index(KEY) for m in ("bgnbd", "recency"))
    both = a.index
    joined = pd.DataFrame(
        {
            "influence": [
                np.asarray(x, float) - np.asarray(y, float)
                for x, y in zip(
                    a["log_loss_influence"][both], b["log_loss_influence"][both], strict=True
                )
            ]
        },
        index=both,
    ).reset_index()
    joined["n_customers"] = a["n_customers"][both].to_numpy()
    weights = (
        1
        / joined.groupby("company_id")["cutoff"].transform("size")
        / joined["company_id"].nunique()
    )
    variance = clustered_variance(joined, "influence", weights)
    row = comparison(tables, "log_loss", "bgnbd", "recency")
    assert row["sampling_std_error"] == pytest.approx(math.sqrt(variance), rel=1e-5)
    marginal = math.hypot(
        *(
            pooled(tables, "log_loss", "equal_company", m, coverage="common")["sampling_std_error"]
            for m in ("bgnbd", "recency")
        )
    )
    assert row["sampling_std_error"] < 0.9 * marginal  # what an unpaired error would have said


def test_comparisons_have_students_interval_wilcoxons_p_and_tost(shops):
    tables, _ = shops
    means = {m: common(tables, m).groupby("company_id")["log_loss"].mean() for m in MODELS}
    p_values = {}
    for a, b in itertools.combinations(sorted(MODELS), 2):
        differences = means[a] - means[b]
        row = comparison(tables, "log_loss", a, b)
        df = len(differences) - 1
        interval = stats.t.interval(0.95, df, differences.mean(), stats.sem(differences))
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval)
        p_values[a, b] = stats.wilcoxon(differences).pvalue
        assert row["p_value"] == pytest.approx(p_values[a, b])
        margin = 0.01 * mean_reference(tables)
        ninety = stats.t.interval(0.90, df, differences.mean(), stats.sem(differences))
        assert row["equivalent"] == (ninety[0] > -margin and ninety[1] < margin)
    adjusted = multipletests(list(p_values.values()), method="fdr_bh")[1]
    for (a, b), p in zip(p_values, adjusted, strict=True):
        assert comparison(tables, "log_loss", a, b)["p_adjusted"] == pytest.approx(p)


def test_differences_of_all_rows_pair_companies(shops):
    tables, _ = shops
    sums = {
        m: common(tables, m)
        .assign(loss=lambda r: r["n_customers"] * r["brier_score"])
        .groupby("company_id")[["loss", "n_customers"]]
        .sum()
        for m in ("bgnbd", "frequency")
    }
    n = sums["bgnbd"]["n_customers"].to_numpy(float)
    difference = (sums["bgnbd"]["loss"] - sums["frequency"]["loss"]).to_numpy()
    value, error, n_effective = linearised_by_hand(difference, n)
    row = comparison(tables, "brier_score", "bgnbd", "frequency", "row")
    half = stats.t.ppf(0.975, n_effective - 1) * error
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((value - half, value + half))


def test_a_margin_of_the_users_moves_ties_and_equivalence_and_nothing_else(shops):
    tables, _ = shops
    table, scores, groups = reduced_from(tables)
    wide = {
        name: t.to_pandas()
        for name, t in reduce_tables(table, scores, [], groups, {"log_loss": 10.0}).items()
    }
    row = comparison(wide, "log_loss", "bgnbd", "recency")
    assert (row["wins"], row["losses"], row["ties"]) == (0, 0, row["n_companies"])
    assert row["equivalent"] and row["margin"] == 10.0
    assert row["probability_a_better_by_margin"] == pytest.approx(0, abs=1e-6)
    before = comparison(tables, "log_loss", "bgnbd", "recency")
    same = ["mean_difference", "ci_low", "ci_high", "p_value", "prediction_low"]
    assert row[same].tolist() == before[same].tolist()
    pd.testing.assert_frame_equal(wide["pooled"], tables["pooled"])


@pytest.mark.parametrize(
    ("metric", "column"),
    [("log_loss", "reference_log_loss"), ("brier_score", "reference_brier_score")],
)
def test_the_margin_of_a_loss_is_a_hundredth_of_the_base_rates(shops, metric, column):
    tables, _ = shops
    rows = tables["comparisons"].query("metric == @metric")
    assert rows["margin"].nunique() == 1  # the same for all pairs, estimands and sizes
    assert rows["margin"].iloc[0] == pytest.approx(0.01 * mean_reference(tables, column), rel=1e-12)
    skill = tables["comparisons"].query("metric == 'log_loss_skill'")
    assert set(skill["margin"]) == {METRICS["log_loss_skill"].margin}


def test_without_a_reference_the_margin_is_the_metrics_own(shops):
    tables, _ = shops
    unknown = tables["evaluations"].assign(reference_log_loss=np.nan)
    table, scores, groups = reduced_from({**tables, "evaluations": unknown})
    rows = reduce_tables(table, scores, [], groups)["comparisons"].to_pandas()
    margins = rows.drop_duplicates("metric").set_index("metric")["margin"]
    assert margins["log_loss"] == METRICS["log_loss"].margin
    assert margins["brier_score"] < METRICS["brier_score"].margin * 3


def test_a_mean_difference_has_the_p_value_of_its_t_test(shops):
    tables, _ = shops
    means = {m: common(tables, m).groupby("company_id")["log_loss"].mean() for m in MODELS}
    pairs = list(itertools.combinations(sorted(MODELS), 2))
    p_values = [stats.ttest_rel(means[a], means[b]).pvalue for a, b in pairs]
    adjusted = multipletests(p_values, method="fdr_bh")[1]
    for (a, b), p, of_all in zip(pairs, p_values, adjusted, strict=True):
        row = comparison(tables, "log_loss", a, b)
        assert (row["mean_p_value"], row["mean_p_adjusted"]) == pytest.approx((p, of_all))
        assert (row["mean_p_value"] < 0.05) == (not row["ci_low"] <= 0 <= row["ci_high"])
    rows = tables["comparisons"].query("estimand == 'row' and mean_p_value.notna()")
    outside = (rows["ci_low"] > 0) | (rows["ci_high"] < 0)
    assert ((rows["mean_p_value"] < 0.05) == outside).all() and len(rows)


def test_wins_and_losses_have_their_mean_difference(shops):
    tables, _ = shops
    for a, b in itertools.combinations(sorted(MODELS), 2):
        for metric, better in (("log_loss", -1), ("roc_auc", 1)):
            of_a, of_b = (common(tables, m).groupby("company_id")[metric].mean() for m in (a, b))
            differences = (of_a - of_b).dropna()
            row = comparison(tables, metric, a, b)
            won = differences[better * differences > row["margin"]]
            lost = differences[-better * differences > row["margin"]]
            assert (row["wins"], row["losses"]) == (len(won), len(lost))
            assert row["mean_win"] == pytest.approx(won.mean(), nan_ok=True)
            assert row["mean_loss"] == pytest.approx(lost.mean(), nan_ok=True)


def test_differences_that_do_not_vary_have_no_p_value(shops):
    tables, _ = shops
    twin = tables["evaluations"].query("model == 'recency'").assign(model="twin")
    both = pd.concat([tables["evaluations"], twin], ignore_index=True)
    table, scores, groups = reduced_from({**tables, "evaluations": both})
    row = comparison(
        {"comparisons": reduce_tables(table, scores, [], groups)["comparisons"].to_pandas()},
        "log_loss",
        "recency",
        "twin",
    )
    assert (row["mean_difference"], row["std_error"], row["ties"]) == (0, 0, row["n_companies"])
    assert np.isnan(row["mean_p_value"]) and np.isnan(row["mean_p_adjusted"])
    assert np.isnan(row["mean_win"]) and np.isnan(row["mean_loss"])


def test_skills_at_the_average_company_differ_as_the_leaderboard_says(shops):
    tables, _ = shops
    for a, b in itertools.combinations(sorted(MODELS), 2):
        row = comparison(tables, "log_loss_skill", a, b)
        skills = [
            pooled(tables, "log_loss_skill", "equal_company", m, coverage="common")["value"]
            for m in (a, b)
        ]
        assert row["mean_difference"] == pytest.approx(skills[0] - skills[1])
        losses = [common(tables, m).groupby("company_id")["log_loss"].mean() for m in (a, b)]
        reference = common(tables, a).groupby("company_id")["reference_log_loss"].mean()
        value, error, n_effective = linearised_by_hand(
            (losses[1] - losses[0]).to_numpy(), reference.to_numpy()
        )
        assert row["mean_difference"] == pytest.approx(value)
        assert row["std_error"] == pytest.approx(error)
        half = stats.t.ppf(0.975, n_effective - 1) * error
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((value - half, value + half))


def test_the_mean_of_distances_from_a_target_has_no_interval(shops):
    tables, _ = shops
    for metric in ("observed_expected_ratio", "calibration_intercept"):
        row = comparison(tables, metric, "bgnbd", "recency")
        assert np.isfinite(row["mean_difference"]) and np.isnan(row["ci_low"])
        assert row["ci_reason"] == "distance_from_target"
