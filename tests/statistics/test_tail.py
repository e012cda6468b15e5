"""The tail of sizes by Hill's estimate."""

import math

import numpy as np
import pytest

from scale_eval.statistics.tail import tail_index


@pytest.mark.parametrize("index", [1.2, 2.0, 3.5])
def test_the_index_of_a_pareto_tail_is_found_again(index):
    sizes = 50 * (1 - np.random.default_rng(1).random(20_000)) ** (-1 / index)
    assert tail_index(sizes) == pytest.approx(index, rel=0.08)
    assert tail_index(1_000 * sizes) == pytest.approx(tail_index(sizes))


def test_it_is_the_mean_logarithm_of_the_excess_by_hand():
    sizes = np.array([2.0**i for i in range(20)])  # the five largest against the sixth: 1 to 5 ln 2
    assert tail_index(sizes) == pytest.approx(1 / (3 * math.log(2)))
    assert tail_index(np.concatenate([sizes, np.zeros(9)])) == tail_index(sizes)


def test_equal_sizes_have_no_tail_and_few_show_none():
    assert tail_index(np.ones(50)) == math.inf
    assert math.isnan(tail_index(np.arange(1.0, 10.0)))
