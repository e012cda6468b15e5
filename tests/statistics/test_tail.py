"""The tail of sizes: Pareto is told from log-normal, and Hill's estimate of its index."""

import math

import numpy as np
import pytest

from scale_eval.statistics.tail import is_heavy_tailed, tail_index


def pareto(index: float, k: int, rng: np.random.Generator) -> np.ndarray:
    return 50 * (1 - rng.random(k)) ** (-1 / index)


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
        found = [is_heavy_tailed(np.exp(4.7 + sigma * rng.normal(size=k))) for _ in range(100)]
        assert np.mean(found) <= 0.05


def test_equal_sizes_and_few_have_no_tail():
    assert not is_heavy_tailed(np.ones(50))
    assert not is_heavy_tailed(np.array([]))
    assert not is_heavy_tailed(np.array([3.0, 0.0]))
    assert tail_index(np.ones(50)) == math.inf
