"""Runs in which every window is refused: which cutoff would fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scale_eval as se
from scale_eval.datasets.instants import DAY, NEVER, as_utc, from_microseconds, microseconds
from scale_eval.planning.calendar import ObservedSpans
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.planning.no_window import NoWindow, latest_cutoff, why_no_window
from tests.support.companies import dataset_of, shop

FIRST = microseconds(as_utc("2017-01-01"))


@settings(max_examples=25, deadline=None)
@given(
    days=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 260)), min_size=1, max_size=3),
    horizon=st.sampled_from(["1 month", "6 months", "90 days", "1 week"]),
    gap=st.none() | st.tuples(st.integers(0, 2), st.integers(20, 200), st.integers(28, 60)),
)
def test_the_latest_cutoff_that_fits_is_the_latest_that_a_plan_would_evaluate(days, horizon, gap):
    """By trying every day: the latest month start that is not refused, else the latest day."""
    first = FIRST + np.array([a for a, _ in days]) * DAY
    until = first + np.array([n for _, n in days]) * DAY
    spans = ObservedSpans(first, until, first, np.full(len(days), NEVER))
    if gap is not None and gap[0] < len(days):
        start = first[gap[0]] + gap[1] * DAY
        gaps = (np.array([value]) for value in (gap[0], start, start + gap[2] * DAY))
        spans = dataclasses.replace(spans, gaps=CompanyGaps(*gaps))
    every_day = [from_microseconds(FIRST + i * DAY) for i in range(340)]

    def refusals(cutoffs):
        return se.Settings(horizon=horizon, cutoffs=cutoffs).calendar.windows(spans)

    windows = refusals(every_day)
    fitting = np.unique(windows.cutoff[windows.refusal == 0])
    starts = [cutoff for cutoff in fitting if from_microseconds(int(cutoff)).day == 1]
    found = latest_cutoff(se.Settings(horizon=horizon), spans)
    if not len(fitting):
        assert found is None
        return
    cutoff, company = found
    assert cutoff == (starts or list(fitting))[-1]
    alone = refusals([from_microseconds(cutoff)])
    assert alone.refusal[alone.company == company].tolist() == [0]


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
