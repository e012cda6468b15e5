"""Random effects of companies, recomputed from the evaluations."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from scale_eval.metrics import METRICS, STANDARD_ERRORS
from scale_eval.metrics.uncertainty import IDENTITY, LOG, LOGIT
from scale_eval.results.heterogeneity import company_effects
from scale_eval.results.panel import COVERAGES, Panel
from scale_eval.results.panel_columns import parts_of
from tests.support.planted import Planted, evaluated, like_companies, planted_tables
from tests.support.tables import comparison, of_model, pooled


def test_tau_and_the_mean_of_effects_agree_with_statsmodels_paule_mandel_nearby(shops):
    """REML by an independent likelihood, maximised by brute force on a fine grid."""
    tables, _ = shops
    effects, variances = [], []
    for _, rows in of_model(tables, "bgnbd").groupby("company_id"):
        rich = rows[
            (rows["n_positive"] >= 10) & (rows["n_customers"] - rows["n_positive"] >= 10)
        ].head(99)
        if len(rich) == 1:  # of one cutoff, the effect's variance is DeLong's, hardly moderated
            effects.append(float(logit(rich["roc_auc"].iloc[0])))
            a = rich["roc_auc"].iloc[0]
            variances.append((rich["roc_auc_se"].iloc[0] / (a * (1 - a))) ** 2)
        elif len(rich):
            effects.append(float(logit(rich["roc_auc"]).mean()))
            variances.append(np.nan)
    row = pooled(tables, "roc_auc", "equal_company", "bgnbd")
    assert row["n_heterogeneity"] == len(effects)
    assert row["expected"] == pytest.approx(expit(np.mean(effects)), abs=0.05)
    assert row["expected_low"] < row["expected"] < row["expected_high"]
    assert row["tau_low"] <= row["tau"] <= row["tau_high"]
    assert row["prediction_low"] <= row["expected_low"]
    assert row["tau_scale"] == "logit"


def test_shrunk_values_lie_between_the_companys_own_and_the_mean_of_all(shops):
    tables, _ = shops
    for model, coverage in product(("bgnbd", "recency"), COVERAGES):
        row = pooled(tables, "roc_auc", "equal_company", model, coverage)
        companies = tables["companies"].query(
            "metric == 'roc_auc' and model == @model and coverage == @coverage"
        )
        entered = companies.dropna(subset="shrunk")
        assert len(entered) == row["n_heterogeneity"]
        assert entered["shrinkage_weight"].between(0, 1).all()
        spread = entered["shrunk"].std()
        assert spread <= entered["mean"].std() + 1e-12


# ── What enters, with planted truth ────────


@pytest.fixture(scope="module")
def like_shops() -> dict:
    """300 like companies: model `truth` is right, `high` multiplies the odds by 1.6."""
    errors = {"high": 1.6, "truth": 1.0}
    windows = like_companies(300, 80, 0.1, errors, seed=3, spread=0.2)
    return frames(windows)


def test_a_model_that_is_better_everywhere_is_better_at_the_next_company(like_shops):
    row = comparison(like_shops, "log_loss", "high", "truth")
    assert row["n_heterogeneity"] == 300
    assert row["probability_a_better"] < 0.05
    assert row["prediction_low"] < row["mean_difference"] < row["prediction_high"]
    assert row["prediction_low"] > 0  # the truth, the same at all companies, is above 0
    assert row["tau"] < 0.006


def test_who_enters_does_not_depend_on_who_bought():
    """At 8 buyers to be expected no company enters, though half of them had 8 or more."""
    for rate, enters in ((0.1, 0), (0.15, 100)):
        windows = like_companies(100, 80, rate, {"truth": 1.0}, spread=0.5)
        tables = frames(windows)
        row = pooled(tables, "observed_expected_ratio", "equal_company", "truth")
        assert row["n_heterogeneity"] == enters


def test_the_mean_of_effects_of_a_ratio_is_that_of_the_truth():
    windows = [
        each
        for seed in range(3)
        for each in like_companies(300, 110, 0.1, {"low": 1 / 1.06}, seed=seed, spread=0.2)
    ]
    windows = [replace(each, company=f"company-{i:06}") for i, each in enumerate(windows)]
    tables = frames(windows)
    expected = np.mean([each.probabilities["low"].mean() for each in windows])
    truth = np.mean([true_rate(each.probabilities["low"], 1.06) for each in windows]) / expected
    row = pooled(tables, "observed_expected_ratio", "equal_company", "low")
    assert row["n_heterogeneity"] == 900
    assert row["expected_low"] < truth < row["expected_high"]
    assert row["expected"] == pytest.approx(truth, abs=0.03)
    assert row["value"] == pytest.approx(truth, abs=0.03)


def test_the_bias_and_the_variance_of_an_effect_are_those_of_many_draws():
    """1,200 companies with 15 buyers each, whose AUC and O:E are truly the same."""
    rng = np.random.default_rng(5)
    n, rate, distance = 100, 0.15, 1.5
    windows = []
    for i in range(1_200):
        outcomes = rng.random(n) < rate
        logits = logit(rate) + distance * (rng.normal(size=n) + distance * (outcomes - 0.5))
        windows.append(Planted(f"company-{i:06}", outcomes, {"ranks": expit(logits)}, rate))
    groups = {window.company: 0 for window in windows}
    evaluations, _ = evaluated(windows, ["ranks"], groups)
    panel = Panel.of(parts_of(evaluations)).holding([*METRICS, *STANDARD_ERRORS])
    model = panel.models.index("ranks")
    true_auc = norm.cdf(distance / np.sqrt(2))
    for name, truth in (("roc_auc", logit(true_auc)), ("observed_expected_ratio", None)):
        metric = METRICS[name]
        effects = company_effects(
            panel, metric, model, np.flatnonzero(panel.ok[:, model]), panel.influences(metric)
        )
        if truth is None:
            # The model says what is true of its customers: buyers are as many as it expects.
            truth = np.log(rate / np.mean([w.probabilities["ranks"].mean() for w in windows]))
        error = effects.y.std() / np.sqrt(len(effects.y))
        assert abs(effects.y.mean() - truth) < 3 * error
        own = metric.effects.to(panel.columns[name][effects.company, model])
        assert abs(own.mean() - truth) > abs(effects.y.mean() - truth)
        assert effects.v.mean() == pytest.approx(effects.y.var(), rel=0.12)


@pytest.mark.parametrize("scale", [IDENTITY, LOG, LOGIT])
def test_the_derivatives_of_a_scale_are_those_of_small_steps(scale):
    at, step = np.array([0.2, 0.5, 0.83]), 1e-4
    below, here, above = (scale.to(at + move) for move in (-step, 0.0, step))
    assert scale.slope(at) == pytest.approx((above - below) / (2 * step), rel=1e-5)
    assert scale.curvature(at) == pytest.approx((above - 2 * here + below) / step**2, abs=1e-3)


def test_slopes_of_companies_with_few_buyers_do_not_enter():
    for n_customers, enters in ((900, 0), (1_100, 20)):
        windows = like_companies(20, n_customers, 0.1, {"truth": 1.0}, spread=1.0)
        row = pooled(frames(windows), "calibration_slope", "equal_company", "truth")
        assert row["n_heterogeneity"] == enters
    assert row["value"] == pytest.approx(1.0, abs=0.05)


def mean_intercept(n_companies: int, n_customers: int) -> pd.Series:
    """The calibration intercept of a model that is right; a tenth of customers buy."""
    windows = like_companies(n_companies, n_customers, 0.1, {"truth": 1.0}, spread=0.3)
    return pooled(frames(windows), "calibration_intercept", "equal_company", "truth")


@pytest.mark.slow
def test_a_mean_intercept_that_few_buyers_bias_has_no_interval():
    """A model that is right has a mean intercept below 0 at companies of 8 buyers, not of 200."""
    few, many = mean_intercept(400, 80), mean_intercept(40, 2_000)
    assert few["ci_reason"] == "biased_where_few_buy"
    assert np.isnan(few["ci_low"])
    assert few["value"] == pytest.approx(-0.055, abs=0.03)
    assert many["ci_reason"] == ""
    assert many["ci_low"] < 0 < many["ci_high"]
    assert mean_intercept(1, 80)["ci_reason"] == "one_company"


def frames(windows: list[Planted]) -> dict:
    return {name: table.to_pandas() for name, table in planted_tables(windows).items()}


def true_rate(said: np.ndarray, factor: float) -> float:
    odds = factor * said / (1 - said)
    return float((odds / (1 + odds)).mean())


@pytest.mark.parametrize("buyers", [1, 5])
def test_companies_without_buyers_count_in_the_average_ratio(buyers):
    """A model that is right is not accused, however few buyers a company has."""
    windows = like_companies(400, 50, buyers / 50, {"truth": 1.0}, seed=4, spread=0.3)
    assert (buyers == 5) == all(window.outcomes.any() for window in windows[:60])
    tables = frames(windows)
    row = pooled(tables, "observed_expected_ratio", "equal_company", "truth")
    assert row["n_companies_defined"] == 400
    truth = np.mean([w.outcomes.mean() for w in windows]) / np.mean(
        [w.probabilities["truth"].mean() for w in windows]
    )
    assert row["value"] == pytest.approx(truth)
    assert row["ci_low"] < 1 < row["ci_high"]
