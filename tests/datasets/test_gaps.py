"""Gaps: missing months and years are found, and an ordinary shop's silences are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets.gaps import find_gaps
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.manifest import describe
from scale_eval.datasets.transactions import Transactions

FOUR_YEARS = 4 * 365
EVERY_DAY = np.arange(FOUR_YEARS)


def gaps(days: np.ndarray) -> list[tuple[int, int]]:
    """The gaps of a company with rows on these days, in days."""
    instants = (np.asarray(days, dtype=float) * DAY).astype(np.int64)
    return [(start // DAY, end // DAY) for start, end in find_gaps(instants).spans]


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


@pytest.mark.parametrize(
    "begins",
    [
        pytest.param([180, 185, 180, 188], id="school holidays"),
        pytest.param([111 - 15, 103 - 15, 94 - 15, 107 - 15], id="Easter of 2019 to 2022"),
    ],
)
def test_a_closing_that_moves_from_year_to_year_is_a_season_and_another_is_a_gap(begins):
    days = random_days(0, 5.0)
    for year, begin in enumerate(begins):
        days = without(days, 365 * year + begin, 365 * year + begin + 42 - year)
    assert gaps(days) == []
    assert gaps(without(days, 1000, 1035)) == [(1000, 1035)]


def test_a_shop_that_sells_in_bursts_has_rarely_a_gap():
    """Independent bursts, and waits of finite mean whose variance is nearly infinite."""

    def bursts(rng: np.random.Generator) -> np.ndarray:
        starts = rng.uniform(0, FOUR_YEARS, FOUR_YEARS // 20)
        return np.repeat(starts, 6) + rng.exponential(3, 6 * len(starts))

    def weeks(rng: np.random.Generator) -> np.ndarray:
        return 7 * np.flatnonzero(rng.uniform(size=FOUR_YEARS // 7) > 0.25)

    def heavy_tailed(rng: np.random.Generator) -> np.ndarray:
        return np.cumsum(1.2 * (1 + rng.pareto(2.5, FOUR_YEARS // 2)))

    for shop, share in ((bursts, 0.02), (weeks, 0.0), (heavy_tailed, 0.12)):
        found = [bool(gaps(shop(np.random.default_rng(seed)))) for seed in range(100)]
        assert np.mean(found) <= share


@pytest.mark.parametrize(
    ("days", "least", "most"),
    [
        pytest.param(EVERY_DAY, 28, 28, id="every day"),
        pytest.param(np.append(EVERY_DAY[:1300], 1459), 28, 28, id="a stray at the end"),
        pytest.param(random_days(0, 0.5), 30, 70, id="every other day"),
        pytest.param(np.arange(0, FOUR_YEARS, 30.4), 120, 121, id="once a month"),
        pytest.param(EVERY_DAY[EVERY_DAY % 365 > 300], 301, 379, id="before Christmas only"),
        pytest.param(without(EVERY_DAY, 1055, 1095)[:-40], 40, 98, id="closed at new year"),
    ],
)
def test_the_silence_after_the_last_row_is_a_gap_where_it_is_too_long(days, least, most):
    overdue_from = find_gaps((days * DAY).astype(np.int64)).overdue_from
    assert overdue_from is not None
    assert least <= overdue_from / DAY - int(days.max()) - 1 <= most


def test_of_too_few_days_no_silence_is_a_gap():
    days = np.repeat(np.arange(9), 50)
    assert find_gaps(days * DAY).overdue_from is None
    assert gaps(np.append(days, 500)) == []


def test_a_shop_that_fades_has_rarely_a_gap():
    rng = np.random.default_rng(1)
    fading = [rng.exponential(200, rng.poisson(400)) for _ in range(200)]
    assert np.mean([bool(gaps(days)) for days in fading]) < 0.1


def test_a_shop_that_sells_once_a_month_lacks_a_year():
    assert gaps(without(np.arange(0, FOUR_YEARS, 30.4), 500, 865)) == [(487, 881)]


def test_one_late_order_does_not_make_silence_an_observation():
    assert gaps(np.append(EVERY_DAY[:900], 1400)) == [(900, 1400)]
    assert gaps(np.append(EVERY_DAY[:900], 928)) == [(900, 928)]


@pytest.mark.parametrize("days_between", [8, 60])
def test_two_missing_months_do_not_hide_each_other(days_between):
    end = 331 + days_between
    days = without(without(random_days(0, 5.0), 300, 331), end, end + 31)
    assert gaps(days) == [(300, 331), (end, end + 31)]


@pytest.mark.parametrize(
    "strays", [[], [700], [610, 612], [615, 650, 780], [630, 660, 690, 720, 750, 770]]
)
def test_a_few_stray_rows_do_not_make_a_silence_an_observation(strays):
    assert gaps(np.append(without(random_days(0, 5.0), 600, 800), strays)) == [(600, 800)]
    strays = [day for day in strays if day < 630]
    assert gaps(np.append(without(random_days(0, 5.0), 600, 630), strays)) == [(600, 630)]


def test_a_silence_counts_after_a_first_week_and_before_the_last_one():
    assert gaps(without(random_days(0, 5.0), 8, 75)) == [(8, 75)]
    assert gaps(without(random_days(0, 5.0, 1193), 1100, 1185)) == [(1100, 1185)]


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
        assert len(present & set(range(start, end))) <= (end - start) / 4


@pytest.mark.parametrize("end", [FOUR_YEARS, 1200])
def test_sales_are_missing_where_only_refunds_go_on(end):
    sales = without(EVERY_DAY, 1000, 1200)
    refunds = np.arange(0, FOUR_YEARS, 7)
    days = np.concatenate([sales, refunds])
    values = np.repeat([10.0, -10.0], [len(sales), len(refunds)])
    within = days < end
    rows = {"customer_id": "c", "timestamp": pd.to_datetime(days[within], unit="D", utc=True)}
    company = Transactions.from_frame("x", pd.DataFrame({**rows, "value": values[within]}))
    row = describe(company, dates_only=True, sources=[])
    last = int(days[within].max())
    assert row["gap_starts"] == [1000 * DAY]
    assert row["gap_ends"] == [min(1200, last + 1) * DAY]
    assert row["silent_from"] == (int(sales[sales < end].max()) + 1) * DAY
