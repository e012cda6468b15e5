"""Windows against the rules of the design, by hand and by brute force."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.instants import NEVER, Duration, as_utc, from_microseconds, microseconds
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.evaluation.windows import Window
from scale_eval.planning.calendar import REFUSALS, Calendar, ObservedSpans
from scale_eval.planning.company_gaps import CompanyGaps
from scale_eval.storage.columns import TIME

SIX_MONTHS = Duration(months=6)


def observed(first: str, until: str, tenth: str | None = None) -> ObservedSpans:
    start = as_utc(first)
    return of_company(start, as_utc(until), start, as_utc(tenth or first))


def of_company(*instants: pd.Timestamp | None) -> ObservedSpans:
    known = (NEVER if instant is None else microseconds(instant) for instant in instants)
    return ObservedSpans(*(np.array([instant]) for instant in known))


def with_gap(company: ObservedSpans, start: str, end: str) -> ObservedSpans:
    gap = (
        np.array([value]) for value in (0, microseconds(as_utc(start)), microseconds(as_utc(end)))
    )
    return dataclasses.replace(company, gaps=CompanyGaps(*gap))


class Planned(NamedTuple):
    cutoff: pd.Timestamp | None
    refusal: str
    overlaps: bool


def planned(calendar: Calendar, *companies: ObservedSpans) -> list[list[Planned]]:
    """The windows of each company, all companies asked at once."""
    fields = [f.name for f in dataclasses.fields(ObservedSpans) if f.name != "gaps"]
    together = ObservedSpans(*(np.concatenate([getattr(c, f) for c in companies]) for f in fields))
    gaps = CompanyGaps(
        np.repeat(np.arange(len(companies)), [len(c.gaps.start) for c in companies]),
        *(np.concatenate([getattr(c.gaps, f) for c in companies]) for f in ("start", "end")),
    )
    windows = calendar.windows(dataclasses.replace(together, gaps=gaps))
    rows = [[] for _ in companies]
    for company, begin, refusal, overlaps in zip(
        windows.company, windows.cutoff, windows.refusal, windows.overlaps, strict=True
    ):
        cutoff = None if begin == NEVER else from_microseconds(int(begin))
        rows[company].append(Planned(cutoff, REFUSALS[refusal], bool(overlaps)))
    return rows


def windows_of(calendar: Calendar, company: ObservedSpans) -> list[Planned]:
    (rows,) = planned(calendar, company)
    return rows


def cutoffs(calendar: Calendar, company: ObservedSpans) -> list[str]:
    return [
        f"{window.cutoff:%Y-%m-%d}"
        for window in windows_of(calendar, company)
        if window.cutoff and not window.refusal
    ]


def test_default_cutoffs_are_month_starts_back_from_the_latest_that_was_observed_whole():
    company = observed("2013-11-22", "2018-06-02 05:28", tenth="2014-02-04")
    assert cutoffs(Calendar(), company) == [
        "2014-06-01",
        "2014-12-01",
        "2015-06-01",
        "2015-12-01",
        "2016-06-01",
        "2016-12-01",
        "2017-06-01",
        "2017-12-01",
    ]
    assert cutoffs(Calendar(last=2), company) == ["2017-06-01", "2017-12-01"]


def test_a_window_that_ends_as_the_data_end_is_whole_and_one_a_microsecond_longer_is_not():
    whole = observed("2017-01-01", "2018-06-01")
    short = observed("2017-01-01", "2018-05-31 23:59:59.999999")
    assert cutoffs(Calendar(), whole)[-1] == "2017-12-01"
    assert cutoffs(Calendar(), short)[-1] == "2017-11-01"


@settings(deadline=None)  # a busy machine takes longer
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
        if microseconds(length.after(month)) <= company.until[0]
    ]
    assert windows_of(Calendar(horizon=length, last=1), company)[0].cutoff == by_trying[-1]


def test_a_company_too_young_for_a_window_says_so():
    (only,) = windows_of(Calendar(), observed("2018-01-15", "2018-06-02"))
    assert (only.cutoff, only.refusal) == (None, "no_whole_window")


def test_a_company_with_fewer_than_ten_customers_is_refused_by_default_but_not_when_asked_for():
    start = as_utc("2015-01-01")
    company = of_company(start, as_utc("2018-06-02"), start, None)
    (refused,) = windows_of(Calendar(), company)
    assert refused.refusal == "too_few_customers"
    (asked,) = windows_of(Calendar(cutoffs=(as_utc("2017-12-01"),)), company)
    assert asked.refusal == ""


def test_explicit_cutoffs_that_the_data_cannot_bear_are_refused_with_the_reason():
    company = observed("2017-01-01", "2018-06-02")
    asked = tuple(as_utc(c) for c in ("2016-06-01", "2017-06-01", "2018-01-01", "2100-01-01"))
    reasons = [p.refusal for p in windows_of(Calendar(cutoffs=asked), company)]
    assert reasons == ["no_customers", "", "not_observed_whole", "not_observed_whole"]


def test_a_window_that_shares_a_microsecond_with_a_gap_is_refused_and_one_beside_it_is_not():
    company = observed("2010-01-01", "2018-06-02")
    ends_as_it_begins = with_gap(company, "2016-06-01", "2016-06-02")
    assert [p.refusal for p in windows_of(Calendar(last=5), ends_as_it_begins)] == [
        "",
        "gap_in_data",
        "",
        "",
        "",
    ]


def test_a_sixth_of_the_time_to_learn_from_may_be_missing_and_no_more():
    company = observed("2010-01-01", "2018-06-02")  # learns from 182 days before 2017-12-01
    for days, refusal in ((30, ""), (31, "gap_in_data")):
        end = as_utc("2017-10-01") + pd.Timedelta(days=days)
        gap = with_gap(company, "2017-10-01", f"{end:%Y-%m-%d}")
        assert windows_of(Calendar(last=1), gap)[0].refusal == refusal


def test_a_silence_in_a_span_that_was_observed_is_no_gap():
    manifest = pa.table(
        {
            "gap_starts": pa.array([[], [10, 50], None, [20]], pa.list_(TIME)),
            "gap_ends": pa.array([[], [20, 60], None, [30]], pa.list_(TIME)),
        }
    )
    found = CompanyGaps.of(manifest)
    assert [found.company.tolist(), found.start.tolist()] == [[1, 1, 3], [10, 50, 20]]
    kept = CompanyGaps.of(manifest, observed=TimeSpan(10, 30))
    assert [kept.company.tolist(), kept.start.tolist()] == [[1], [50]]
    few = found.take(np.array([3, 0, 1]))
    assert [few.company.tolist(), few.end.tolist()] == [[0, 2, 2], [30, 20, 60]]


@given(
    gaps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50), st.integers(1, 20)), max_size=8),
    spans=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 60), st.integers(1, 30)), max_size=12
    ),
)
def test_what_is_missing_of_a_span_is_what_counting_moments_finds(gaps, spans):
    disjoint = []
    for company, start, length in sorted(gaps):
        if not disjoint or disjoint[-1][0] != company or disjoint[-1][2] < start:
            disjoint.append((company, start, start + length))
    columns = np.array(disjoint, np.int64).reshape(-1, 3).T
    spans = sorted(spans)
    company, start, length = np.array(spans, np.int64).reshape(-1, 3).T
    missing = CompanyGaps(*columns).missing(company, start, start + length)
    assert missing.tolist() == [
        sum(any(g == c and a <= t < b for g, a, b in disjoint) for t in range(s, s + n))
        for c, s, n in spans
    ]


def test_label_windows_that_share_time_are_marked_and_those_that_touch_are_not():
    company = observed("2010-01-01", "2018-06-02")
    touching = windows_of(Calendar(last=3), company)
    sharing = windows_of(Calendar(every=Duration(months=3), last=3), company)
    assert [p.overlaps for p in touching] == [False] * 3
    assert [p.overlaps for p in sharing] == [True] * 3


def test_a_refused_window_overlaps_with_nothing():
    company = observed("2017-01-01", "2018-06-02")
    asked = tuple(as_utc(c) for c in ("2017-12-01", "2018-01-01"))
    assert [p.overlaps for p in windows_of(Calendar(cutoffs=asked), company)] == [False, False]


def test_a_shared_calendar_gives_all_companies_the_same_cutoffs_and_each_refuses_its_own():
    old = observed("2015-01-01", "2018-06-02")
    young = observed("2017-03-01", "2018-06-02")
    ended = observed("2015-01-01", "2017-06-15")
    rows = planned(Calendar(shared=True, last=3), old, young, ended)
    told = [[(p.cutoff, p.refusal) for p in company] for company in rows]
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


@settings(deadline=None)  # a busy machine takes longer
@given(
    data=st.lists(
        st.tuples(
            st.datetimes(pd.Timestamp("2015-01-01"), pd.Timestamp("2019-01-01")),
            st.integers(0, 1500),
            st.integers(0, 1500),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    calendar=st.sampled_from(
        [
            Calendar(),
            Calendar(last=2),
            Calendar(every=Duration(months=1), last=5),
            Calendar(cutoffs=(as_utc("2017-01-01"), as_utc("2017-05-01"))),
        ]
    ),
)
def test_companies_planned_together_have_the_windows_that_each_has_alone(data, calendar):
    companies = []
    for first, tenth, until, reached in data:
        start = as_utc(first)
        at = start + pd.Timedelta(days=tenth) if reached else None
        companies.append(of_company(start, start + pd.Timedelta(days=until), start, at))
    assert planned(calendar, *companies) == [windows_of(calendar, c) for c in companies]
