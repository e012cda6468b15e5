"""Files become a dataset: its companies, and the report."""

from __future__ import annotations

import csv

import pandas as pd
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.ingest import IngestError
from scale_eval.datasets.ingest.refused import REFUSED_SCHEMA
from scale_eval.datasets.manifest import MANIFEST_SCHEMA, TRANSACTIONS_SCHEMA
from tests.support.transaction_files import FEBRUARY, HEADER, JANUARY, contents, on_disk, statuses
from tests.support.transaction_files import ingest_whatever_is_refused as ingest


def test_each_file_becomes_a_company_sorted_by_customer_timestamp_and_value(file, into):
    lines = ["b,2017-01-02,5", "a,2017-01-03,1", "b,2017-01-02,-3", "a,2017-01-01,2"]
    acme = file("acme.csv", lines)
    other = file("other.csv", ["0012345678,2017-01-01T10:00Z,1", "20e1738615,2017-01-01,0"])
    report = ingest([acme, other], into)
    assert contents(report.dataset) == {
        "acme": [
            ("a", "2017-01-01 00:00:00", 2.0),
            ("a", "2017-01-03 00:00:00", 1.0),
            ("b", "2017-01-02 00:00:00", -3.0),
            ("b", "2017-01-02 00:00:00", 5.0),
        ],
        "other": [
            ("0012345678", "2017-01-01 10:00:00", 1.0),
            ("20e1738615", "2017-01-01 00:00:00", 0.0),
        ],
    }
    assert contents(open_dataset(into)) == contents(report.dataset)


def test_the_dataset_has_the_files_and_columns_that_others_rely_on(file, into):
    ingest([file("0012.csv", JANUARY), file("a=b.csv", FEBRUARY)], into)
    assert pq.read_schema(into / "manifest.parquet").names == MANIFEST_SCHEMA.names
    assert pq.read_schema(into / "refused.parquet").equals(REFUSED_SCHEMA)
    parts = sorted(into.glob("transactions/**/*.parquet"))
    assert len(parts) == 2
    assert all(pq.read_schema(part).equals(TRANSACTIONS_SCHEMA) for part in parts)
    everything = pq.read_table(into / "transactions").sort_by("company_id")
    assert everything["company_id"].to_pylist() == ["0012"] * 2 + ["a=b"] * 2


def test_the_report_tells_per_company_what_is_noteworthy(file, into):
    acme = file(
        "acme.csv",
        [
            "a,2017-01-01 00:00:00,1",
            "a,2017-01-01 00:00:00,1",
            "a,2017-02-01 00:00:00,-1",
            "b,2017-01-05 00:00:00,0",
            "c,2017-03-01 08:00:00Z,7",
            "c,soon,7",
            "d,later,7",
            ",2017,1",
        ],
    )
    report = ingest([acme], into)
    assert report.companies.to_dict("records") == [
        {
            "company_id": "acme",
            "status": "new",
            "rows": 5,
            "customers": 3,
            "first": pd.Timestamp("2017-01-01", tz="UTC"),
            "last": pd.Timestamp("2017-03-01 08:00", tz="UTC"),
            "refunds": 1,
            "zero_values": 1,
            "duplicates": 1,
            "one_time_buyers": 2,
        }
    ]
    assert report.files.to_dict("records") == [
        {
            "file": str(acme),
            "rows_in": 8,
            "rows_kept": 5,
            "rows_refused": 3,
            "n_naive_timestamps": 4,
            "status": "ingested",
        }
    ]
    assert report.refused.to_dict("records") == [
        {"reason": "timestamp_unparsable", "count": 2, "first_file": "acme.csv", "first_line": 7},
        {"reason": "customer_id_empty", "count": 1, "first_file": "acme.csv", "first_line": 9},
    ]
    assert (report.naive_timestamps, report.timezone) == (4, "UTC")


def test_refused_rows_are_kept_with_file_line_company_reason_and_text(file, into):
    files = [file("b.csv", [*JANUARY, "x,soon,1"]), file("a.csv", ["y", *JANUARY, ",2017-01-01,1"])]
    dataset = ingest(files, into).dataset
    assert dataset.refused.drop(columns="source").fillna("").values.tolist() == [
        ["a.csv", 2, "", "wrong_number_of_fields", "y"],
        ["a.csv", 5, "a", "customer_id_empty", ",2017-01-01,1"],
        ["b.csv", 4, "b", "timestamp_unparsable", "x,soon,1"],
    ]
    sources = {source for listed in dataset.manifest["sources"] for source in listed}
    assert set(dataset.refused["source"]) == sources


def test_neither_the_order_of_files_nor_of_rows_changes_the_dataset(file, tmp_path):
    a, b = file("a.csv", JANUARY + FEBRUARY), file("b.csv", FEBRUARY)
    first = ingest([a, b], tmp_path / "first").dataset
    second = ingest([b, a], tmp_path / "second").dataset
    reversed_rows = [file("x/a.csv", (JANUARY + FEBRUARY)[::-1]), file("x/b.csv", FEBRUARY[::-1])]
    third = ingest(reversed_rows, tmp_path / "third").dataset
    assert first.content_hash == second.content_hash == third.content_hash
    assert (tmp_path / "first/manifest.parquet").read_bytes() == (
        tmp_path / "second/manifest.parquet"
    ).read_bytes()


def test_the_dataset_does_not_depend_on_where_the_files_were(file, tmp_path):
    for place in ("here", "there"):
        ingest(file(f"{place}/acme.csv", [*JANUARY, "?"]), tmp_path / f"from_{place}")
    for name in ("manifest.parquet", "refused.parquet"):
        assert (tmp_path / "from_here" / name).read_bytes() == (
            tmp_path / "from_there" / name
        ).read_bytes()


def test_exact_duplicates_are_kept(file, into):
    report = ingest(file("acme.csv", [JANUARY[0]] * 3), into)
    assert contents(report.dataset) == {"acme": [("a", "2017-01-01 10:00:00", 1.0)] * 3}


@pytest.mark.parametrize(
    ("times", "options", "expected"),
    [
        (["2017-01-01", "20170102"], {}, True),
        (["2017-01-01", "2017-01-02 00:00:01"], {}, False),
        (["2017-01-01", "2017-07-01"], {"timezone": "Europe/Berlin"}, True),
        (["2017-01-01T00:00:00+02:00", "2017-07-01"], {}, True),
        (["2017-01-01 01:00", "2017-07-01 02:00"], {"timezone": "Europe/Berlin"}, True),
        (["2016-12-31T23:00Z", "2017-07-01"], {"timezone": "Europe/Berlin"}, False),
    ],
)
def test_timestamps_are_dates_where_all_are_midnight_as_written_or_in_utc(
    file, into, times, options, expected
):
    report = ingest(file("acme.csv", [f"a,{time},1" for time in times]), into, **options)
    assert report.dataset.manifest["dates_only"].tolist() == [expected]


def test_parquet_and_csv_of_the_same_rows_give_the_same_content(file, into, tmp_path):
    table = pd.read_csv(file("acme.csv", JANUARY), parse_dates=["Timestamp"])
    table.to_parquet(tmp_path / "acme.parquet")
    from_csv = ingest(tmp_path / "acme.csv", into).dataset
    from_parquet = ingest(tmp_path / "acme.parquet", tmp_path / "second").dataset
    assert from_csv.content_hash == from_parquet.content_hash


def test_the_real_files_are_kept_whole(klaviyo, into):
    expected = {}
    for path in klaviyo:
        with path.open(newline="") as lines:
            expected[path.stem] = sorted(
                (row[0], row[1].removesuffix("+00:00"), float(row[2]))
                for row in list(csv.reader(lines))[1:]
            )
    report = ingest(klaviyo, into)
    assert report.companies["rows"].tolist() == [22_369, 24_812, 11_111]
    assert report.files["rows_refused"].sum() == 0
    assert report.naive_timestamps == 0
    assert contents(report.dataset) == expected


# Several files, one company


def test_two_files_of_one_company_are_an_error_that_names_both(file, into):
    files = [file("x/acme.csv", JANUARY), file("y/acme.csv.gz", FEBRUARY)]
    for options in ({}, {"replace": True}):
        with pytest.raises(IngestError, match=r"x/acme.csv and .*y/acme.csv.gz are both .*'acme'"):
            ingest(files, into, **options)
    assert not into.exists()


def test_the_same_file_given_twice_is_an_error(file, into):
    path = file("acme.csv", JANUARY)
    with pytest.raises(IngestError, match=r"acme.csv and .*acme.csv are both"):
        ingest([path, path], into)
    table = file("sales.csv", ["x," + line for line in JANUARY], header="Shop," + HEADER)
    with pytest.raises(IngestError, match=r"sales.csv and .*sales.csv are the same rows"):
        ingest([table, table], into, company_column="Shop")


def test_append_takes_several_files_of_a_company_that_follow_each_other(file, into):
    january, february = file("x/acme.csv", JANUARY), file("y/acme.csv", FEBRUARY)
    report = ingest([february, january], into, append=True)
    assert len(contents(report.dataset)["acme"]) == 4
    overlapping = file("z/acme.csv", [*FEBRUARY, JANUARY[1]])
    with pytest.raises(IngestError, match=r"x/acme.csv and .*z/acme.csv .*overlap: one ends at"):
        ingest([january, overlapping], into.with_name("other"), append=True)


# One table of many companies


def test_with_a_company_column_files_are_parts_of_one_table(two_months, into):
    report = ingest(two_months, into, company_column="Shop")
    assert {company: len(rows) for company, rows in contents(report.dataset).items()} == {
        "01": 4,
        "2": 2,
    }
    assert [len(sources) for sources in report.dataset.manifest["sources"]] == [2, 1]


def test_a_month_appended_later_gives_the_same_rows_as_both_at_once(two_months, into, tmp_path):
    ingest(two_months[:1], into, company_column="Shop")
    report = ingest(two_months, into, company_column="Shop", append=True)
    assert statuses(report) == {"01": "appended", "2": "new"}
    assert report.files["status"].tolist() == ["unchanged", "ingested"]
    at_once = ingest(two_months, tmp_path / "at_once", company_column="Shop").dataset
    assert report.dataset.content_hash == at_once.content_hash
    before = on_disk(into)
    assert set(statuses(ingest(two_months, into, company_column="Shop")).values()) == {"unchanged"}
    assert on_disk(into) == before


def test_a_new_month_without_append_is_an_error_that_tells_of_it(two_months, into):
    ingest(two_months[:1], into, company_column="Shop")
    before = on_disk(into)
    existing = r"'01' was ingested from 2017-01.csv, and other rows of it are in 2017-02.csv"
    with pytest.raises(IngestError, match=existing) as error:
        ingest(two_months, into, company_column="Shop")
    assert "--append" in str(error.value)
    assert "--replace" in str(error.value)
    assert on_disk(into) == before
