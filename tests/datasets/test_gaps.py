"""Gaps: missing months and years are found, and an ordinary shop's silences are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets.gaps import find_gaps
from scale_eval.datasets.instants import DAY

FOUR_YEARS = 4 * 365
EVERY_DAY = np.arange(FOUR_YEARS)


def gaps(days: np.ndarray) -> list[tuple[int, int]]:
    """The gaps of a company with rows on these days, in days."""
    instants = (np.asarray(days, dtype=float) * DAY).astype(np.int64)
    return [(start // DAY, end // DAY) for start, end in find_gaps(instants)]


def random_days(seed: int, a_day: float, days: int = FOUR_YEARS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, days, rng.poisson(a_day * days))


def without(days: np.ndarray, start: int, end: int) -> np.ndarray:
    return days[(days < start) | (days >= end)]


@pytest.mark.parametrize(
    ("a_day", "length"), [(20.0, 30), (2.0, 31), (0.5, 91), (1 / 7, 365), (1 / 30, 1095)]
)
@pytest.mark.parametrize("seed", range(3))
def test_time_that_is_missing_is_found_wherever_the_shop_sold_often_enough(a_day, length, seed):
    days = random_days(seed, a_day, 3650)
    (gap,) = gaps(without(days, 1500, 1500 + length))
    assert gap[0] <= 1500
    assert gap[1] >= 1500 + length
    assert gap[1] - gap[0] < length + 14 / a_day + 2


@pytest.mark.parametrize("a_day", [1 / 90, 1 / 30, 1 / 7, 1.0, 20.0])
def test_a_shop_that_sells_at_random_times_has_no_gap(a_day):
    assert [gaps(random_days(seed, a_day)) for seed in range(100)] == [[]] * 100


@pytest.mark.parametrize(
    "days",
    [
        pytest.param(np.arange(0, FOUR_YEARS, 30.4), id="once a month"),
        pytest.param(np.repeat(np.arange(0, FOUR_YEARS, 45), 50), id="in bulk now and then"),
        pytest.param(EVERY_DAY[EVERY_DAY % 365 > 300], id="before Christmas only"),
        pytest.param(EVERY_DAY[(EVERY_DAY % 365 < 212) | (EVERY_DAY % 365 > 244)], id="no August"),
        pytest.param(FOUR_YEARS * random_days(1, 1.0, 3000) ** 0.2 / 3000**0.2, id="growing"),
        pytest.param(np.array([0, 40, 75, 90, *range(100, 700)]), id="a slow start"),
    ],
)
def test_what_is_usual_for_a_shop_is_no_gap(days):
    assert gaps(days) == []


def test_a_shop_that_fades_has_rarely_a_gap():
    rng = np.random.default_rng(1)
    fading = [rng.exponential(200, rng.poisson(400)) for _ in range(200)]
    assert np.mean([bool(gaps(days)) for days in fading]) < 0.1


def test_a_shop_that_sells_once_a_month_lacks_a_year():
    assert gaps(without(np.arange(0, FOUR_YEARS, 30.4), 500, 865)) == [(487, 881)]


def test_one_late_order_does_not_make_silence_an_observation():
    assert gaps(np.append(EVERY_DAY[:900], 1400)) == [(900, 1400)]
    assert gaps(np.append(EVERY_DAY[:900], 985)) == []  # a quarter after the last order


def test_two_missing_months_do_not_hide_each_other():
    days = random_days(0, 2.0)
    assert len(gaps(without(without(days, 300, 331), 390, 421))) == 2


@given(
    days=st.lists(st.integers(-20_000, 30_000), min_size=1, max_size=60),
    copies=st.integers(1, 3),
    shift=st.integers(-5_000, 5_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_gaps_depend_on_which_days_have_rows_alone_and_move_with_them(days, copies, shift, seed):
    once = gaps(np.array(days))
    again = np.random.default_rng(seed).permutation(np.repeat(days, copies))
    if len(days) >= 10:
        assert gaps(again) == once
    assert gaps(np.array(days) + shift) == [(a + shift, b + shift) for a, b in once]
    present = set(days)
    for start, end in once:
        assert {start - 1, end} <= present
        assert not present & set(range(start, end))
