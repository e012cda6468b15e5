"""Variances smoothed by size and known rate: unbiased, and blind to who was lucky."""

import numpy as np
import pytest
import statsmodels.api as sm

from scale_eval.statistics.random_effects import random_effects
from scale_eval.statistics.variance_smoothing import PRIOR_SD, smooth


def test_a_function_of_size_and_rate_is_found_again():
    rng = np.random.default_rng(1)
    k = 4_000
    size, rate = np.exp(rng.normal(4.7, 1.4, k)), 1 / (1 + np.exp(rng.normal(1.6, 0.7, k)))
    base = rate * (1 - rate) / size
    truth = 0.3 * base * size**-0.1 * (rate * (1 - rate)) ** 0.2
    noisy = truth * rng.chisquare(15, k) / 15
    covariates = np.log(np.column_stack([size, rate * (1 - rate)]))
    found = smooth(noisy, base, covariates, np.ones(k, bool))
    assert found / truth == pytest.approx(1, abs=0.05)


def test_the_fit_is_the_gamma_quasi_likelihood_of_statsmodels():
    rng = np.random.default_rng(2)
    k = 5_000
    x = rng.normal(size=k)
    y = np.exp(0.5 + 0.4 * x) * rng.chisquare(8, k) / 8
    base = np.exp(rng.normal(size=k))
    family = sm.families.Gamma(sm.families.links.Log())
    design = sm.add_constant(x)
    theirs = sm.GLM(y * base, design, family=family, offset=np.log(base)).fit()
    found = smooth(y * base, base, x[:, None], np.ones(k, bool))
    # The prior moves the exponent by its share of the information, 1 / (1 + sd^2 k / dispersion).
    moved = theirs.scale / (PRIOR_SD**2 * k)
    assert found == pytest.approx(theirs.fittedvalues, rel=5 * moved)


def test_the_mean_of_the_variances_is_kept():
    rng = np.random.default_rng(3)
    truth = np.exp(rng.normal(-3, 0.5, 800))
    noisy = truth * rng.chisquare(15, 800) / 15
    found = smooth(noisy, np.ones(800), np.zeros((800, 1)), np.ones(800, bool))
    assert found == pytest.approx(noisy.mean())


def test_three_companies_keep_the_exponents_of_theory():
    noisy, size = np.array([0.02, 0.011, 0.004]), np.array([50.0, 100.0, 200.0])
    found = smooth(noisy, 1 / size, np.log(size)[:, None], np.ones(3, bool))
    assert np.all(np.diff(found * size) / (found[:-1] * size[:-1]) < 0.25)
    assert found.sum() == pytest.approx(noisy.sum(), rel=0.1)


def test_estimates_that_are_not_trusted_move_nothing_and_get_a_variance():
    noisy = np.array([1.0, 2.0, 3.0, 999.0])
    trusted = np.array([True, True, True, False])
    covariates = np.zeros((4, 1))
    assert smooth(noisy, np.ones(4), covariates, trusted) == pytest.approx(2.0)


def test_nothing_that_varies_has_no_variance():
    assert smooth(np.zeros(3), np.ones(3), np.zeros((3, 1)), np.ones(3, bool)).tolist() == [0] * 3
    assert smooth(np.ones(2), np.ones(2), np.zeros((2, 1)), np.zeros(2, bool)).tolist() == [0] * 2


def test_lucky_companies_do_not_carry_the_mean():
    """Like companies of 80 customers: with their own variances the mean is far off."""
    rng = np.random.default_rng(4)
    by_own, by_smooth = [], []
    for _ in range(40):
        bought = rng.random((300, 80)) < 0.1
        loss = np.where(bought, np.log(1.6), np.log1p(-0.16) - np.log1p(-0.1))
        y, own = loss.mean(axis=1), loss.var(axis=1, ddof=1) / 80
        alike = smooth(own, np.full(300, 1 / 80), np.zeros((300, 0)), np.ones(300, bool))
        by_own.append(random_effects(y[own > 0], own[own > 0]).mu)
        by_smooth.append(random_effects(y, alike).mu)
    truth = 0.1 * np.log(1.6) + 0.9 * (np.log1p(-0.16) - np.log1p(-0.1))
    one_error = np.std(by_smooth)
    assert np.mean(by_smooth) == pytest.approx(truth, abs=4 * one_error / np.sqrt(40))
    assert abs(np.mean(by_own) - truth) > 3 * one_error
