"""Windows against the rules of the design, by hand and by brute force."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.windows import Calendar, Duration, Observed, Window, as_utc

SIX_MONTHS = Duration(months=6)


def observed(first: str, until: str, tenth: str | None = None) -> Observed:
    start = as_utc(first)
    return Observed(start, as_utc(until), start, as_utc(tenth or first))


def cutoffs(calendar: Calendar, company: Observed) -> list[str]:
    return [
        f"{planned.window.cutoff:%Y-%m-%d}"
        for planned in calendar.windows(company)
        if planned.window and not planned.refusal
    ]


def test_default_cutoffs_are_month_starts_back_from_the_latest_that_was_observed_whole():
    company = observed("2013-11-22", "2018-06-02 05:28", tenth="2014-02-04")
    assert cutoffs(Calendar(), company) == [
        "2014-06-01", "2014-12-01", "2015-06-01", "2015-12-01",
        "2016-06-01", "2016-12-01", "2017-06-01", "2017-12-01",
    ]  # fmt: skip
    assert cutoffs(Calendar(last=2), company) == ["2017-06-01", "2017-12-01"]


def test_a_window_that_ends_as_the_data_end_is_whole_and_one_a_microsecond_longer_is_not():
    whole = observed("2017-01-01", "2018-06-01")
    short = observed("2017-01-01", "2018-05-31 23:59:59.999999")
    assert cutoffs(Calendar(), whole)[-1] == "2017-12-01"
    assert cutoffs(Calendar(), short)[-1] == "2017-11-01"


@given(
    until=st.datetimes(pd.Timestamp("2005-01-01"), pd.Timestamp("2030-01-01")),
    horizon=st.sampled_from(["6 months", "1 month", "90 days", "26 weeks", "1 year"]),
)
def test_the_latest_default_cutoff_equals_that_of_trying_every_month_start(until, horizon):
    length = Duration.parse(horizon)
    company = observed("2000-01-01", until)
    by_trying = [
        month
        for month in pd.date_range("2000-02-01", "2031-01-01", freq="MS", tz="UTC")
        if length.after(month) <= company.until
    ]
    latest = Calendar(horizon=length, last=1).windows(company)[0].window
    assert latest is not None
    assert latest.cutoff == by_trying[-1]


def test_a_company_too_young_for_a_window_says_so():
    (only,) = Calendar().windows(observed("2018-01-15", "2018-06-02"))
    assert (only.window, only.refusal) == (None, "no_whole_window")


def test_a_company_with_fewer_than_ten_customers_is_refused_by_default_but_not_when_asked_for():
    start = as_utc("2015-01-01")
    company = Observed(start, as_utc("2018-06-02"), start, None)
    (refused,) = Calendar().windows(company)
    assert refused.refusal == "too_few_customers"
    (asked,) = Calendar(cutoffs=(as_utc("2017-12-01"),)).windows(company)
    assert asked.refusal == ""


def test_explicit_cutoffs_that_the_data_cannot_bear_are_refused_with_the_reason():
    company = observed("2017-01-01", "2018-06-02")
    asked = tuple(as_utc(c) for c in ("2016-06-01", "2017-06-01", "2018-01-01", "2100-01-01"))
    reasons = [p.refusal for p in Calendar(cutoffs=asked).windows(company)]
    assert reasons == ["no_customers", "", "not_observed_whole", "not_observed_whole"]


def test_label_windows_that_share_time_are_marked_and_those_that_touch_are_not():
    company = observed("2010-01-01", "2018-06-02")
    touching = Calendar(last=3).windows(company)
    sharing = Calendar(every=Duration(months=3), last=3).windows(company)
    assert [p.overlaps for p in touching] == [False] * 3
    assert [p.overlaps for p in sharing] == [True] * 3


def test_a_refused_window_overlaps_with_nothing():
    company = observed("2017-01-01", "2018-06-02")
    asked = tuple(as_utc(c) for c in ("2017-12-01", "2018-01-01"))
    assert [p.overlaps for p in Calendar(cutoffs=asked).windows(company)] == [False, False]


def test_a_shared_calendar_gives_all_companies_the_same_cutoffs_and_each_refuses_its_own():
    old = observed("2015-01-01", "2018-06-02")
    young = observed("2017-03-01", "2018-06-02")
    ended = observed("2015-01-01", "2017-06-15")
    shared = Calendar(shared=True, last=3).shared_by([old, young, ended])
    told = [[(p.window.cutoff, p.refusal) for p in shared.windows(c)] for c in (old, young, ended)]
    assert [[c for c, _ in company] for company in told] == [[c for c, _ in told[0]]] * 3
    assert [r for _, r in told[1]] == ["no_customers", "", ""]
    assert [r for _, r in told[2]] == ["", "not_observed_whole", "not_observed_whole"]


def test_months_are_calendar_months_and_a_short_one_clips():
    window = Window.at(as_utc("2017-08-31"), SIX_MONTHS)
    assert window.horizon_end == as_utc("2018-02-28")


@pytest.mark.parametrize("text", ["", "six months", "0 months", "-1 day", "6", "6 fortnights"])
def test_a_length_of_time_that_cannot_be_read_is_an_error_that_shows_how_to_write_one(text):
    with pytest.raises(ValueError, match="6 months"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["yesterday?", "2017-13-01", ""])
def test_a_date_that_cannot_be_read_is_an_error_that_shows_how_to_write_one(text):
    with pytest.raises(ValueError, match="2017-12-01"):
        as_utc(text)


def test_a_cutoff_with_a_zone_is_taken_to_utc():
    assert as_utc("2017-12-01T00:00+02:00") == pd.Timestamp("2017-11-30 22:00", tz="UTC")
