"""Tests of differences and of ranks against SciPy and statsmodels."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from scale_eval.statistics.comparison import benjamini_hochberg, equivalence, t_test, wilcoxon
from scale_eval.statistics.ranks import friedman, studentized_range
from scale_eval.statistics.undefined import Undefined
from tests.support.literature import (
    friedman_of_mean_ranks,
)


def test_differences_of_0_are_dropped_before_ranking():
    d = np.random.default_rng(12).normal(0.3, 1, 40)
    assert wilcoxon(np.concatenate([d, np.zeros(9)])) == wilcoxon(d)
    assert wilcoxon(d)[1] == pytest.approx(stats.wilcoxon(d).pvalue)
    with pytest.raises(Undefined, match="fewer_than_6_companies"):
        wilcoxon(np.array([1.0, 2, 3, 4, 5, 0, 0, 0]))


EXACT_BY_SIGNS = [pytest.param(n, marks=pytest.mark.slow) for n in (13, 14)]


@pytest.mark.parametrize("n", [6, 12, *EXACT_BY_SIGNS, 49, 50, 51, 52, 400, 30_000])
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


def test_the_t_test_is_scipys_and_refuses_differences_that_do_not_vary():
    d = np.random.default_rng(5).normal(0.2, 1, 25)
    expected = stats.ttest_1samp(d, 0).pvalue
    assert t_test(d.mean(), stats.sem(d), 24) == pytest.approx(expected)
    for difference, error in ((0.3, 0.0), (0.0, 0.0), (0.054, 1e-18)):
        with pytest.raises(Undefined, match="no_spread"):
            t_test(difference, error, 24)


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
