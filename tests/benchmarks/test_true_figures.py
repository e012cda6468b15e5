"""The truth of simulated companies is what their customers do, if there are very many of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.population import MODELS, POPULATIONS, Companies, LogNormal, Pareto
from benchmarks.true_figures import TrueFigures

N = 50_000


@pytest.fixture(scope="module")
def companies() -> Companies:
    """Three companies of 50,000 customers at two cutoffs."""
    population = replace(POPULATIONS[5], sizes=LogNormal(N, 0), n_cutoffs=2, rate=0.3, rate_sd=0.3)
    return Companies.drawn(3, population, seed=5)


@pytest.fixture(scope="module")
def truth(companies) -> TrueFigures:
    return TrueFigures(companies)


@pytest.fixture(scope="module")
def windows(companies) -> list[list]:
    return [list(companies.windows(i, seed=6)) for i in range(len(companies))]


def means(windows: list[list], figure) -> np.ndarray:
    """Return a figure of outcomes and probabilities by window and model."""
    return np.array(
        [
            [[figure(w.outcomes, w.probabilities[model]) for model in MODELS] for w in of_company]
            for of_company in windows
        ]
    )


def gain(y: np.ndarray, p: np.ndarray) -> float:
    return float(y[np.argsort(-p)[: len(y) // 10]].sum() / y.sum())


def regression(y: np.ndarray, p: np.ndarray) -> LogisticRegression:
    x = np.log(p / (1 - p)).reshape(-1, 1)
    return LogisticRegression(C=1e9).fit(x, y)


@pytest.mark.parametrize(
    ("metric", "figure", "tolerance"),
    [
        ("log_loss", lambda y, p: -np.log(np.where(y, p, 1 - p)).mean(), 0.008),
        ("brier_score", lambda y, p: np.square(p - y).mean(), 0.003),
        ("roc_auc", roc_auc_score, 0.012),
        ("average_precision", average_precision_score, 0.03),
        ("gain_at_10", gain, 0.03),
        ("observed_expected_ratio", lambda y, p: y.mean() / p.mean(), 0.03),
        ("calibration_slope", lambda y, p: regression(y, p).coef_[0, 0], 0.08),
    ],
)
def test_true_figures_are_those_of_very_many_customers(windows, truth, metric, figure, tolerance):
    assert means(windows, figure) == pytest.approx(truth.by_window[metric], abs=tolerance)


def test_true_figures_of_all_rows_are_those_of_very_many_customers(windows, truth):
    for m, model in enumerate(MODELS):
        y = np.concatenate([w.outcomes for of_company in windows for w in of_company])
        p = np.concatenate([w.probabilities[model] for of_company in windows for w in of_company])
        assert truth.pooled("roc_auc", "row")[m] == pytest.approx(roc_auc_score(y, p), abs=0.003)
        precision = average_precision_score(y, p)
        assert truth.pooled("average_precision", "row")[m] == pytest.approx(precision, abs=0.006)
        assert truth.pooled("gain_at_10", "row")[m] == pytest.approx(gain(y, p), abs=0.004)
        slope = regression(y, p).coef_[0, 0]
        assert truth.pooled("calibration_slope", "row")[m] == pytest.approx(slope, abs=0.02)


def test_one_slope_within_companies_is_that_of_an_intercept_each(windows, truth):
    y = np.concatenate([w.outcomes for of_company in windows for w in of_company])
    window = np.repeat(np.arange(6), N)
    for m, model in enumerate(MODELS):
        p = np.concatenate([w.probabilities[model] for of_company in windows for w in of_company])
        x = np.column_stack([np.log(p / (1 - p)), np.eye(6)[window]])
        fit = LogisticRegression(C=1e9, fit_intercept=False, max_iter=500).fit(x[::5], y[::5])
        assert truth.pooled("calibration_slope", "within_company")[m] == pytest.approx(
            fit.coef_[0, 0], abs=0.05
        )


def test_precision_and_gain_of_few_customers_are_means_over_draws_of_as_many():
    population = replace(POPULATIONS[0], sizes=LogNormal(12, 0), rate_sd=0.0, tau=0.0, by_size=0.0)
    companies = Companies.drawn(100, population, seed=2)
    truth = TrueFigures(companies)
    drawn = [w for i in range(100) for draw in range(10) for w in companies.windows(i, 3, draw)]
    buys = [w for w in drawn if w.outcomes.any()]
    mean = np.mean([average_precision_score(w.outcomes, w.probabilities["model_a"]) for w in buys])
    assert truth.pooled("average_precision", "equal_company")[0] == pytest.approx(mean, abs=0.03)


def test_the_average_company_has_a_mean_rate_over_a_mean_prediction():
    """Two companies by hand: rates .1 and .4, of which .2 and .4 are predicted."""
    population = replace(
        POPULATIONS[7],
        log_odds_ratio=(float(np.log((0.1 / 0.9) / (0.2 / 0.8))), 0.0),
        ability=1e-9,
        sizes=LogNormal(50, 0),
    )
    low, high = Companies.drawn(1, population, 0), Companies.drawn(1, population, 0)
    high = replace(high, rate=np.array([[0.4]]), shift=np.full((1, 2), np.log(0.4 / 0.6)))
    high = replace(high, usual=np.array([0.5]))  # logit 0: the models say the shift alone
    both = replace(
        low, **{name: np.concatenate([getattr(low, name), getattr(high, name)]) for name in ARRAYS}
    )
    ratio = TrueFigures(both).pooled("observed_expected_ratio", "equal_company")
    assert ratio[0] == pytest.approx((0.1 + 0.4) / (0.2 + 0.4), abs=1e-6)


ARRAYS = ("size", "usual", "known_rate", "rate", "distance", "shift", "stretch")


def test_sizes_fall_off_as_they_should():
    u = np.array([0.0, 0.5, 0.99])
    assert Pareto(40, 1.0).quantile(u) == pytest.approx([40, 80, 4_000])
    assert LogNormal(100, 0.0).quantile(u[1:]) == pytest.approx([100, 100])
