"""Intervals over companies, and the chance of customers, recomputed from the evaluations.

The recomputation uses pandas, SciPy and statsmodels on the table `evaluations` and on the
predictions alone; nothing of `scale_eval.results`.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logit
from sklearn.metrics import average_precision_score, roc_auc_score

from scale_eval.evaluation.evaluate import evaluate_one
from scale_eval.evaluation.rules import Rules
from scale_eval.models import resolve
from tests.support.companies import shop
from tests.support.planted import Planted, planted_tables
from tests.support.tables import (
    SIZES,
    WINDOWS,
    clustered_variance,
    comparison,
    linearised_by_hand,
    of_model,
    pooled,
    tables_of,
)


@pytest.mark.parametrize("metric", ["log_loss", "brier_score", "roc_auc", "average_precision"])
def test_the_interval_of_the_average_company_is_students_over_companies(shops, metric):
    tables, _ = shops
    means = of_model(tables, "bgnbd").groupby("company_id")[metric].mean().dropna()
    low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
    row = pooled(tables, metric, "equal_company", "bgnbd")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
    assert row["std_error"] == pytest.approx(stats.sem(means))
    assert row["n_effective"] == pytest.approx(len(means))


def test_the_interval_of_the_average_ratio_of_observed_to_expected_is_on_logs(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd")
    means = rows.groupby("company_id")[["observed_rate", "mean_prediction"]].mean()
    value, error, n_effective = linearised_by_hand(*means.to_numpy(float).T)
    half = stats.t.ppf(0.975, n_effective - 1) * error / value
    row = pooled(tables, "observed_expected_ratio", "equal_company", "bgnbd")
    assert row["value"] == pytest.approx(value)
    assert row["n_effective"] == pytest.approx(n_effective)
    ends = value * np.exp(-half), value * np.exp(half)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(ends)


def test_the_interval_of_all_rows_is_that_of_a_ratio_of_company_sums(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd")
    rows = rows.assign(loss=rows["n_customers"] * rows["log_loss"])
    sums = rows.groupby("company_id")[["loss", "n_customers"]].sum()
    value, error, n_effective = linearised_by_hand(*sums.to_numpy(float).T)
    row = pooled(tables, "log_loss", "row", "bgnbd")
    half = stats.t.ppf(0.975, n_effective - 1) * error
    assert row["value"] == pytest.approx(value)
    assert row["n_effective"] == pytest.approx(n_effective)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((value - half, value + half))


def test_the_interval_of_the_auc_within_companies_weighs_by_pairs(shops):
    tables, _ = shops
    rows = of_model(tables, "recency").dropna(subset="roc_auc")
    pairs = rows["n_positive"] * (rows["n_customers"] - rows["n_positive"])
    rows = rows.assign(pairs=pairs, right=pairs * rows["roc_auc"])
    sums = rows.groupby("company_id")[["right", "pairs"]].sum()
    value, error, n_effective = linearised_by_hand(*sums.to_numpy(float).T)
    row = pooled(tables, "roc_auc", "within_company", "recency")
    assert (row["value"], row["std_error"], row["n_effective"]) == pytest.approx(
        (value, error, n_effective)
    )


@pytest.mark.parametrize(
    ("metric", "score"),
    [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)],
)
def test_the_interval_of_a_rank_metric_of_all_rows_leaves_out_each_company(shops, metric, score):
    tables, predictions = shops
    frames = {}
    for (company, _, model), frame in predictions.items():
        if model == "bgnbd":
            frames.setdefault(company, []).append(frame)
    companies = {company: pd.concat(parts) for company, parts in frames.items()}

    def of(names) -> float:
        rows = pd.concat([companies[name] for name in names])
        return score(rows["bought"], rows["probability"])

    value = of(companies)
    left_out = np.array([of([n for n in companies if n != name]) for name in companies])
    k = len(companies)
    error = math.sqrt((k - 1) / k * ((left_out - left_out.mean()) ** 2).sum())
    row = pooled(tables, metric, "row", "bgnbd")
    assert row["value"] == pytest.approx(value, abs=row["error_bound"] + 1e-12)
    assert row["std_error"] == pytest.approx(error, rel=0.05)  # scores are known to a bin
    corrected = k * value - (k - 1) * left_out.mean()
    middle = (row["ci_low"] + row["ci_high"]) / 2
    assert middle == pytest.approx(corrected, abs=0.1 * error + k * row["error_bound"])


def test_a_constant_per_company_reaches_the_floor_of_the_row_auc(shops):
    tables, predictions = shops
    frames = [
        frame.assign(constant=frame["bought"].mean())
        for (_, _, model), frame in predictions.items()
        if model == "bgnbd"
    ]
    rows = pd.concat(frames)
    floor = pooled(tables, "roc_auc", "row", "bgnbd")["constant_floor"]
    assert floor == pytest.approx(roc_auc_score(rows["bought"], rows["constant"]), rel=1e-12)


def test_what_customers_chance_makes_uncertain_is_clustered_by_customer(shops):
    tables, _ = shops
    rows = of_model(tables, "bgnbd").reset_index(drop=True)
    equal = 1 / rows.groupby("company_id")["cutoff"].transform("size") / len(SIZES)
    by_rows = rows["n_customers"] / rows["n_customers"].sum()
    for estimand, weights in (("equal_company", equal), ("row", by_rows)):
        variance = clustered_variance(rows, "log_loss_influence", weights)
        row = pooled(tables, "log_loss", estimand, "bgnbd")
        assert row["sampling_std_error"] == pytest.approx(math.sqrt(variance), rel=1e-6)


def test_three_companies_have_an_honest_interval_and_no_prediction():
    evaluations = [
        evaluate_one(shop(f"shop{i}", 200, seed=i), window, resolve(m), Rules())
        for i in range(3)
        for window in WINDOWS[-1:]
        for m in ("recency", "bgnbd")
    ]
    tables = tables_of(evaluations)
    equal = pooled(tables, "roc_auc", "equal_company", "bgnbd")
    assert equal["ci_high"] - equal["ci_low"] > 4 * equal["std_error"]  # t with 2 df: 4.3
    assert np.isnan(equal["prediction_low"])
    assert equal["heterogeneity_reason"] == "too_few_companies"
    for estimand in ("row", "within_company"):
        row = pooled(tables, "roc_auc", estimand, "bgnbd")
        assert np.isnan(row["ci_low"]) and row["ci_reason"] == "fewer_than_5_companies"
    pair = comparison(tables, "log_loss", "bgnbd", "recency")
    assert pair["p_reason"] == "fewer_than_6_companies" and np.isnan(pair["p_value"])
    assert pair["sampling_std_error"] > 0
    assert np.isnan(pair["probability_a_better"])


def test_chance_in_the_top_tenth_is_clustered_and_paired_by_customer():
    evaluations = [
        evaluate_one(shop(f"shop{i}", 300, seed=i, rate=8.0), window, resolve(m), Rules())
        for i in range(2)
        for window in WINDOWS
        for m in ("recency", "bgnbd")
    ]
    tables = tables_of(evaluations)

    def moved(model, company, column):
        """The influence of groups of customers on the company's mean over its half-years."""
        rows = of_model(tables, model).query("company_id == @company")
        factor = np.sqrt(rows["n_positive"] / (rows["n_positive"] - 1)).to_numpy(float)
        return factor @ np.stack(rows[column].to_list()).astype(float) / len(rows)

    for metric, column, scale in (
        ("gain_at_10", "gain_at_10_influence", 1),
        ("lift_at_10", "gain_at_10_influence", 10),
        ("value_captured_at_10", "value_captured_at_10_influence", 1),
    ):
        paired = []
        for company in ("shop0", "shop1"):
            own, other = (scale * moved(m, company, column) for m in ("bgnbd", "recency"))
            paired.append(16 / 15 * np.square(own - other).sum())
            row = tables["companies"].query(
                "metric == @metric and model == 'bgnbd' and company_id == @company"
            )
            error = math.sqrt(16 / 15 * np.square(own).sum())
            assert row["std_error"].item() == pytest.approx(error, rel=1e-5)
        row = comparison(tables, metric, "bgnbd", "recency")
        assert row["sampling_std_error"] == pytest.approx(math.sqrt(sum(paired)) / 2, rel=1e-5)
        assert row["heterogeneity_reason"] == "chance_by_jackknife"
        within = comparison(tables, metric, "bgnbd", "recency", estimand="within_company")
        assert within["sampling_std_error"] > 0


@pytest.mark.parametrize(("n_buyers", "has_error"), [(9, False), (10, True)])
def test_the_top_tenth_has_a_standard_error_from_ten_buyers_over_all_half_years(
    n_buyers, has_error
):
    rng = np.random.default_rng(4)
    windows = []
    for number, year in enumerate(("2019", "2020")):
        bought = np.arange(120) < (4 if number == 0 else n_buyers - 4)
        said = {m: rng.random(120) for m in ("one", "two")}
        windows.append(
            Planted("c", bought, said, 0.05, cutoff=pd.Timestamp(f"{year}-01-01", tz="UTC"))
        )
    tables = {name: table.to_pandas() for name, table in planted_tables(windows).items()}
    figures = tables["companies"].query("metric == 'gain_at_10'").set_index("model")
    assert figures["std_error"].notna()[["one", "two"]].tolist() == [has_error] * 2
    pair = comparison(tables, "gain_at_10", "one", "two")
    assert np.isfinite(pair["sampling_std_error"]) == has_error
    assert (
        np.isfinite(pooled(tables, "gain_at_10", "equal_company", "one")["sampling_std_error"])
        == has_error
    )


def test_a_company_with_a_half_year_that_kept_no_influence_has_no_standard_error():
    rng = np.random.default_rng(5)
    windows = [
        Planted(
            "c",
            rng.permutation(120) < 30 if number else np.arange(120) == 7,  # one buyer at first
            {"one": rng.random(120)},
            0.05,
            cutoff=pd.Timestamp(f"{2019 + number}-01-01", tz="UTC"),
        )
        for number in range(2)
    ]
    tables = planted_tables(windows)
    figures = tables["companies"].to_pandas().set_index(["metric", "model"])
    assert figures["n_defined"]["gain_at_10", "one"] == 2
    assert np.isnan(figures["std_error"]["gain_at_10", "one"])
    assert figures["std_error"]["roc_auc", "one"] > 0


def test_one_company_has_no_interval_over_companies():
    evaluations = [
        evaluate_one(shop("shop", 200, seed=1), window, resolve(m), Rules())
        for window in WINDOWS
        for m in ("recency", "bgnbd")
    ]
    tables = tables_of(evaluations)
    row = pooled(tables, "log_loss", "equal_company", "bgnbd")
    assert row["ci_reason"] == "one_company" and np.isnan(row["ci_low"])
    assert row["sampling_std_error"] > 0


def test_the_slope_within_companies_is_one_regression_with_an_intercept_each(shops):
    tables, predictions = shops
    statsmodels = pytest.importorskip("statsmodels.api")
    rows = pd.concat(
        frame.assign(stratum=f"{company} {cutoff}")
        for (company, cutoff, model), frame in predictions.items()
        if model == "bgnbd"
    )
    dummies = pd.get_dummies(rows["stratum"], dtype=float)
    rate = rows.groupby("stratum")["bought"].mean()
    kept = rows["stratum"].map(rate).between(0, 1, inclusive="neither")
    design = dummies.assign(x=logit(rows["probability"].clip(1e-15, 1 - 1e-15)))[kept.to_numpy()]
    design = design.loc[:, (design != 0).any()]
    fit = statsmodels.Logit(rows["bought"][kept].to_numpy(float), design.to_numpy()).fit(disp=0)
    row = pooled(tables, "calibration_slope", "within_company", "bgnbd")
    assert row["value"] == pytest.approx(fit.params[-1], rel=0.01)  # logits are known to a bin


@pytest.mark.parametrize(("tail", "condition"), [(1.3, "no_larger_company"), (4.0, "")])
def test_a_figure_that_rests_on_the_largest_says_if_none_is_larger(tail, condition):
    """300 companies, whose sizes have a Pareto tail; the average company rests on no size."""
    rng = np.random.default_rng(8)
    windows = []
    for i, n in enumerate((30 * (1 - rng.random(300)) ** (-1 / tail)).astype(int)):
        said = np.full(min(n, 20_000), 0.2)
        windows.append(Planted(f"company-{i:06}", rng.random(len(said)) < 0.2, {"a": said}, 0.2))
    tables = {name: table.to_pandas() for name, table in planted_tables(windows).items()}
    row = pooled(tables, "log_loss", "row", "a")
    assert row["ci_condition"] == condition
    assert pooled(tables, "log_loss", "equal_company", "a")["ci_condition"] == ""
    assert comparison(tables, "log_loss", "a", "base_rate", "row")["ci_condition"] == condition
