"""Intervals over companies, shares and AUCs against SciPy, statsmodels or a brute-force version."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from scale_eval.statistics.bootstrap import company_keys, poisson_weights
from scale_eval.statistics.dispersion import QUANTILES, dispersion
from scale_eval.statistics.jackknife import delete_a_group
from scale_eval.statistics.linearization import linearised, ratio_influence
from scale_eval.statistics.proportions import logit_interval, wilson_interval
from scale_eval.statistics.undefined import Undefined
from tests.support.delong import auc_difference, delong
from tests.support.literature import (
    percentile_interval,
)

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
