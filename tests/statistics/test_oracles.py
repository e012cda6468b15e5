"""Statistics against SciPy, scikit-learn, statsmodels, a brute-force version, or their own laws."""

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from scale_eval.statistics import logistic
from scale_eval.statistics.bootstrap import company_keys, percentile_interval, poisson_weights
from scale_eval.statistics.comparison import benjamini_hochberg, equivalence, wilcoxon
from scale_eval.statistics.decomposition import corp, isotonic, murphy
from scale_eval.statistics.delong import auc_difference, delong
from scale_eval.statistics.dispersion import QUANTILES, dispersion
from scale_eval.statistics.jackknife import delete_a_group
from scale_eval.statistics.linearization import linearised, ratio_influence
from scale_eval.statistics.prediction import confidence_distribution, prediction_interval
from scale_eval.statistics.proportions import logit_interval, wilson_interval
from scale_eval.statistics.random_effects import (
    generalised_q,
    invert_q,
    q_profile,
    random_effects,
    weighted_sums,
)
from scale_eval.statistics.ranks import friedman, friedman_of_mean_ranks, studentized_range
from scale_eval.statistics.shrinkage import shrink
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.variance_components import variance_components
from scale_eval.statistics.variance_moderation import moderate


def effects(k: int, tau: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    v = np.exp(rng.normal(math.log(0.04), 0.9, k))
    return rng.normal(0.3, np.sqrt(tau**2 + v)), v


# ── Intervals over companies ────────────────────


def test_a_plain_mean_has_students_interval():
    y = np.random.default_rng(0).gamma(2.0, size=17)
    error = linearised((y - y.mean()) / len(y), np.ones(len(y)))
    assert error.std_error == pytest.approx(stats.sem(y))
    assert error.interval(y.mean()) == pytest.approx(
        stats.t.interval(0.95, 16, y.mean(), stats.sem(y))
    )


def test_the_influence_of_a_company_on_a_ratio_is_what_leaving_it_out_takes_away():
    rng = np.random.default_rng(1)
    numerator, denominator = rng.gamma(2.0, size=(2, 400))
    influence = ratio_influence(numerator, denominator)
    ratio = numerator.sum() / denominator.sum()
    without = (numerator.sum() - numerator) / (denominator.sum() - denominator)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert influence == pytest.approx(ratio - without, rel=0.02, abs=1e-9)


def test_one_company_that_weighs_all_has_no_interval():
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        linearised(np.array([0.0, 0.0]), np.array([3.0, 0.0]))


def test_leaving_out_each_company_of_a_mean_is_the_textbooks_error():
    y = np.random.default_rng(2).normal(size=23)
    left_out = (y.sum() - y) / 22
    jackknife = delete_a_group(float(y.mean()), left_out)
    assert jackknife.std_error == pytest.approx(stats.sem(y))
    assert jackknife.value_corrected == pytest.approx(y.mean())


def test_the_jackknife_corrects_the_bias_of_a_variance():
    """Quenouille's correction makes the variance with ddof 0 that with ddof 1, exactly."""
    y = np.random.default_rng(3).normal(size=12)
    left_out = np.array([np.delete(y, i).var() for i in range(12)])
    assert delete_a_group(y.var(), left_out).value_corrected == pytest.approx(y.var(ddof=1))


def test_a_companys_bootstrap_weights_are_its_own_whatever_stands_beside_it():
    keys = company_keys(["a", "b", "ü"])
    together = poisson_weights(keys, 50, seed=4)
    assert (poisson_weights(keys[::-1], 50, seed=4)[:, ::-1] == together).all()
    assert (poisson_weights(keys[1:2], 50, seed=4)[:, 0] == together[:, 1]).all()
    assert (poisson_weights(keys, 80, seed=4)[:50] == together).all()
    assert (poisson_weights(keys, 50, seed=5) != together).any()
    assert len(set(keys.tolist())) == 3


def test_bootstrap_weights_are_poisson():
    weights = poisson_weights(company_keys(map(str, range(40))), 2_000, seed=0)
    observed = np.bincount(np.minimum(weights.ravel(), 5), minlength=6) / weights.size
    expected = [*stats.poisson.pmf(range(5), 1), stats.poisson.sf(4, 1)]
    assert observed == pytest.approx(expected, abs=0.005)
    assert abs(np.corrcoef(weights.T) - np.eye(40)).max() < 0.12


def test_a_percentile_interval_is_the_middle_of_the_replicates():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


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
    ours = random_effects(y, v, "dersimonian_laird")
    assert ours.tau2 == pytest.approx(max(0, theirs.tau2), rel=1e-9)  # theirs may be below 0
    if theirs.tau2 > 0:
        assert ours.mu == pytest.approx(theirs.mean_effect_re, rel=1e-9)
    assert ours.q == pytest.approx(theirs.q, rel=1e-9)
    # Asked for more, it may step over its root by a rounding error, and then says 0.
    iterated = combine_effects(y, v, method_re="iterated", atol=1e-7, maxiter=1_000)
    paule_mandel = random_effects(y, v, "paule_mandel")
    assert paule_mandel.tau2 == pytest.approx(iterated.tau2, rel=1e-5)
    assert paule_mandel.knapp_hartung_std_error == pytest.approx(
        iterated.sd_eff_w_re_hksj, rel=1e-4
    )


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
    assert (fit.tau2, fit.i_squared, fit.h_squared) == (0, 0, 1)
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        random_effects(np.array([0.2]), np.array([0.1]))
    with pytest.raises(ValueError, match="above 0"):
        random_effects(np.array([0.2, 0.1]), np.array([0.1, 0.0]))
    with pytest.raises(ValueError, match="reml, dersimonian_laird, paule_mandel"):
        random_effects(np.array([0.2, 0.1]), np.array([0.1, 0.1]), "DL")


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


# ── Moderated variances ────────────────────


def test_noise_alone_is_moderated_away_and_true_differences_stay():
    rng = np.random.default_rng(10)
    base = np.exp(rng.normal(-3, 1, 5_000))
    noisy = 1.3 * base * rng.chisquare(16, 5_000) / 16
    assert moderate(noisy, base, 16) / base == pytest.approx(1.3, rel=0.15)
    factor = np.exp(rng.normal(0, 1.0, 5_000))  # far more than the noise
    differing = moderate(factor * noisy, base, 16) / (1.3 * factor * base)
    assert np.std(np.log(differing)) < np.std(np.log(noisy / (1.3 * base)))
    assert (
        np.corrcoef(np.log(moderate(factor * noisy, base, 16) / base), np.log(factor))[0, 1] > 0.9
    )


def test_moderation_is_limmas_closed_form():
    """Smyth 2004, section 6.2: moments of z = log s^2, in the simplest case of equal bases."""
    rng = np.random.default_rng(11)
    d0, s0_squared, df = 6.0, 2.0, 16
    truth = s0_squared * d0 / rng.chisquare(d0, 200_000)
    estimates = truth * rng.chisquare(df, 200_000) / df
    moderated = moderate(estimates, np.ones(200_000), df)
    assert moderated == pytest.approx((d0 * s0_squared + df * estimates) / (d0 + df), rel=0.03)


def test_few_ratios_are_left_as_they_are():
    assert moderate(np.array([0.2, 0.3]), np.array([1.0, 1.0]), 16).tolist() == [0.2, 0.3]


# ── Variance components ────────────────────


def crossed(k: int, c: int, seed: int, missing: float = 0.3):
    rng = np.random.default_rng(seed)
    company, cutoff = (x.ravel() for x in np.meshgrid(range(k), range(c), indexing="ij"))
    values = (
        0.7
        + rng.normal(0, 0.5, k)[company]
        + rng.normal(0, 0.3, c)[cutoff]
        + rng.normal(0, 0.4, k * c)
    )
    kept = rng.random(k * c) > missing
    return values[kept], company[kept], cutoff[kept]


@pytest.mark.parametrize("seed", range(3))
def test_components_are_at_the_top_of_the_restricted_likelihood_of_dense_matrices(seed):
    values, company, cutoff = crossed(14, 5, seed)
    n = len(values)
    same_company = (company[:, None] == company).astype(float)
    same_cutoff = (cutoff[:, None] == cutoff).astype(float)
    ones = np.ones(n)

    def minus(log_variances: np.ndarray) -> float:
        a, b, e = np.exp(log_variances)
        covariance = a * same_company + b * same_cutoff + e * np.eye(n)
        inverse = np.linalg.inv(covariance)
        total = ones @ inverse @ ones
        residual = values - (ones @ inverse @ values) / total
        return (
            np.linalg.slogdet(covariance)[1] + np.log(total) + residual @ inverse @ residual
        ) / 2

    best = optimize.minimize(
        minus,
        np.log([0.2, 0.1, 0.2]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4_000},
    )
    fit = variance_components(values, company, cutoff)
    found = np.array([fit.company, fit.cutoff, fit.residual])
    assert found == pytest.approx(np.exp(best.x), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_no_point_of_a_grid_is_better_than_the_components_found(seed):
    """Three companies and six cutoffs: the likelihood often has a second top at 0."""
    values, company, cutoff = crossed(3, 6, 900 + seed, missing=0.0)
    fit = variance_components(values, company, cutoff)

    def minus(a: float, b: float, e: float) -> float:
        same = [(label[:, None] == label).astype(float) for label in (company, cutoff)]
        covariance = a * same[0] + b * same[1] + e * np.eye(len(values))
        inverse = np.linalg.inv(covariance)
        residual = values - inverse.sum(axis=0) @ values / inverse.sum()
        return (
            np.linalg.slogdet(covariance)[1] + np.log(inverse.sum()) + residual @ inverse @ residual
        )

    found = minus(fit.company, fit.cutoff, fit.residual)
    grid = itertools.product([0, 0.02, 0.1, 0.4], [0, 0.02, 0.1, 0.4], [0.05, 0.15, 0.4])
    assert found <= min(minus(*point) for point in grid) + 1e-6


def test_intervals_of_components_hold_the_truth():
    inside = np.zeros(2)
    for seed in range(150):
        fit = variance_components(*crossed(20, 6, 500 + seed))
        ends = (fit.company_interval, fit.cutoff_interval)
        inside += [
            low <= truth <= high for (low, high), truth in zip(ends, (0.25, 0.09), strict=True)
        ]
    assert inside / 150 == pytest.approx([0.95, 0.95], abs=0.05)


def test_components_move_with_units_and_not_with_labels_or_order():
    values, company, cutoff = crossed(12, 4, 4)
    one = variance_components(values, company, cutoff)
    order = np.random.default_rng(0).permutation(len(values))
    labels = np.array([f"company {99 - i}" for i in range(12)])
    other = variance_components(1e-4 * values[order], labels[company[order]], cutoff[order])
    assert other.company == pytest.approx(1e-8 * one.company, rel=1e-4)
    assert other.cutoff == pytest.approx(1e-8 * one.cutoff, rel=1e-4)


def test_companies_seen_once_cannot_be_told_from_noise():
    with pytest.raises(Undefined, match="no_repeated_cutoffs"):
        variance_components(np.arange(4.0), np.arange(4), np.array([0, 1, 0, 1]))
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        variance_components(np.arange(4.0), np.zeros(4), np.arange(4))
    constant = variance_components(np.ones(4), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert (constant.company, constant.cutoff, constant.residual) == (0, 0, 0)


# ── Dispersion ────────────────────


@settings(deadline=None)  # the first compiles
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sampled_from([0, 1, 15]))
def test_dispersion_is_that_of_numpy(values, decimals):
    values = np.array(values).round(decimals)
    found = dispersion(values)
    assert found["mean"] == values.mean()
    if len(values) > 1:
        assert found["std"] == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert [found[name] for name in QUANTILES] == np.quantile(
        values, list(QUANTILES.values())
    ).tolist()
    assert found["iqr"] == found["p75"] - found["p25"]
    assert (found["min"], found["max"]) == (values.min(), values.max())
    assert found["mad"] == np.median(np.abs(values - np.quantile(values, 0.5)))


def test_of_one_value_there_is_no_spread_and_of_none_nothing():
    one = dispersion(np.array([2.5]))
    assert math.isnan(one.pop("std"))
    assert one == {name: 0.0 if name in ("mad", "iqr") else 2.5 for name in one}
    assert all(math.isnan(value) for value in dispersion(np.array([])).values())


# ── Comparisons ────────────────────


def test_differences_of_0_are_dropped_before_ranking():
    d = np.random.default_rng(12).normal(0.3, 1, 40)
    assert wilcoxon(np.concatenate([d, np.zeros(9)])) == wilcoxon(d)
    assert wilcoxon(d)[1] == pytest.approx(stats.wilcoxon(d).pvalue)
    with pytest.raises(Undefined, match="fewer_than_6_companies"):
        wilcoxon(np.array([1.0, 2, 3, 4, 5, 0, 0, 0]))


@pytest.mark.parametrize("n", [6, 13, 14, 49, 50, 51, 52, 400, 30_000])
@pytest.mark.parametrize("decimals", [0, 1, 15])  # from many ties to none
def test_signed_ranks_are_scipys_for_few_and_many_with_ties_and_without(n, decimals):
    d = np.random.default_rng(n).normal(0.01, 2, n).round(decimals)
    for some in (d, np.abs(d), -np.abs(d)):
        some = some[some != 0]
        if len(some) < 6:
            continue
        statistic, p = wilcoxon(some)
        expected = stats.wilcoxon(some)
        assert statistic == expected.statistic
        normal = 13 < len(some) <= 50 and len(np.unique(np.abs(some))) < len(some)  # SciPy's
        assert p == pytest.approx(expected.pvalue, rel=1e-12, abs=0.01 if normal else None)


def test_with_ties_the_signed_rank_test_is_that_of_all_signs():
    d = np.array([3, -1, 1, 1, -2, 2, 4, 4, -4, 5, 5, 5, 1, 3, 9, -6])
    ranks = stats.rankdata(np.abs(d))
    signs = np.array(list(itertools.product([0, 1], repeat=len(d))))
    statistic, p = wilcoxon(d.astype(float))
    assert statistic == min(ranks[d > 0].sum(), ranks[d < 0].sum())
    assert p == pytest.approx(2 * np.mean(signs @ ranks <= statistic), rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_adjusted_p_values_are_statsmodels_and_unknown_ones_do_not_count(p):
    p = np.array(p)
    theirs = multipletests(p, method="fdr_bh")[1]
    assert benjamini_hochberg(p) == pytest.approx(theirs)
    with_unknown = benjamini_hochberg(np.array([np.nan, *p]))
    assert np.isnan(with_unknown[0]) and with_unknown[1:] == pytest.approx(theirs)
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


@pytest.mark.parametrize("mean", [0.0, 0.004, -0.009, 0.2])
def test_equivalence_is_statsmodels_tost(mean):
    rng = np.random.default_rng(13)
    a, noise = rng.normal(size=25), rng.normal(mean, 0.02, 25)
    theirs = ttost_paired(a + noise, a, -0.01, 0.01)[0]
    ours = equivalence(noise.mean(), stats.sem(noise), 24, 0.01)
    assert ours.p_value == pytest.approx(theirs, abs=1e-9)
    assert ours.equivalent == (theirs < 0.05)


def test_differences_that_do_not_vary_are_equivalent_inside_the_margin_only():
    assert equivalence(0.0, 0.0, 4, 0.01).equivalent
    assert not equivalence(0.01, 0.0, 4, 0.01).equivalent


def test_friedman_is_scipys_with_ties_too():
    losses = np.round(np.random.default_rng(14).normal([0, 0.3, 0.3, 0.9], size=(30, 4)), 1)
    theirs = stats.friedmanchisquare(*losses.T)
    ours = friedman(losses)
    assert (ours.chi_squared, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert ours.mean_ranks.sum() == pytest.approx(10)
    without_ties = friedman_of_mean_ranks(ours.mean_ranks, 30)
    assert without_ties.chi_squared < ours.chi_squared
    assert friedman(np.ones((3, 3))).p_value == 1
    with pytest.raises(Undefined, match="fewer_than_2_companies"):
        friedman(losses[:1])
    with pytest.raises(Undefined, match="fewer_than_2_models"):
        friedman(losses[:, :1])


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 4, 12, 60])
def test_the_studentized_range_is_scipys(n, level):
    theirs = stats.studentized_range.ppf(level, n, np.inf)
    assert studentized_range(level, n) == pytest.approx(theirs, rel=1e-6)
    of_two = math.sqrt(2) * stats.norm.ppf((1 + level) / 2)
    assert n > 2 or studentized_range(level, n) == pytest.approx(of_two, rel=1e-10)


# ── AUCs and shares ────────────────────


def test_delong_counts_pairs_by_brute_force_with_ties():
    rng = np.random.default_rng(15)
    y = rng.random(40) < 0.3
    scores = rng.integers(0, 8, (3, 40)).astype(float)
    auc, covariance = delong(y, scores)
    assert auc == pytest.approx([roc_auc_score(y, s) for s in scores])
    won = [(s[y][:, None] > s[~y]) + 0.5 * (s[y][:, None] == s[~y]) for s in scores]
    m, k = y.sum(), (~y).sum()
    for i, j in itertools.product(range(3), repeat=2):
        of_positives = np.cov(won[i].mean(axis=1), won[j].mean(axis=1))[0, 1]
        of_negatives = np.cov(won[i].mean(axis=0), won[j].mean(axis=0))[0, 1]
        assert covariance[i, j] == pytest.approx(of_positives / m + of_negatives / k)


def test_scores_that_rank_alike_do_not_differ():
    y = np.arange(20) % 3 == 0
    score = np.random.default_rng(16).normal(size=20)
    test = auc_difference(y, score, np.exp(score))
    assert (test.difference, test.z, test.p_value) == (0, 0, 1)
    with pytest.raises(Undefined, match="fewer_than_2_positives"):
        delong(np.arange(9) == 0, score[:9])
    with pytest.raises(Undefined, match="fewer_than_2_negatives"):
        delong(np.arange(9) != 0, score[:9])


def test_wilson_is_statsmodels_and_never_leaves_0_and_1():
    successes, n = np.array([0, 1, 7, 20, 20]), np.array([20, 20, 20, 20, 0])
    low, high = wilson_interval(successes, n)
    theirs = [proportion_confint(s, 20, method="wilson") for s in (0, 1, 7, 20)]
    assert np.column_stack([low, high])[:4] == pytest.approx(np.array(theirs), abs=1e-12)
    assert np.isnan(low[4]) and low[0] == 0 and high[3] == 1


def test_the_interval_of_an_auc_is_on_the_logit_scale():
    low, high = logit_interval(0.9, 0.03)
    half = 1.959964 * 0.03 / 0.09
    assert (logit(low), logit(high)) == pytest.approx((logit(0.9) - half, logit(0.9) + half))
    assert high < 1 < 0.9 + 4 * 0.03
    with pytest.raises(Undefined, match="at_the_edge"):
        logit_interval(1.0, 0.0)


# ── Calibration ────────────────────


def blocks(seed: int, n: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.normal(-1, 1.2, n))
    rows = rng.integers(1, 40, n)
    positives = rng.binomial(rows, expit(0.3 + 0.7 * x))
    return x, positives, rows - positives


def test_slopes_and_intercepts_are_statsmodels():
    x, positives, negatives = blocks(17)
    counts = np.column_stack([positives, negatives])
    theirs = sm.GLM(counts, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-12)
    fit = logistic.fit(x, positives, negatives)
    assert (fit.intercept, fit.slope) == pytest.approx(tuple(theirs.params), rel=1e-8)
    assert fit.std_error == pytest.approx(theirs.bse[1], rel=1e-6)
    offset = sm.GLM(counts, np.ones(len(x)), family=sm.families.Binomial(), offset=x).fit(tol=1e-12)
    assert logistic.intercept(x, positives, negatives) == pytest.approx(offset.params[0], rel=1e-8)


def test_many_regressions_at_once_are_each_of_them():
    x, positives, negatives = blocks(18)
    rng = np.random.default_rng(19)
    many = [(rng.binomial(positives, 0.7), rng.binomial(negatives, 0.7)) for _ in range(9)]
    apart = np.where(x > 0, 5, 0), np.where(x > 0, 0, 5)  # separable
    many += [apart, (0 * positives, negatives), (positives, 0 * negatives)]
    slopes = logistic.slopes(x, *(np.array(c) for c in zip(*many, strict=True)))
    intercepts = logistic.intercepts(x, *(np.array(c) for c in zip(*many, strict=True)))
    for (p, q), slope, intercept in zip(many[:9], slopes, intercepts, strict=False):
        assert slope == pytest.approx(logistic.fit(x, p, q).slope, rel=1e-8)
        assert intercept == pytest.approx(logistic.intercept(x, p, q), rel=1e-8)
    assert np.isnan(slopes[9:]).all()
    assert np.isnan(intercepts[10:]).all() and np.isfinite(intercepts[9])


def test_a_customers_influence_on_the_slope_is_what_it_loses_without_them():
    x, positives, negatives = blocks(20, n=40)
    fit = logistic.fit(x, positives, negatives)
    of_positive, of_negative = logistic.slope_influence(x, positives, negatives, fit)
    assert positives @ of_positive + negatives @ of_negative == pytest.approx(0, abs=1e-9)
    for block in np.flatnonzero(positives > 1)[::5]:
        one = np.zeros_like(positives)
        one[block] = 1
        without = logistic.fit(x, positives - one, negatives).slope
        assert of_positive[block] == pytest.approx(fit.slope - without, rel=0.1, abs=2e-4)


def test_a_common_slope_is_a_regression_with_an_intercept_for_each_stratum():
    parts = [blocks(21 + i) for i in range(4)]
    x, positives, negatives = (np.concatenate(c) for c in zip(*parts, strict=True))
    stratum = np.repeat([7, 3, 9, 5], 30)
    positives[stratum == 9] = 0  # says nothing of the slope
    fit = logistic.common_slope(x, positives, negatives, stratum)
    kept = stratum != 9
    design = np.column_stack([*(stratum[kept] == s for s in (3, 5, 7)), x[kept]]).astype(float)
    counts = np.column_stack([positives[kept], negatives[kept]])
    theirs = sm.GLM(counts, design, family=sm.families.Binomial()).fit(tol=1e-12)
    assert fit.slope == pytest.approx(theirs.params[3], rel=1e-8)
    assert fit.std_error == pytest.approx(theirs.bse[3], rel=1e-6)
    assert fit.strata.tolist() == [3, 5, 7]
    assert fit.influence.sum() == pytest.approx(0, abs=1e-8)
    assert 1 / math.sqrt(fit.information.sum()) == pytest.approx(fit.std_error)


@pytest.mark.parametrize(
    ("x", "positives", "negatives", "reason"),
    [
        ([0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1], "one_class"),
        ([2, 2, 5, 5], [1, 2, 1, 1], [1, 0, 3, 1], "constant_predictions"),
        ([0, 1, 0, 1], [0, 3, 0, 1], [2, 0, 1, 0], "separable"),
    ],
)
def test_a_common_slope_that_does_not_exist_has_its_reason(x, positives, negatives, reason):
    stratum = np.array([0, 0, 1, 1])
    with pytest.raises(Undefined, match=reason):
        logistic.common_slope(*(np.array(a) for a in (x, positives, negatives)), stratum)


def test_replicates_of_an_intercept_are_as_exact_as_each_alone():
    random = np.random.default_rng(2)
    x = np.sort(random.normal(-2, 1, 800))
    rows = random.poisson(30, (20, 800))
    positives = random.binomial(rows, 1 / (1 + np.exp(-x - 0.1)))
    negatives = rows - positives
    without = [counts.sum(axis=0) - counts for counts in (positives, negatives)]
    alone = [logistic.intercept(x, p, q) for p, q in zip(*without, strict=True)]
    assert logistic.intercepts(x, *without) == pytest.approx(alone, rel=0, abs=1e-11)


def test_recalibrated_rates_are_scipys_isotonic_regression():
    random = np.random.default_rng(3)
    rows = random.integers(1, 30, 500)
    positives = random.binomial(rows, np.linspace(0.1, 0.4, 500))
    theirs = isotonic_regression(positives / rows, weights=rows).x
    ours = isotonic(np.arange(500.0), positives, rows - positives)
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15)


def test_recalibrated_rates_are_scikit_learns_isotonic_regression():
    rng = np.random.default_rng(22)
    p = rng.integers(0, 30, 50) / 30  # ties, in any order
    positives, negatives = rng.integers(0, 5, 50), rng.integers(1, 5, 50)
    rows = positives + negatives
    theirs = IsotonicRegression().fit_transform(p, positives / rows, sample_weight=rows)
    assert isotonic(p, positives, negatives) == pytest.approx(theirs, abs=1e-6)


def test_the_parts_of_a_loss_add_up_to_it_on_any_data():
    rng = np.random.default_rng(6)
    p = rng.integers(0, 21, 200) / 20  # heavy ties, 0 and 1 too
    y = (rng.random(200) < p).astype(int)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    losses = {"brier_score": brier_score_loss(y, p), "log_loss": log_loss(y, clipped)}
    for loss, (miscalibration, discrimination, uncertainty) in corp(p, y, 1 - y).items():
        assert min(miscalibration, discrimination) >= 0
        assert miscalibration - discrimination + uncertainty == pytest.approx(losses[loss])
    rel, res, unc, wbv, wbc = murphy(p, y, 1 - y, np.linspace(0, 1, 11))
    assert rel - res + unc + wbv - wbc == pytest.approx(losses["brier_score"])


def test_no_customers_have_no_decomposition():
    nobody = np.zeros(0)
    with pytest.raises(Undefined, match="no_customers"):
        corp(nobody, nobody, nobody)
    with pytest.raises(Undefined, match="no_customers"):
        murphy(nobody, nobody, nobody, np.array([0.5]))


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
