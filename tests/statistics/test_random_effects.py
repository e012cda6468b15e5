"""Random effects, prediction and shrinkage against statsmodels, draws, or their own laws."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from scale_eval.statistics.prediction import confidence_distribution
from scale_eval.statistics.random_effects import (
    generalised_q,
    invert_q,
    q_profile,
    random_effects,
    weighted_sums,
)
from scale_eval.statistics.shrinkage import shrink
from scale_eval.statistics.undefined import Undefined
from tests.support.literature import (
    dersimonian_laird,
    paule_mandel,
    prediction_interval,
)


def effects(k: int, tau: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    v = np.exp(rng.normal(math.log(0.04), 0.9, k))
    return rng.normal(0.3, np.sqrt(tau**2 + v)), v


# ── Random effects ────────────────────


@pytest.mark.parametrize(("k", "tau"), [(2, 0.3), (5, 0.0), (8, 0.4), (60, 0.15), (400, 0.05)])
@pytest.mark.parametrize("seed", range(4))
def test_reml_is_at_the_top_of_the_restricted_likelihood(k, tau, seed):
    y, v = effects(k, tau, seed)

    def minus(tau2: float) -> float:
        covariance = tau2 + v
        w = 1 / covariance
        mu = (w * y).sum() / w.sum()
        return (np.log(covariance).sum() + np.log(w.sum()) + (w * (y - mu) ** 2).sum()) / 2

    grid = np.concatenate([[0], np.geomspace(1e-6, 3, 3_000)])
    best = grid[np.argmin([minus(t) for t in grid])]
    found = random_effects(y, v).tau2
    assert minus(found) <= minus(best) + 1e-9
    assert found == pytest.approx(best, rel=0.02, abs=1e-5)


@pytest.mark.parametrize("k", [3, 12, 25])
def test_moments_agree_with_statsmodels(k):
    y, v = effects(k, 0.3, k)
    theirs = combine_effects(y, v, method_re="chi2", use_t=True)
    ours = dersimonian_laird(y, v)
    assert ours.tau2 == pytest.approx(max(0, theirs.tau2), rel=1e-9)  # theirs may be below 0
    if theirs.tau2 > 0:
        assert ours.mu == pytest.approx(theirs.mean_effect_re, rel=1e-9)
    assert generalised_q(y, v, 0.0) == pytest.approx(theirs.q, rel=1e-9)
    # Asked for more, it may step over its root by a rounding error, and then says 0.
    iterated = combine_effects(y, v, method_re="iterated", atol=1e-7, maxiter=1_000)
    ours = paule_mandel(y, v)
    assert ours.tau2 == pytest.approx(iterated.tau2, rel=1e-5)
    assert ours.knapp_hartung_std_error == pytest.approx(iterated.sd_eff_w_re_hksj, rel=1e-4)


@given(st.floats(1e-6, 1e6), st.floats(-100, 100), st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_random_effects_do_not_depend_on_units_or_origin(scale, shift, seed):
    y, v = effects(9, 0.3, seed)
    one, other = random_effects(y, v), random_effects(scale * (y + shift), scale**2 * v)
    assert other.mu == pytest.approx(scale * (one.mu + shift), rel=1e-5, abs=1e-5 * scale)
    assert other.tau2 == pytest.approx(scale**2 * one.tau2, rel=1e-4, abs=1e-6 * scale**2)
    assert other.i_squared == pytest.approx(one.i_squared, abs=1e-4)


def test_q_is_what_its_inverse_says():
    y, v = effects(25, 0.4, 3)
    targets = np.array([15.0, 24.0, 40.0, 1e6])
    found = invert_q(y, v, targets)
    assert [generalised_q(y, v, t) for t in found[:3]] == pytest.approx(targets[:3].tolist())
    assert found[3] == 0


def test_the_interval_of_tau_holds_the_truth_as_often_as_it_says():
    inside = 0
    for seed in range(400):
        y, v = effects(20, 0.25, 10_000 + seed)
        low, high = q_profile(y, v)
        inside += low <= 0.25**2 <= high
    assert inside / 400 == pytest.approx(0.95, abs=0.035)


def test_equal_effects_have_no_spread_and_two_are_the_least():
    fit = random_effects(np.array([0.2, 0.2, 0.2]), np.array([0.1, 0.2, 0.3]))
    assert (fit.tau2, fit.i_squared) == (0, 0)
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        random_effects(np.array([0.2]), np.array([0.1]))
    with pytest.raises(ValueError, match="above 0"):
        random_effects(np.array([0.2, 0.1]), np.array([0.1, 0.0]))


@pytest.mark.parametrize("tau2", [0.0, 0.04])
@pytest.mark.parametrize("outlier", [0, 7])
def test_a_company_far_away_of_which_little_is_known_costs_no_digits(outlier, tau2):
    rng = np.random.default_rng(5)
    y, v = rng.normal(1e3, 1e-3, 600), rng.uniform(1e-6, 1e-5, 600)
    y[outlier], v[outlier] = -1e7, 1e30
    with localcontext(prec=200):
        w = [1 / (Decimal(tau2) + Decimal(variance)) for variance in v.tolist()]
        effects = [Decimal(effect) for effect in y.tolist()]
        mu = sum(a * b for a, b in zip(w, effects, strict=True)) / sum(w)
        squares = [(effect - mu) ** 2 for effect in effects]
        q = sum(a * b for a, b in zip(w, squares, strict=True))
        fall = sum(a * a * b for a, b in zip(w, squares, strict=True))
    found = weighted_sums(y, v, tau2)
    assert found.mu == pytest.approx(float(mu), rel=1e-14)
    assert found.q == pytest.approx(float(q), rel=1e-12)
    assert found.fall_of_q == pytest.approx(float(fall), rel=1e-12)


# ── Prediction ────────────────────


@pytest.mark.parametrize(("k", "tau"), [(5, 0.3), (30, 0.0), (30, 0.1), (700, 0.2)])
def test_the_mixture_is_what_draws_would_converge_to(k, tau):
    """Draws by definition: tau2 by inverting Q at a draw of chi squared, then mu, then theta."""
    y, v = effects(k, tau, 5)
    rng = np.random.default_rng(6)
    tau2 = invert_q(y, v, rng.chisquare(k - 1, 3_000)).repeat(30)
    w = 1 / (tau2[:, None] + v) if k < 100 else None
    if w is None:
        total = np.array([(1 / (t + v)).sum() for t in tau2[::30]]).repeat(30)
        mu = np.array([(y / (t + v)).sum() for t in tau2[::30]]).repeat(30) / total
    else:
        total, mu = w.sum(axis=1), (w @ y) / w.sum(axis=1)
    theta = rng.normal(mu, np.sqrt(1 / total + tau2))
    ours = confidence_distribution(y, v)
    spread = theta.std()
    near = 0.04 if k < 100 else 0.12  # many companies have a shape of their own
    for level in (0.05, 0.5, 0.95):
        assert ours.quantile(level) == pytest.approx(np.quantile(theta, level), abs=near * spread)
    assert ours.probability_above(0.35) == pytest.approx((theta > 0.35).mean(), abs=0.3 * near)


@pytest.mark.parametrize("k", [5, 30, 401, 3_000])
def test_quantiles_and_probabilities_are_each_others_inverse(k):
    distribution = confidence_distribution(*effects(k, 0.2, k))
    for level in (0.001, 0.025, 0.3, 0.5, 0.975):
        assert 1 - distribution.probability_above(distribution.quantile(level)) == pytest.approx(
            level, abs=1e-9
        )
    low, high = distribution.interval(0.5)
    wide_low, wide_high = distribution.interval(0.95)
    assert wide_low < low < high < wide_high


def test_few_companies_say_too_little_to_predict():
    for k in (1, 2, 3, 4):
        with pytest.raises(Undefined, match="too_few_companies"):
            confidence_distribution(*effects(k, 0.2, 1))
    with pytest.raises(Undefined, match="too_few_companies"):
        prediction_interval(random_effects(*effects(2, 0.2, 1)), "t(k-2)")
    with pytest.raises(ValueError, match="one of t"):
        prediction_interval(random_effects(*effects(9, 0.2, 1)), "hts")


def test_with_many_companies_the_prediction_is_the_spread_of_the_truth():
    y, v = effects(20_000, 0.25, 8)
    low, high = confidence_distribution(y, v).interval()
    assert (low, high) == pytest.approx((0.3 - 1.96 * 0.25, 0.3 + 1.96 * 0.25), abs=0.02)


def test_shrinkage_leaves_what_is_sure_and_takes_the_mean_for_what_is_not():
    y, v = np.array([2.0, 2.0, -1.0]), np.array([1e-9, 1e9, 0.5])
    shrunk, weight = shrink(y, v, mu=0.5, tau2=0.5)
    assert shrunk == pytest.approx([2.0, 0.5, -0.25])
    assert weight == pytest.approx([1, 0, 0.5], abs=1e-8)
    assert shrink(y, v, 0.5, 0.0)[0].tolist() == [0.5] * 3


def test_shrunk_values_are_nearer_to_the_truth_than_raw_ones():
    rng = np.random.default_rng(9)
    v = np.exp(rng.normal(math.log(0.04), 0.9, 300))
    truth = rng.normal(0.3, 0.15, 300)
    y = rng.normal(truth, np.sqrt(v))
    fit = random_effects(y, v)
    shrunk, _ = shrink(y, v, fit.mu, fit.tau2)
    assert ((shrunk - truth) ** 2).mean() < 0.5 * ((y - truth) ** 2).mean()
