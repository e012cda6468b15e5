"""Chance among customers in the metrics of the top tenth: the jackknife against the truth."""

import numpy as np
import pytest

from benchmarks.top_tenth import NAMES, chance, drawn, truth_of
from scale_eval.metrics import METRICS, N_GROUPS, Scores, influence_sums
from scale_eval.metrics.influence import sums_of_function, without_each_group


def called(name, scores, groups):
    """The sums by calling the metric without each group."""
    function, without = METRICS[name].function, without_each_group(scores, groups)
    return sums_of_function(function, scores, function(scores), groups, without)


@pytest.mark.parametrize("name", NAMES)
def test_where_the_curve_is_straight_the_sums_are_nearly_those_of_calling_the_metric(name):
    rng = np.random.default_rng(1)
    n = 4_000
    made, _ = drawn(rng, n, 0.2, ties=False)
    rank = np.argsort(np.argsort(-made.probabilities))
    p = np.where(rank < 200, 0.9, np.where(rank < 600, 0.5, 0.1))  # one score from 5 to 15 %
    scores, groups = Scores(made.outcomes, p, made.future_spend), rng.integers(0, N_GROUPS, n)
    found, exact = influence_sums(scores, groups)[name], called(name, scores, groups)
    assert found == pytest.approx(exact, abs=0.03 * np.abs(exact).max())
    constant = Scores(made.outcomes, np.full(n, 0.3), made.future_spend)
    assert (influence_sums(constant, groups)[name] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_with_continuous_scores_they_are_those_of_calling_it_less_the_noise_of_one_customer(name):
    rng = np.random.default_rng(2)
    pairs = []
    for _ in range(12):
        (scores, _), groups = drawn(rng, 3_000, 0.2, ties=False), rng.integers(0, N_GROUPS, 3_000)
        pairs.append((influence_sums(scores, groups)[name], called(name, scores, groups)))
    ours, exact = np.concatenate(pairs, axis=1)
    assert np.corrcoef(ours, exact)[0, 1] > 0.9
    assert np.polyfit(ours, exact, 1)[0] == pytest.approx(1, abs=0.05)
    assert np.std(ours) < np.std(exact) * 1.01


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("n", "rate"), [(600, 0.2), pytest.param(2_000, 0.03, marks=pytest.mark.slow)]
)
def test_variances_are_those_of_many_samples_and_intervals_hold(n, rate, ties):
    # A short version of the table in docs/reference/statistics.md.
    found = chance(n, rate, 300, ties=ties)
    gain, gains, value, values = found.ratio
    assert 0.88 < gain < 1.2 and 0.85 < gains < 1.2
    assert 0.7 < value < 1.5 and 0.7 < values < 1.5  # few customers make most of the spend
    gain, gains, value, values = found.coverage(truth_of(rate, ties=ties, n=40_000))
    assert 0.92 < gain < 0.98 and 0.92 < gains < 0.98
    assert 0.78 < value < 0.97 and 0.86 < values < 0.98


def test_the_lift_moves_as_the_gain_does():
    lift, gain = METRICS["lift_at_10"].influence, METRICS["gain_at_10"].influence
    assert (lift.influence_column, lift.scale) == (gain.influence_column, 10)
