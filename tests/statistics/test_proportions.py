"""Shares of companies: the sign test, and what chance does to it where buyers are few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scale_eval.statistics.proportions import share_misled, sign_test


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (0, 9), (9, 9), (30, 50), (420, 700)])
@pytest.mark.parametrize("share", [0.5, 0.62])
def test_the_sign_test_is_scipys(successes, n, share):
    if n:
        expected = stats.binomtest(successes, n, share, alternative="greater").pvalue
        assert sign_test(successes, n, share) == pytest.approx(expected)
    else:
        assert sign_test(successes, n, share) == 1.0


def test_the_share_that_chance_misleads_falls_to_a_half_as_more_buyers_are_expected():
    expected = np.array([0.0, 0.01, 0.3, 1, 3, 30, 1e6])
    shares = share_misled(expected)
    assert shares[0] == 1.0 and (np.diff(shares) <= 0).all()
    assert shares[-1] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("expected", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("rate", [0.01, 0.1])
@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_chance_seldom_favours_a_wrong_model_over_the_truth_at_more_companies(
    expected, rate, spread
):
    rng = np.random.default_rng(2)
    n_customers, n_companies = round(expected / rate), 2000
    logits = np.log(rate / (1 - rate)) + spread * rng.normal(size=(n_companies, n_customers))
    truth = 1 / (1 + np.exp(-logits))
    outcomes = rng.random(truth.shape) < truth
    mean = truth.mean()
    margin = -0.01 * (mean * np.log(mean) + (1 - mean) * np.log(1 - mean))

    def losses(p):
        return -np.where(outcomes, np.log(p), np.log1p(-p)).mean(axis=1)

    wrong = [1 / (1 + np.exp(-logits) / factor) for factor in (0.5, 0.8, 1.3, 2.0)]
    wrong += [np.full_like(truth, factor * mean) for factor in (0.4, 0.7, 1.0, 1.5)]
    bound = share_misled(np.array([n_customers * mean]))[0]
    for p in wrong:
        better_by = losses(p) - losses(truth)
        wins, misled = (better_by > margin).sum(), (better_by < -margin).sum()
        if misled > 0.1 * n_companies:
            assert misled / (wins + misled) < bound + 0.02  # two standard errors
