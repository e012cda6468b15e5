"""Rows of an impossible year are refused, and said; nothing else is."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.datasets.ingest.plausible import FAR, implausible_rows
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.time_span import TimeSpan

SHOP = [f"c{i % 30},2021-{1 + i % 12:02}-{1 + i % 28:02} 10:00:00,{i}" for i in range(200)]


def instants_of(place) -> pd.Series:
    dataset = open_dataset(place)
    return dataset.read(dataset.company_ids[0]).to_frame()["timestamp"]


@pytest.mark.parametrize("year", ["1900", "1970", "2002", "2032", "2203"])
def test_a_few_rows_of_another_age_are_refused_with_line_and_values(file, into, year):
    stray = f"c1,{year}-05-01 00:00:00,5"
    report = ingest(file("shop.csv", [*SHOP[:100], stray, *SHOP[100:]]), into)
    (refused,) = pd.read_parquet(into / "refused.parquet").to_dict("records")
    assert (refused["reason"], refused["line"]) == ("outside_plausible_range", 102)
    assert refused["text"] == f"c1,{year}-05-01 00:00:00+00:00,5.0"
    assert report.files["rows_kept"].tolist() == [200]
    assert set(instants_of(into).dt.year) == {2021}


def test_what_is_near_or_many_is_kept(file, into):
    near = [f"c2,2024-0{i}-01 00:00:00,1" for i in range(1, 4)]
    many = [f"c{i},1999-01-0{1 + i % 9} 00:00:00,1" for i in range(30)]
    report = ingest(file("shop.csv", [*SHOP, *near, *many]), into)
    assert report.files["rows_refused"].tolist() == [0]


def test_one_day_on_which_many_rows_are_far_from_all_others_is_an_error_with_both_ways_out(
    file, into
):
    stray = [f"c{i},1970-01-01 00:00:00,5" for i in range(40)]
    lines = [*SHOP, *stray]
    with pytest.raises(IngestError, match=r"40 of 240 rows \(17 %; .* such as line 202: ") as told:
        ingest(file("shop.csv", lines), into)
    assert not (into / "manifest.parquet").exists()
    ways = re.search(r"out: --plausible (\S+); to keep them: --plausible (\S+)\. ", str(told.value))
    for plausible, n_kept in zip(ways.groups(), (200, 240), strict=True):
        report = ingest(file("shop.csv", lines), into, plausible=plausible, replace=True)
        assert report.files["rows_kept"].tolist() == [n_kept]
    report = ingest(file("shop.csv", lines), into, max_refused=0.2, replace=True)
    assert report.files["rows_kept"].tolist() == [200]


def test_ingesting_the_same_file_again_changes_nothing(file, into):
    shop = file("shop.csv", [*SHOP, "c1,2203-05-01 00:00:00,5"])
    ingest(shop, into)
    before = {path: path.read_bytes() for path in into.rglob("*.parquet")}
    report = ingest(shop, into)
    assert report.files[["status", "rows_refused"]].values.tolist() == [["unchanged", 1]]
    assert {path: path.read_bytes() for path in into.rglob("*.parquet")} == before


def test_an_appended_row_is_measured_against_the_rows_that_the_company_has(file, into, tmp_path):
    ingest(file("shop.csv", SHOP), into)
    later = file("later/shop.csv", ["c1,2022-01-01 00:00:00,5", "c1,2203-05-01 00:00:00,5"])
    for status in ("ingested", "unchanged"):
        report = ingest(later, into, append=True, max_refused=0.5)
        assert report.files[["status", "rows_refused"]].values.tolist() == [[status, 1]]
        assert instants_of(into).max() == pd.Timestamp("2022-01-01", tz="UTC")


def test_a_range_that_is_given_is_taken_at_its_word(file, into, tmp_path):
    shop = file("shop.csv", [*SHOP, "c1,2203-05-01 00:00:00,5"])
    ingest(shop, into, plausible="2021-02-01..2021-06-30")
    days = sorted(line.split(",")[1][:10] for line in SHOP)
    kept = instants_of(into).dt.strftime("%Y-%m-%d")
    assert sorted(kept) == [day for day in days if "2021-02-01" <= day <= "2021-06-30"]
    everything = ingest(shop, tmp_path / "all", plausible="..")
    assert everything.files["rows_refused"].tolist() == [0]


@pytest.mark.parametrize("span", ["2021", "2021-01-01", "2022-01-01..2021-01-01", "x..y"])
def test_a_range_that_is_none_is_an_error(file, into, span):
    with pytest.raises(IngestError, match="plausible: "):
        ingest(file("shop.csv", SHOP), into, plausible=span)


def test_a_span_ends_with_its_last_day_and_may_be_open():
    day = TimeSpan.parse("2021-01-01..2021-01-01")
    assert day.end - day.start == 86_400_000_000
    assert TimeSpan.parse("..") == TimeSpan()
    hour = TimeSpan.parse("2021-01-01T00:00..2021-01-01T01:00")
    assert hour.end - hour.start == 3_600_000_000


def is_implausible(group: list[int], most: int) -> bool:
    is_one_day = len({time // DAY for time in group}) == 1
    return len(group) < most if is_one_day else len(group) * 10 <= most


@given(
    companies=st.lists(
        st.lists(st.integers(-40, 40).map(lambda year: year * FAR // 4), min_size=1, max_size=30),
        min_size=1,
        max_size=4,
    )
)
def test_the_rows_refused_are_those_that_plain_counting_finds(companies):
    bounds = np.cumsum([0, *map(len, companies)])
    found = implausible_rows(np.concatenate(companies), bounds, [None] * len(companies))
    for i, times in enumerate(companies):
        groups = []
        for time in sorted(times):
            if not groups or time - groups[-1][-1] >= FAR:
                groups.append([])
            groups[-1].append(time)
        most = max(map(len, groups))
        bad = {time for group in groups if is_implausible(group, most) for time in group}
        assert found[bounds[i] : bounds[i + 1]].tolist() == [time in bad for time in times]
