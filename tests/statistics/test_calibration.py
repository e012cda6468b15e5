"""Calibration lines and decompositions against statsmodels, SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import isotonic_regression
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from scale_eval.statistics import logistic, logistic_many
from scale_eval.statistics.common_slope import common_slope
from scale_eval.statistics.decomposition import corp, isotonic, isotonic_of_many
from scale_eval.statistics.undefined import Undefined
from tests.support.literature import (
    murphy,
)

# ── Regression ────────────────────


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
    slopes = logistic_many.slopes(x, *(np.array(c) for c in zip(*many, strict=True)))
    intercepts = logistic_many.intercepts(x, *(np.array(c) for c in zip(*many, strict=True)))
    for (p, q), slope, intercept in zip(many[:9], slopes, intercepts, strict=False):
        assert slope == pytest.approx(logistic.fit(x, p, q).slope, rel=1e-8)
        assert intercept == pytest.approx(logistic.intercept(x, p, q), rel=1e-8)
    assert np.isnan(slopes[9:]).all()
    assert np.isnan(intercepts[10:]).all() and np.isfinite(intercepts[9])


def of_rate(positives: float, negatives: float) -> float:
    n = positives + negatives
    return positives * math.log(positives / n) + negatives * math.log(negatives / n)


def test_no_line_is_likelier_than_the_best_and_the_isotonic_regression_is_no_less_likely():
    x, positives, negatives = blocks(22)
    best = logistic.best_log_likelihood(x, positives, negatives)
    counts = np.column_stack([positives, negatives])
    theirs = sm.GLM(counts, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-12)
    p = theirs.fittedvalues
    assert best == pytest.approx(positives @ np.log(p) + negatives @ np.log1p(-p), rel=1e-12)
    curve = isotonic(x, positives, negatives).clip(1e-300, 1 - 1e-16)
    assert best <= positives @ np.log(curve) + negatives @ np.log1p(-curve)
    assert best >= of_rate(positives.sum(), negatives.sum())


def test_the_best_line_has_a_likelihood_where_there_is_no_line():
    x = np.array([-2.0, -1.0, 0.5, 3.0])
    some, none = np.array([2, 3, 4, 5]), np.zeros(4, int)
    assert logistic.best_log_likelihood(x, some, none) == 0
    assert logistic.best_log_likelihood(x, none, some) == 0
    constant = logistic.best_log_likelihood(np.full(4, 0.3), some, np.array([1, 1, 0, 2]))
    assert constant == pytest.approx(of_rate(14, 4))
    apart = np.array([0, 0, 4, 5]), np.array([2, 3, 0, 0])
    meeting = np.array([0, 3, 4, 5]), np.array([2, 3, 0, 0])
    for positives, negatives in (apart, apart[::-1]):
        assert logistic.best_log_likelihood(x, positives, negatives) == 0
    for positives, negatives in (meeting, meeting[::-1]):
        best = logistic.best_log_likelihood(x, positives, negatives)
        assert best == pytest.approx(of_rate(3, 3))
        p = expit((1 if positives[0] == 0 else -1) * 200 * (x + 1)).clip(1e-300, 1 - 1e-16)
        assert best == pytest.approx(positives @ np.log(p) + negatives @ np.log1p(-p), abs=1e-9)


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
    fit = common_slope(x, positives, negatives, stratum)
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
        common_slope(*(np.array(a) for a in (x, positives, negatives)), stratum)


def test_replicates_of_an_intercept_are_as_exact_as_each_alone():
    random = np.random.default_rng(2)
    x = np.sort(random.normal(-2, 1, 800))
    rows = random.poisson(30, (20, 800))
    positives = random.binomial(rows, 1 / (1 + np.exp(-x - 0.1)))
    negatives = rows - positives
    without = [counts.sum(axis=0) - counts for counts in (positives, negatives)]
    alone = [logistic.intercept(x, p, q) for p, q in zip(*without, strict=True)]
    assert logistic_many.intercepts(x, *without) == pytest.approx(alone, rel=0, abs=1e-11)


# ── Decomposition ────────────────────
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


def test_many_isotonic_regressions_are_those_of_each_interpolated_where_blocks_are_empty():
    rng = np.random.default_rng(8)
    probability = np.sort(rng.random(30))
    positives, negatives = rng.poisson(0.7, (2, 50, 30)).astype(float)
    positives[0] = negatives[0] = 0
    at = np.array([0, 7, 8, 29])
    found = isotonic_of_many(probability, positives, negatives, at)
    assert np.isnan(found[0]).all()
    for i in range(1, 50):
        held = positives[i] + negatives[i] > 0
        rows = (positives + negatives)[i][held]
        rates = isotonic_regression(positives[i][held] / rows, weights=rows).x
        assert found[i] == pytest.approx(np.interp(probability[at], probability[held], rates))
