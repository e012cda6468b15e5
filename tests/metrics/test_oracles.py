"""The metrics against independent code: scikit-learn, statsmodels, and brute force."""

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
from scipy.special import logit

from scale_eval.metrics import Scores, score
from scale_eval.metrics.calibration import log_observed_expected_se

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import statsmodels.api as sm

N = 400


def made(kind, seed=0):
    """Scores of N customers who buy as the scores say, more or less."""
    rng = np.random.default_rng(seed)
    p = {
        "continuous": rng.beta(1, 4, N),
        "tied": rng.integers(1, 12, N) / 12,
        "tiny": rng.beta(1, 4, N) / 50,
        "extreme": np.where(rng.random(N) < 0.2, rng.integers(0, 2, N), rng.beta(0.1, 0.1, N)),
    }[kind]
    y = rng.random(N) < 0.1 + 0.7 * p
    spend = np.where(y, rng.lognormal(3, 1, N), 0)
    return Scores(y, p, spend, reference=0.25)


KINDS = ("continuous", "tied", "tiny", "extreme")


@pytest.fixture(params=KINDS)
def scores(request):
    return made(request.param)


def test_losses_are_those_of_scikit_learn(scores):
    values, _ = score(scores)
    y = scores.outcomes
    assert values["log_loss"] == pytest.approx(sklearn.metrics.log_loss(y, scores.clipped))
    assert values["brier_score"] == pytest.approx(
        sklearn.metrics.brier_score_loss(y, scores.probabilities)
    )
    reference = np.full(N, 0.25)
    assert values["log_loss_skill"] == pytest.approx(
        1 - values["log_loss"] / sklearn.metrics.log_loss(y, reference)
    )
    assert values["brier_skill"] == pytest.approx(
        1 - values["brier_score"] / sklearn.metrics.brier_score_loss(y, reference)
    )


def test_ranks_are_those_of_scikit_learn(scores):
    values, _ = score(scores)
    y, p = scores.outcomes, scores.probabilities
    assert values["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(y, p), rel=1e-13)
    assert values["average_precision"] == pytest.approx(
        sklearn.metrics.average_precision_score(y, p), rel=1e-13
    )


@pytest.mark.parametrize("kind", ["continuous", "tied", "tiny"])  # its GLM diverges on "extreme"
def test_calibration_is_that_of_statsmodels(kind):
    scores = made(kind)
    values, _ = score(scores)
    x = logit(scores.clipped)
    offset = sm.GLM(scores.y, np.ones(N), family=sm.families.Binomial(), offset=x).fit(tol=1e-14)
    slope = sm.Logit(scores.y, sm.add_constant(x)).fit(disp=0, tol=1e-14)
    assert values["calibration_intercept"] == pytest.approx(offset.params[0], abs=1e-9)
    assert values["calibration_slope"] == pytest.approx(slope.params[1], rel=1e-9)
    assert values["calibration_slope_se"] == pytest.approx(slope.bse[1], rel=1e-7)


def test_calibration_solves_its_equations_at_probabilities_of_0_and_1():
    scores = made("extreme")
    values, _ = score(scores)
    shifted = 1 / (1 + np.exp(-(scores.logit + values["calibration_intercept"])))
    assert shifted.sum() == pytest.approx(scores.n_positive)
    binary = sm.Logit(scores.y, sm.add_constant(scores.logit / 10)).fit(disp=0, tol=1e-14)
    assert values["calibration_slope"] == pytest.approx(binary.params[1] / 10, rel=1e-8)


def test_the_intercept_of_hard_decisions_that_err_evenly_is_0():
    # Wrong once each way: decided by the 1e-15 that the clip leaves, not by rounding errors.
    values, undefined = score(Scores([1, 0, 0, 1], [1.0, 1.0, 0.0, 0.0], np.zeros(4)))
    assert values["calibration_intercept"] == pytest.approx(0, abs=1e-3)
    assert values["calibration_slope"] == pytest.approx(0, abs=1e-12)
    assert "calibration_intercept" not in undefined


def test_the_slope_is_found_where_newton_from_0_and_1_fails():
    # Scores far too extreme, as P(alive) taken for P(buy): half of those at 1e-9 buy all the same.
    p = np.repeat([1e-9, 0.5, 1 - 1e-9], 200)
    y = np.tile([True, False], 300)
    y[-50:] = True
    values, _ = score(Scores(y, p, np.zeros(600)))
    fit = sm.Logit(y.astype(float), sm.add_constant(logit(p))).fit(disp=0, tol=1e-14)
    assert values["calibration_slope"] == pytest.approx(fit.params[1], rel=1e-8)


def test_the_auc_counts_half_of_the_ties(scores):
    won = scores.probabilities[scores.outcomes][:, None] - scores.probabilities[~scores.outcomes]
    pairs = (won > 0) + (won == 0) / 2  # (n_positive, n_negative)
    values, _ = score(scores)
    assert values["roc_auc"] == pytest.approx(pairs.mean(), rel=1e-14)
    variance = pairs.mean(1).var(ddof=1) / len(pairs) + pairs.mean(0).var(ddof=1) / len(pairs.T)
    assert values["roc_auc_se"] == pytest.approx(math.sqrt(variance), rel=1e-12)


@pytest.mark.parametrize("n", [3, 10, 37, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_the_top_tenth_takes_ties_in_equal_parts(kind, n):
    whole = made(kind)
    p = whole.probabilities[-n:]
    y = np.append(whole.outcomes[-n:-1], True)
    spend = np.append(whole.future_spend[-n:-1], 5)
    above = (p > p[:, None]).sum(1)
    tied = (p == p[:, None]).sum(1)
    taken = np.clip((n / 10 - above) / tied, 0, 1)  # of each customer
    values, _ = score(Scores(y, p, spend))
    assert values["gain_at_10"] == pytest.approx((taken * y).sum() / y.sum())
    assert values["lift_at_10"] == pytest.approx(10 * (taken * y).sum() / y.sum())
    assert values["value_captured_at_10"] == pytest.approx((taken * spend).sum() / spend.sum())


def test_the_error_of_log_observed_expected_is_the_delta_methods(scores):
    y, p = scores.y, scores.probabilities
    ratio = y.sum() / p.sum()
    variance = y.sum() - 2 * ratio * (y * p).sum() + ratio**2 * (p**2).sum()
    assert log_observed_expected_se(scores) == pytest.approx(math.sqrt(variance) / y.sum())


def test_the_error_of_log_observed_expected_covers_what_simulation_finds():
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(4000):
        p = rng.beta(1, 4, 300)
        ratios.append(math.log((rng.random(300) < p).sum() / p.sum()))
    p = np.random.default_rng(5).beta(1, 4, 30_000)
    y = np.random.default_rng(7).random(30_000) < p
    se = log_observed_expected_se(Scores(y, p, y)) * math.sqrt(30_000 / 300)
    assert se == pytest.approx(np.std(ratios), rel=0.05)
    usual = 1 / (0.2 * 300) - 1 / 300  # 1/O - 1/n, a fifth of buyers being expected
    assert usual > 1.12 * np.var(ratios)
