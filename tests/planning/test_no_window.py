"""Runs in which every window is refused: which cutoff would fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import scale_eval as se
from scale_eval.datasets.instants import DAY, NEVER, as_utc, from_microseconds, microseconds
from scale_eval.planning.calendar import ObservedSpans
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.no_window import NoWindow, latest_cutoff, why_no_window
from tests.support.companies import dataset_of, shop

FIRST = microseconds(as_utc("2017-01-01"))


@settings(max_examples=10, deadline=None)
@given(
    days=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 270)), min_size=1, max_size=3),
    horizon=st.sampled_from(["1 month", "6 months", "90 days", "1 week"]),
    gaps=st.lists(st.tuples(st.integers(0, 2), st.integers(5, 250), st.integers(28, 60))),
)
@example(days=[(0, 115)], horizon="1 month", gaps=[(0, 38, 40)]).via("a gap before the cutoff")
@example(days=[(0, 58)], horizon="1 month", gaps=[]).via("31 January, too, ends on 28 February")
def test_the_latest_cutoff_that_fits_is_the_latest_that_a_plan_would_evaluate(days, horizon, gaps):
    """By trying every day: the latest month start that is not refused, else the latest day."""
    first = FIRST + np.array([a for a, _ in days]) * DAY
    until = first + np.array([n for _, n in days]) * DAY
    spans = ObservedSpans(first, until, first, np.full(len(days), NEVER))
    of, begin, length = np.array(sorted(gaps), np.int64).reshape(-1, 3).T
    start, end = FIRST + begin * DAY, FIRST + (begin + length) * DAY
    known = (of < len(days)) & ~((np.diff(of, prepend=-1) == 0) & (start < np.roll(end, 1)))
    spans = dataclasses.replace(spans, gaps=CompanyGaps(of[known], start[known], end[known]))
    every_day = [from_microseconds(FIRST + i * DAY) for i in range(340)]
    windows = se.Settings(horizon=horizon, cutoffs=every_day).calendar.windows(spans)
    evaluated = windows.refusal == 0
    fitting = np.unique(windows.cutoff[evaluated])
    starts = [cutoff for cutoff in fitting if from_microseconds(int(cutoff)).day == 1]
    found = latest_cutoff(se.Settings(horizon=horizon), spans)
    if not len(fitting):
        assert found is None
        return
    cutoff, company = found
    assert cutoff == (starts or list(fitting))[-1]
    assert (evaluated & (windows.cutoff == cutoff) & (windows.company == company)).any()


@pytest.fixture(scope="module")
def young(tmp_path_factory):
    companies = [shop(f"young-{n}", 50, seed=n, first="2020-03-01", days=n) for n in (100, 140)]
    return dataset_of(companies, tmp_path_factory.mktemp("young") / "data")


def test_companies_that_are_too_young_are_told_with_the_longest_past(young, tmp_path):
    with pytest.raises(
        NoWindow, match=r"No cutoff fits a horizon of 6 months: young-140 has .* 1[34]\d days"
    ):
        se.evaluate(young, ["recency"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_horizon_for_which_a_cutoff_fits_is_told_with_it(young):
    late = se.Settings(horizon="2 months", cutoffs=["2030-01-01"])
    why = why_no_window(young, late)
    assert "(2 windows)" in why
    cutoff = pd.Timestamp(why.partition("that fits is ")[2][:10])
    assert why_no_window(young, se.Settings(horizon="2 months", cutoffs=[cutoff])) == ""
    assert why_no_window(young, se.Settings(horizon="2 months")) == ""
