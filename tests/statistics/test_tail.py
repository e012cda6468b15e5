"""The tail of sizes: Pareto is told from log-normal, and a figure that rests on few is known."""

import math

import numpy as np
import pytest

from scale_eval.statistics.linearization import linearised, ratio_influence
from scale_eval.statistics.tail import (
    FEW,
    effective_number,
    effective_number_of_log_normal,
    is_heavy_tailed,
    rests_on_few,
    tail_index,
)


def pareto(index: float, k: int, rng: np.random.Generator) -> np.ndarray:
    return 50 * (1 - rng.random(k)) ** (-1 / index)


def log_normal(sigma: float, k: int, rng: np.random.Generator) -> np.ndarray:
    return np.exp(4.7 + sigma * rng.normal(size=k))


@pytest.mark.parametrize("index", [1.2, 2.0, 3.5])
def test_the_index_of_a_pareto_tail_is_found_again(index):
    sizes = pareto(index, 20_000, np.random.default_rng(1))
    assert tail_index(sizes) == pytest.approx(index, rel=0.08)
    assert tail_index(1_000 * sizes) == pytest.approx(tail_index(sizes))


def test_the_index_is_the_mean_logarithm_of_the_excess_by_hand():
    sizes = np.array([2.0**i for i in range(20)])  # the five largest against the sixth: 1 to 5 ln 2
    assert tail_index(sizes) == pytest.approx(1 / (3 * math.log(2)))
    assert tail_index(np.concatenate([sizes, np.zeros(9)])) == tail_index(sizes)


@pytest.mark.parametrize("k", [100, 300, 1_000])
def test_pareto_tails_are_heavy_and_log_normal_ones_are_not(k):
    rng = np.random.default_rng(2)
    for index in (1.1, 1.3, 1.6):
        found = [is_heavy_tailed(pareto(index, k, rng)) for _ in range(100)]
        assert np.mean(found) >= 0.95
    for sigma in (0.6, 1.0, 1.4):
        found = [is_heavy_tailed(log_normal(sigma, k, rng)) for _ in range(100)]
        assert np.mean(found) <= 0.05


def test_equal_sizes_and_few_have_no_tail():
    assert not is_heavy_tailed(np.ones(50))
    assert not is_heavy_tailed(np.array([]))
    assert not is_heavy_tailed(np.array([3.0, 0.0]))
    assert tail_index(np.ones(50)) == math.inf


def test_the_effective_number_of_log_normal_weights_is_kishs_in_a_large_sample():
    by_hand = 4 * math.exp(-1.0)  # logarithms of 0, 2, 0, 2: their variance is 1
    assert effective_number_of_log_normal(np.exp([0.0, 2.0, 0.0, 2.0])) == pytest.approx(by_hand)
    rng = np.random.default_rng(3)
    weights, known = log_normal(0.8, 100_000, rng), log_normal(0.5, 100_000, rng)
    assert effective_number_of_log_normal(weights, effective_number(known)) == pytest.approx(
        effective_number(weights * known), rel=0.03
    )
    assert effective_number_of_log_normal(weights) == pytest.approx(
        effective_number(weights), rel=0.03
    )
    with_zeros = np.concatenate([weights, np.zeros(99)])
    assert effective_number_of_log_normal(7 * with_zeros) == pytest.approx(
        effective_number_of_log_normal(weights)
    )


def test_weights_that_are_equal_to_rounding_rest_on_nobody_however_few():
    assert not rests_on_few(np.full(7, 3.0))
    assert not rests_on_few(np.array([0.1 + 0.2, 0.3, 0.0, 0.3]))
    assert not rests_on_few(np.zeros(3))
    assert rests_on_few(np.array([3.0, 4.0, 5.0]))


def test_whether_a_figure_rests_on_few_does_not_depend_on_the_giants_that_were_drawn():
    rng = np.random.default_rng(4)
    of_100 = [log_normal(1.4, 100, rng) for _ in range(400)]
    assert 0.1 < np.mean([effective_number(w) >= FEW for w in of_100]) < 0.5
    assert np.mean([rests_on_few(w) for w in of_100]) > 0.98
    assert not any(rests_on_few(log_normal(0.6, 300, rng)) for _ in range(400))


def test_samples_that_missed_the_giants_seem_to_have_many_companies_and_hold_too_seldom():
    """A figure goes with size; its truth is that of a million companies."""
    rng = np.random.default_rng(5)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        z = rng.normal(size=n)
        return np.exp(1.4 * z), 0.9 * np.tanh(z / 1.5) + 0.44 * rng.normal(size=n)

    weights, figures = drawn(1_000_000)
    truth = float(weights @ figures / weights.sum())
    held, told = [], []
    for _ in range(1_500):
        weights, figures = drawn(100)
        error = linearised(ratio_influence(weights * figures, weights), weights)
        low, high = error.interval(float(weights @ figures / weights.sum()))
        if error.n_effective >= FEW:
            held.append(low <= truth <= high)
            told.append(rests_on_few(weights))
    assert len(held) > 200 and np.mean(held) < 0.88
    assert np.mean(told) > 0.97
