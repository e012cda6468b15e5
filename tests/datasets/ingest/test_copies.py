"""Rows that two files of a company have, and companies that have the same rows."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest import shuffle
from scale_eval.datasets.ingest.copies import other_files
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from scale_eval.storage.columns import TIME
from tests.support.transaction_files import FEBRUARY, HEADER, JANUARY, contents, on_disk, statuses

BY_MONTH = {"company_from": "{company}-????-*"}
LATER = "d,2017-02-28 23:00:00Z,5"
YEAR = [*JANUARY, *FEBRUARY, FEBRUARY[0]]  # one order was placed twice


@pytest.fixture
def year_and_february(file):
    """Write a year, and February of it again: in another order, with one row more."""
    return [file("acme-2017-all.csv", YEAR), file("acme-2017-02.csv", [*FEBRUARY[::-1], LATER])]


@given(
    st.lists(
        st.tuples(*(st.integers(0, n) for n in (1, 1, 1, 1, 2))),  # company, row, and file
        max_size=30,
    )
)
def test_of_equal_rows_those_of_the_file_that_has_most_are_no_copies(rows):
    frame = pd.DataFrame(sorted(rows), columns=["company", "customer", "time", "value", "file"])
    table = pa.table(
        {
            "customer_id": pa.array(frame["customer"].astype(str), pa.large_string()),
            "timestamp": pa.array(frame["time"].to_numpy(np.int64)).cast(TIME),
            "value": frame["value"].to_numpy(float),
            "file": frame["file"].to_numpy(np.int32),
        }
    )
    bounds = np.flatnonzero(np.diff(frame["company"].to_numpy(), prepend=-1, append=-1))
    files = [frame["file"][a:b].nunique() for a, b in pairwise(bounds)]
    frame["other"] = other_files(table, bounds, files)
    for row, group in frame.groupby(["company", "customer", "time", "value"]):
        by_file = Counter(each[4] for each in rows if each[:4] == row)
        most = max(by_file.values())
        original = min(each for each, count in by_file.items() if count == most)
        expected = [-1 if each == original else original for each in group["file"]]
        assert group["other"].tolist() == expected


@pytest.mark.parametrize("rows_held", [2, 1 << 20])
def test_rows_of_two_files_are_told_and_with_drop_copies_left_out(
    year_and_february, into, monkeypatch, rows_held
):
    monkeypatch.setattr(shuffle, "ROWS_HELD", rows_held)
    both = ingest(year_and_february, into, **BY_MONTH)
    (remark,) = both.remarks
    assert "2 of the 3 rows of" in remark
    assert "acme-2017-02.csv are in " in remark
    assert "unless you say --drop-copies" in remark
    assert both.companies["rows"].tolist() == [8]

    once = into.with_name("once")
    first = ingest(year_and_february, once, **BY_MONTH, drop_copies=True)
    whole = ingest({"acme": _frame([*YEAR, LATER])}, into.with_name("whole"))
    assert contents(first.dataset) == contents(whole.dataset)
    assert first.remarks == ()
    assert first.refused[["reason", "count"]].values.tolist() == [["in_another_file", 2]]
    assert first.dataset.refused["file"].unique().tolist() == ["acme-2017-02.csv"]
    before = on_disk(once)
    again = ingest(year_and_february, once, **BY_MONTH, drop_copies=True)
    assert statuses(again) == {"acme": "unchanged"}
    assert again.refused.equals(first.refused)
    assert on_disk(once) == before
    ingest(year_and_february, into, **BY_MONTH, drop_copies=True, replace=True)
    assert contents(first.dataset) == contents(open_dataset(into))


def _frame(lines: list[str]) -> pd.DataFrame:
    columns = ["CustomerID", "Timestamp", "PurchaseValue"]
    return pd.DataFrame([line.split(",") for line in lines], columns=columns)


def test_a_file_that_is_a_copy_as_a_whole_stays_a_source(file, into):
    plain = file("acme-2017-a.csv", JANUARY)
    packed = plain.with_name("acme-2017-b.csv.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    link = plain.with_name("acme-2017-c.csv")
    link.symlink_to(plain)
    with pytest.raises(IngestError, match=r"a.csv and .*c.csv are the same rows"):
        ingest([plain, packed, link], into, **BY_MONTH)
    ingest(file("acme-2016-x.csv", ["a,2016-12-31,1"]), into, **BY_MONTH)
    for status in ("appended", "unchanged"):
        report = ingest(
            [plain, packed, link], into, **BY_MONTH, drop_copies=True, append=True, max_refused=0
        )
        assert statuses(report) == {"acme": status}
        assert report.files["rows_kept"].tolist() == [2, 0, 0]
        assert report.companies["rows"].tolist() == [3]


def test_equal_rows_of_one_file_or_of_two_companies_are_no_copies(file, into):
    lines = [f"{shop},{line}" for shop in "xy" for line in [*YEAR, *YEAR]]
    parts = [
        file("1.csv", lines[:10], "Shop," + HEADER),
        file("2.csv", lines[10:], "Shop," + HEADER),
    ]
    report = ingest(parts, into, company_column="Shop", drop_copies=True)
    assert report.companies["rows"].tolist() == [10, 10]
    assert not len(report.refused)


def test_companies_that_have_the_same_rows_are_told_once(file, into):
    paths = [file(f"{name}.csv", JANUARY) for name in ("shop", "old", "copy")]
    (remark,) = ingest(paths, into).remarks
    assert "'copy', 'old' and 'shop' (2 rows each)" in remark
    assert ingest(paths, into).remarks == ()
    assert ingest(file("other.csv", FEBRUARY), into).remarks == ()
    single = [file(f"{name}.csv", ["1,2017-01-01,9.99"]) for name in ("tiny", "small")]
    assert ingest(single, into).remarks == ()  # so may be equal by chance
    assert "'fourth', 'old' and 1 more" in ingest(file("fourth.csv", JANUARY), into).remarks[0]
