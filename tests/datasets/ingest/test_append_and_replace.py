"""Files come to a dataset that exists: the same again, later rows, or others in their place."""

from __future__ import annotations

import pytest

from scale_eval.datasets.ingest.ingest import IngestError
from tests.support.transaction_files import FEBRUARY, JANUARY, contents, on_disk, statuses
from tests.support.transaction_files import ingest_whatever_is_refused as ingest


def test_the_same_file_again_changes_nothing_at_all(file, into):
    path = file("acme.csv", [*JANUARY, "?", "a,soon,1"])
    first = ingest(path, into)
    before = on_disk(into)
    for options in ({}, {"append": True}, {"replace": True}):
        again = ingest(path, into, **options)
        assert on_disk(into) == before
        assert statuses(again) == {"acme": "unchanged"}
        assert again.files["status"].tolist() == ["unchanged"]
        assert again.refused.equals(first.refused)
        assert again.companies.drop(columns="status").equals(first.companies.drop(columns="status"))


def test_the_same_rows_from_another_file_change_nothing(file, into):
    ingest(file("acme.csv", JANUARY), into)
    before = on_disk(into)
    for options in ({}, {"append": True}, {"replace": True}):
        report = ingest(file("x/acme.txt", [*JANUARY[::-1], "?"]), into, **options)
        assert statuses(report) == {"acme": "unchanged"}
        assert report.refused["count"].tolist() == [1]
        assert on_disk(into) == before


def test_the_same_file_read_otherwise_is_other_content(file, into):
    path = file("acme.csv", ["a,2017-01-01 10:00,1"])
    ingest(path, into)
    with pytest.raises(IngestError, match=r"from acme.csv, and other rows of it are in acme.csv"):
        ingest(path, into, timezone="Europe/Berlin")


def test_other_companies_come_beside_those_that_are_known(file, into):
    ingest(file("acme.csv", JANUARY), into)
    report = ingest(file("other.csv", FEBRUARY), into)
    assert statuses(report) == {"other": "new"}
    assert report.dataset.company_ids == ["acme", "other"]


# Append and replace


def test_append_adds_later_rows_and_refuses_what_overlaps(file, into):
    ingest(file("acme.csv", JANUARY), into)
    later = file("new/acme.csv", [JANUARY[1], "c,2017-01-31 12:00:00Z,9", *FEBRUARY])
    report = ingest(later, into, append=True)
    assert statuses(report) == {"acme": "appended"}
    assert report.files.loc[0, ["rows_in", "rows_kept", "rows_refused"]].tolist() == [4, 2, 2]
    assert report.dataset.refused[["line", "company_id", "reason", "text"]].values.tolist() == [
        [2, "acme", "overlap", JANUARY[1]],
        [3, "acme", "overlap", "c,2017-01-31 12:00:00Z,9"],
    ]
    whole = ingest(file("all/acme.csv", JANUARY + FEBRUARY), into.with_name("other")).dataset
    assert report.dataset.content_hash == whole.content_hash
    assert len(report.dataset.manifest["sources"][0]) == 2
    before = on_disk(into)
    for options in ({"append": True}, {}):  # and the same file again changes nothing
        again = ingest(later, into, **options)
        assert on_disk(into) == before
        assert again.files["rows_refused"].tolist() == [2]


def test_an_appended_file_that_overlaps_whole_is_an_error(file, into):
    ingest(file("acme.csv", JANUARY + FEBRUARY), into)
    before = on_disk(into)
    with pytest.raises(IngestError, match=r"new/acme.csv: every row is refused or overlaps"):
        ingest(file("new/acme.csv", [*JANUARY, "?"]), into, append=True)
    assert on_disk(into) == before


def test_to_dates_only_a_later_day_can_be_appended_also_where_the_clock_changes(file, into):
    ingest(file("acme.csv", ["a,2017-03-26,1"]), into, timezone="Europe/Berlin")
    report = ingest(
        file("new/acme.csv", ["a,2017-03-26 15:00,1", "a,2017-03-27,2"]),
        into,
        append=True,
        timezone="Europe/Berlin",
    )
    assert [row[1:] for row in contents(report.dataset)["acme"]] == [
        ("2017-03-25 23:00:00", 1.0),
        ("2017-03-26 22:00:00", 2.0),
    ]
    assert report.refused["reason"].tolist() == ["overlap"]
    assert report.dataset.manifest["dates_only"].tolist() == [True]


def test_dates_remain_dates_only_if_the_appended_ones_are(file, into):
    for part, time, expected in [
        ("1", "2017-01-01", True),
        ("2", "2017-01-02", True),
        ("3", "2017-01-03 10:00", False),
        ("4", "2017-01-04", False),
    ]:
        report = ingest(file(f"{part}/acme.csv", [f"a,{time},1"]), into, append=True)
        assert report.dataset.manifest["dates_only"].tolist() == [expected]


def test_replace_puts_rows_refused_rows_and_sources_in_the_place_of_the_old(file, into):
    old, other = file("acme.csv", [*JANUARY, "old,?,1"]), file("other.csv", [*JANUARY, "other,?,1"])
    ingest([old, other], into)
    report = ingest(file("new/acme.csv", [*FEBRUARY, "new,?,1"]), into, replace=True)
    assert statuses(report) == {"acme": "replaced"}
    assert [row[0] for row in contents(report.dataset)["acme"]] == ["a", "c"]
    assert report.dataset.refused["text"].tolist() == ["new,?,1", "other,?,1"]
    assert [len(sources) for sources in report.dataset.manifest["sources"]] == [1, 1]
    assert len(list(into.glob("transactions/**/*.parquet"))) == 2


def test_replacing_a_company_of_a_table_keeps_what_was_refused_of_the_others(
    two_months, file, into
):
    two_months[0].write_text(two_months[0].read_text() + "01,x,?,1\n2,y,?,1\n2,a,2017-01-05,1\n")
    ingest(two_months, into, company_column="Shop")
    report = ingest(file("01.csv", JANUARY), into, replace=True)
    assert statuses(report) == {"01": "replaced"}
    assert report.dataset.refused["text"].tolist() == ["2,y,?,1"]


def test_one_of_the_files_that_a_company_came_from_can_replace_it_whole(file, into):
    january, later = file("acme.csv", JANUARY), file("new/acme.csv", [JANUARY[1], *FEBRUARY])
    for last, expected in [(january, JANUARY), (later, [JANUARY[1], *FEBRUARY])]:
        ingest(january, into, replace=True)
        ingest(later, into, append=True)
        report = ingest(last, into, replace=True)
        assert statuses(report) == {"acme": "replaced"}
        assert report.companies["rows"].tolist() == [len(expected)]
        assert report.files["rows_refused"].tolist() == [0]
        assert len(report.dataset.refused) == 0


def test_a_company_that_loses_the_rows_of_other_files_when_it_is_replaced_is_told(file, into):
    parts = [file("acme-2016.csv", ["z,2016-12-31,1"]), file("acme-2017.csv", JANUARY + FEBRUARY)]
    by_year = {"company_from": "{company}-????.csv", "replace": True}
    ingest(parts, into, **by_year)
    (remark,) = ingest(parts[1], into, **by_year).remarks
    assert (
        "acme had 5 rows of acme-2016.csv, acme-2017.csv (2016-12-31 to 2017-02-28), and now has "
        "4 rows of acme-2017.csv (2017-01-01 to 2017-02-28)"
    ) in remark
    assert ingest(parts, into, **by_year).remarks == ()  # it has more now
    whole = file("acme-aall.csv", ["z,2016-12-31,1", *JANUARY, *FEBRUARY, "y,2017-03-01,1"])
    assert ingest(whole, into, **by_year).remarks == ()
    corrected = file("new/acme-aall.csv", JANUARY)
    assert ingest(corrected, into, **by_year).remarks == ()  # the same file, as it is now


def test_append_and_replace_exclude_each_other(file, into):
    with pytest.raises(IngestError, match="exclude each other"):
        ingest(file("acme.csv", JANUARY), into, append=True, replace=True)
