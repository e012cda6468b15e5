"""Effects that go with the size of companies, against dense matrices and planted truth."""

import numpy as np
import pytest
from scipy import stats

from scale_eval.statistics.precision_trend import fit_trend, mean_over_companies, standardised
from scale_eval.statistics.prediction import confidence_distribution
from scale_eval.statistics.random_effects import random_effects


def companies(k: int, along: float, seed: int, tau: float = 0.02) -> tuple[np.ndarray, ...]:
    """Effects with mean 0 and standard deviation tau, of which `along` is the correlation with
    the logarithm of size."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=k)
    v = 0.03 / np.exp(np.log(109) + 1.4 * z)
    truth = tau * (along * z + np.sqrt(1 - along**2) * rng.normal(size=k))
    return truth + np.sqrt(v) * rng.normal(size=k), v, truth


@pytest.mark.parametrize("tau2", [1e-6, 4e-4, 0.1])
def test_the_fit_is_generalised_least_squares_of_dense_matrices(tau2):
    y, v, _ = companies(25, 0.5, 1)
    x = standardised(v)
    covariance = np.diag(v) + tau2 * (np.eye(25) + np.outer(x, x))
    inverse = np.linalg.inv(covariance)
    ones = np.ones(25)
    var_mu = 1 / (ones @ inverse @ ones)
    mu = var_mu * ones @ inverse @ y
    beta = tau2 * x @ inverse @ (y - mu)
    fit = fit_trend(y, v, x, tau2)
    assert (fit.mu, fit.beta) == pytest.approx((mu, beta))
    assert fit.q == pytest.approx((y - mu) @ inverse @ (y - mu))
    assert fit.var_mu == pytest.approx(var_mu)
    step = 1e-5 * tau2
    fall = fit_trend(y, v, x, tau2 - step).q - fit_trend(y, v, x, tau2 + step).q
    assert fit.fall_of_q == pytest.approx(fall / (2 * step), rel=1e-4)


def test_companies_that_are_alike_have_the_plain_random_effects():
    y, _, _ = companies(19, 0.0, 2)  # too few for a shape of their own
    v = np.full(19, 0.001)
    assert not standardised(v).any()
    plain = random_effects(y, v)
    mean, error = mean_over_companies(y, v, plain.tau2)
    assert (mean, error) == pytest.approx((plain.mu, plain.knapp_hartung_std_error))
    trend, without = confidence_distribution(y, v, standardised(v)), confidence_distribution(y, v)
    assert trend.interval() == pytest.approx(without.interval())


def test_the_mean_is_that_over_companies_where_effects_go_with_size():
    plain, ours, held = [], [], []
    for seed in range(200):
        y, v, _ = companies(100, 0.7, seed)
        fit = random_effects(y, v)
        mean, error = mean_over_companies(y, v, fit.tau2)
        plain.append(fit.mu)
        ours.append(mean)
        held.append(abs(mean) <= stats.t.ppf(0.975, 99) * error)
    assert np.mean(plain) > 0.25 * 0.02  # precise companies carry it
    assert abs(np.mean(ours)) < 0.05 * 0.02
    assert 0.9 < np.mean(held) < 0.99


@pytest.mark.parametrize("along", [-0.7, 0.7])
def test_probabilities_of_the_next_company_are_right_where_effects_go_with_size(along):
    plain, ours = [], []
    for seed in range(40):
        y, v, _ = companies(200, along, seed)
        plain.append(confidence_distribution(y, v).probability_above(0.0))
        ours.append(confidence_distribution(y, v, standardised(v)).probability_above(0.0))
    assert np.mean(ours) == pytest.approx(0.5, abs=0.03)
    assert abs(np.mean(plain) - 0.5) > 0.03


def test_the_prediction_interval_holds_the_next_company():
    held = []
    for seed in range(150):
        y, v, _ = companies(30, 0.6, seed)
        low, high = confidence_distribution(y, v, standardised(v)).interval()
        held.append(stats.norm.cdf(high, scale=0.02) - stats.norm.cdf(low, scale=0.02))
    assert 0.92 < np.mean(held) < 0.97


def kinds(name: str, k: int, rng: np.random.Generator) -> np.ndarray:
    """True effects with mean 0 and standard deviation 1, of two kinds or skewed."""
    if name == "two kinds":
        return np.where(rng.random(k) < 0.18, 2.13, -0.468)
    return rng.exponential(size=k) - 1


@pytest.mark.parametrize(
    ("name", "k", "noise", "within"),
    [("two kinds", 80, 0.02, 0.1), ("two kinds", 300, 0.02, 0.04), ("skewed", 80, 0.3, 0.07)],
)
def test_effects_need_not_be_normal(name, k, noise, within):
    """Of two kinds, the frequent one small: a normal says that both signs are as likely."""
    rng = np.random.default_rng(12)
    truth = kinds(name, 100_000, rng)
    said, normal, held = [], [], []
    for _ in range(40):
        v = noise * np.exp(0.9 * rng.normal(size=k))
        y = kinds(name, k, rng) + np.sqrt(v) * rng.normal(size=k)
        found = confidence_distribution(y, v, standardised(v))
        said.append(found.probability_above(0.0))
        normal.append(confidence_distribution(y, v).probability_above(0.0))
        low, high = found.interval()
        held.append(np.mean((low <= truth) & (truth <= high)))
    share = float(np.mean(truth > 0))
    assert np.mean(said) == pytest.approx(share, abs=within)
    assert abs(np.mean(normal) - share) > abs(np.mean(said) - share) + 0.03
    assert np.mean(held) > 0.93


def test_the_next_company_may_be_one_of_those_that_are_known_less_well():
    """Half are known well and alike, half known badly and three times as far apart."""
    rng = np.random.default_rng(2)
    apart = np.tile([0.01, 0.03], 150)
    v = np.where(apart == 0.01, 1e-5, 4e-4)
    truth = np.concatenate([rng.normal(0, 0.01, 10_000), rng.normal(0, 0.03, 10_000)])
    held = []
    for _ in range(20):
        y = rng.normal(0, apart) + rng.normal(0, np.sqrt(v))
        low, high = confidence_distribution(y, v, standardised(v)).interval()
        held.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.92 < np.mean(held) < 0.98


def test_where_companies_are_alike_those_known_badly_do_not_widen_the_prediction_much():
    """The true effect is 1 everywhere, and noise is unequal: tau2 is next to 0, or a bit above."""
    rng = np.random.default_rng(6)
    widths, wrong = [], []
    for _ in range(40):
        v = 0.04 * np.exp(1.2 * rng.normal(size=150))
        found = confidence_distribution(1 + rng.normal(0, np.sqrt(v)), v, standardised(v))
        low, high = found.interval()
        widths.append(high - low)
        wrong.append(1 - found.probability_above(0.0))
    assert max(widths) < 0.8  # noise alone has a standard deviation of .3 at the average company
    assert max(wrong) < 0.001
