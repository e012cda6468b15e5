"""Tables in memory become the dataset that their files would become."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets.ingest import frames
from scale_eval.datasets.ingest.ingest import IngestError
from tests.support.transaction_files import contents, on_disk, statuses
from tests.support.transaction_files import ingest_whatever_is_refused as ingest

COLUMNS = ["CustomerID", "Timestamp", "PurchaseValue"]
FAULTS = [
    "007,2017-01-01 10:00:00Z,1.1",
    "b,2017-03-26 02:30:00,2.25",  # an hour that Berlin does not have
    "b,2017-06-01,-0.0",
    ",2017-06-02,1",
    "c,soon,1",
    "c,2017-06-03T11:30:15.123456+02:00,",
    "c,2017-06-04,12 EUR",
    "c,,4",
    "c,2017-06-05,inf",
    "ü,2017-06-05,1e3",
]


def frame_of(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def one(customer="a", timestamp="2017-01-01", value=1.0) -> pd.DataFrame:
    return frame_of([(customer, timestamp, value)])


def files_of_dataset(place) -> dict[str, bytes]:
    """The bytes of all files but the manifest and refused rows, which name where rows came from."""
    skipped = ("manifest.parquet", "refused.parquet")
    return {name: data for name, (data, _) in on_disk(place).items() if name not in skipped}


def assert_same_dataset(frame_report, file_report, tmp_path):
    a, b = frame_report.dataset, file_report.dataset
    assert a.content_hash == b.content_hash
    assert files_of_dataset(tmp_path / "frames") == files_of_dataset(tmp_path / "files")
    assert a.manifest.drop(columns="sources").equals(b.manifest.drop(columns="sources"))
    assert frame_report.companies.equals(file_report.companies)
    names = ["rows_in", "rows_kept", "rows_refused", "n_naive_timestamps", "status"]
    assert frame_report.files[names].equals(file_report.files[names])
    assert frame_report.naive_timestamps == file_report.naive_timestamps
    kept = ["company_id", "reason", "text"]
    pd.testing.assert_frame_equal(
        a.refused.sort_values("line")[kept].reset_index(drop=True),
        b.refused.sort_values("line")[kept].reset_index(drop=True),
    )


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string[python]"])
def test_a_frame_read_from_a_csv_gives_the_same_dataset_bit_for_bit(file, tmp_path, dtype):
    path = file("shop.csv", FAULTS)
    frame = pd.read_csv(path, dtype=str).astype(dtype)
    options = {"timezone": "Europe/Berlin"}
    assert_same_dataset(
        ingest({"shop": frame}, tmp_path / "frames", **options),
        ingest(path, tmp_path / "files", **options),
        tmp_path,
    )


def test_typed_columns_of_a_csv_give_the_same_dataset_too(file, tmp_path):
    rng = np.random.default_rng(5)
    seconds = rng.integers(0, 10**8, 500)
    values = rng.normal(20, 30, 500)
    times = pd.Timestamp("2015-01-01", tz="UTC") + pd.to_timedelta(seconds, unit="s")
    lines = [
        f"{i % 60},{t},{v!r}" for i, (t, v) in enumerate(zip(times, values.tolist(), strict=True))
    ]
    path = file("shop.csv", lines)
    frame = pd.read_csv(path, parse_dates=["Timestamp"])
    assert [str(kind) for kind in frame.dtypes] == ["int64", "datetime64[us, UTC]", "float64"]
    assert_same_dataset(
        ingest({"shop": frame}, tmp_path / "frames"), ingest(path, tmp_path / "files"), tmp_path
    )


def test_a_company_column_divides_a_frame_as_it_divides_a_file(two_months, tmp_path):
    frame = pd.concat([pd.read_csv(path, dtype=str) for path in two_months], ignore_index=True)
    ingest(frame, tmp_path / "frames", company_column="Shop")
    ingest([frame[:2], frame[2:]], tmp_path / "parts", company_column="Shop")
    report = ingest(two_months, tmp_path / "files", company_column="Shop")
    for place in ("frames", "parts"):
        assert files_of_dataset(tmp_path / place) == files_of_dataset(tmp_path / "files")
    assert report.dataset.company_ids == ["01", "2"]


def test_months_are_appended_and_the_same_frame_again_changes_nothing(into):
    january = frame_of([("a", "2017-01-01 10:00", 1), ("b", "2017-01-31 12:00", 2)])
    later = frame_of([("a", "2017-01-31 12:00", 3), ("c", "2017-02-28 12:00", 4)])
    ingest({"shop": january}, into)
    with pytest.raises(IngestError, match=r"company 'shop' .* \(append=True\).*\(replace=True\)"):
        ingest({"shop": later}, into)
    report = ingest({"shop": later, "other": january}, into, append=True)
    assert statuses(report) == {"other": "new", "shop": "appended"}
    refused = report.dataset.refused
    assert refused[["file", "line", "company_id", "reason", "text"]].values.tolist() == [
        ["frame 'shop'", 1, "shop", "overlap", "a,2017-01-31 12:00,3"]
    ]
    assert [row[0] for row in contents(report.dataset)["shop"]] == ["a", "b", "c"]
    before = on_disk(into)
    again = ingest({"other": january.copy(), "shop": later.copy()}, into, append=True)
    assert statuses(again) == {"other": "unchanged", "shop": "unchanged"}
    assert on_disk(into) == before
    assert statuses(ingest({"shop": later}, into, replace=True)) == {"shop": "replaced"}


NOON = pd.Timestamp("2017-03-01 12:00")


@pytest.mark.parametrize(
    ("times", "expected", "naive"),
    [
        (pd.Series([NOON]), "2017-03-01 11:00:00", 1),
        (pd.Series([NOON]).astype("datetime64[s]"), "2017-03-01 11:00:00", 1),
        (pd.Series([NOON]).dt.tz_localize("America/New_York"), "2017-03-01 17:00:00", 0),
        (pd.Series([NOON]).dt.tz_localize("+05:30"), "2017-03-01 06:30:00", 0),
        (pd.Series([datetime.date(2017, 3, 1)]), "2017-02-28 23:00:00", 1),
        (pd.Series(["2017-03-01"], dtype="category"), "2017-02-28 23:00:00", 1),
        (pd.Series([NOON], dtype=pd.ArrowDtype(pa.timestamp("ms"))), "2017-03-01 11:00:00", 1),
    ],
)
def test_timestamps_with_a_zone_keep_it_and_others_are_in_the_zone_that_is_given(
    into, times, expected, naive
):
    frame = pd.DataFrame({"CustomerID": ["a"], "Timestamp": times, "PurchaseValue": [1]})
    report = ingest({"shop": frame}, into, timezone="Europe/Berlin")
    assert contents(report.dataset) == {"shop": [("a", expected, 1.0)]}
    assert report.naive_timestamps == naive


class Exporter:
    """A table of another library: nothing is known of it but the Arrow PyCapsule interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def with_categories(table: pa.Table) -> pa.Table:
    """Return the table with ids in a dictionary of a type that Arrow casts from no dictionary."""
    values = pa.array(["y", "x"]).cast(pa.string_view())
    ids = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int8()), values)
    return table.set_column(0, "CustomerID", ids)


@pytest.mark.parametrize(
    "kind", [lambda table: table, Exporter, with_categories], ids=["pyarrow", "other", "categories"]
)
def test_a_table_of_another_library_is_read_through_arrow(tmp_path, kind):
    ids = pa.array(["x", "y", "x"]).cast(pa.string_view())
    table = pa.table(
        {
            "CustomerID": ids,
            "Timestamp": pa.array([10**12, None, 0], pa.timestamp("ms", "UTC")),
            "PurchaseValue": pa.array([1.5, 2.0, float("nan")]),
        }
    )
    report = ingest({"shop": kind(table)}, tmp_path / "frames")
    assert contents(report.dataset) == {"shop": [("x", "2001-09-09 01:46:40", 1.5)]}
    assert report.dataset.refused[["line", "reason"]].values.tolist() == [
        [2, "timestamp_empty"],
        [3, "value_not_finite"],
    ]
    path = tmp_path / "shop.parquet"
    pq.write_table(table.set_column(0, "CustomerID", ids.cast(pa.string())), path)
    assert ingest(path, tmp_path / "files").dataset.content_hash == report.dataset.content_hash


def test_the_rows_of_a_frame_are_numbered_across_batches(into, monkeypatch):
    monkeypatch.setattr(frames, "ROWS_PER_BATCH", 2)
    frame = pd.concat([one(f"c{i}", value=i) for i in range(7)] + [one(value=None)])
    report = ingest({"shop": frame}, into)
    assert report.dataset.refused["line"].tolist() == [8]
    assert report.files["rows_kept"].tolist() == [7]


def test_other_columns_and_the_index_do_not_matter(into):
    frame = one().rename(columns={"CustomerID": "id"}).assign(basket=[object()])
    names = {"customer_id": "id"}
    report = ingest({"shop": frame.set_index(pd.Index(["z"]))}, into, columns=names)
    again = ingest({"shop": frame.drop(columns="basket")}, into, columns=names)
    assert statuses(report) == {"shop": "new"}
    assert statuses(again) == {"shop": "unchanged"}


def test_times_of_several_zones_in_one_column_keep_theirs(into):
    times = [NOON.tz_localize("Europe/Berlin"), NOON.tz_localize("America/New_York"), None]
    frame = pd.DataFrame({"CustomerID": list("abc"), "PurchaseValue": 1})
    frame["Timestamp"] = pd.Series(times, dtype=object)
    report = ingest({"shop": frame}, into, timezone="Asia/Tokyo")
    assert contents(report.dataset)["shop"] == [
        ("a", "2017-03-01 11:00:00", 1.0),
        ("b", "2017-03-01 17:00:00", 1.0),
    ]
    assert report.naive_timestamps == 0
    assert report.refused["reason"].tolist() == ["timestamp_empty"]


EMPTY = one()[:0]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({}, {}, "no frames are given"),
        ([], {}, "no files are given"),
        (one(), {}, r"a frame has no name; .*\{'shop': frame\}.*company_column="),
        ({"a": one()}, {"company_column": "Shop"}, "keys of a mapping name the companies"),
        ({1: one()}, {}, "1 is the key of a frame, and no text; write '1'"),
        ({"a": "a.csv"}, {}, "'a' is the name of a path; give paths as a list"),
        ({"a": 3}, {}, "'a': int is neither a path nor a table"),
        ([one(), "a.csv"], {}, "paths and tables are given together"),
        (["a.csv", 3], {}, "int is neither a path nor a table"),
        ({"a": pa.array([1])}, {}, "frame 'a' is a Int64Array, and no table"),
        (one()["CustomerID"], {}, "a Series is one column"),
        (3, {}, "int is neither a path nor a table"),
        ({"a": EMPTY}, {}, "frame 'a' has a header but no rows"),
        ({"a": EMPTY.astype(object)}, {}, "frame 'a' has a header but no rows"),
        (
            {"a": one().rename(columns={"Timestamp": "time"})},
            {},
            r"frame 'a': .*no column 'Timestamp'.*columns=\{'customer_id': 'CustomerID', "
            "'timestamp': 'time', 'value': 'PurchaseValue'}",
        ),
        ({"a": one().set_index("Timestamp")}, {}, r"no column 'Timestamp'.*frame.reset_index\(\)"),
        (
            {"a": pd.concat([one(), one()["Timestamp"]], axis=1)},
            {},
            "frame 'a': the header has column 'Timestamp' 2 times",
        ),
        (one(), {"company_column": "Shop"}, r"no column 'Shop'.*company_column="),
        ({"a": one(customer=1.5)}, {}, r"frame 'a': column 'CustomerID' .*has type double; .*text"),
        (
            {"a": one().assign(CustomerID=pd.cut([1], 2))},
            {},
            r"'CustomerID' \(customer_id\) has type extension<pandas.interval.*; write it as text",
        ),
        (
            {"a": one(timestamp=True)},
            {},
            r"frame 'a': column 'Timestamp' .*type bool; .*a timestamp",
        ),
        (
            {"a": frame_of([(1, "2017-01-01", 1), ("b", "2017-01-01", 1)])},
            {},
            r"frame 'a': column 'CustomerID' .*different types.*\.astype\(str\)",
        ),
        (
            {"a": frame_of([("b", "soon", 1), ("b", "later", 1)])},
            {},
            r"frame 'a': all 2 rows .*first is row 1: 'b,soon,1'.*timestamp_format=\.\.\.",
        ),
        (
            {"a": frame_of([("a", NOON, 1), ("a", None, 1), ("b", NOON.tz_localize("UTC"), 1)])},
            {},
            r"frame 'a': column 'Timestamp' .* with a zone and without; .*tz_localize",
        ),
        ({"a": one(value=None)}, {}, "value_empty 1"),
        ({"": one()}, {}, "company_id_empty 1"),
    ],
)
def test_what_cannot_be_ingested_is_an_error_that_names_company_row_and_remedy(
    given, options, message, into
):
    with pytest.raises(IngestError, match=message):
        ingest(given, into, **options)
    assert not into.exists()


def test_two_parts_with_the_same_rows_are_an_error(into):
    part = one().assign(Shop="s")
    with pytest.raises(IngestError, match="frame 1 and frame 2 are the same rows"):
        ingest([part, part.copy()], into, company_column="Shop")


def test_text_that_is_not_utf_8_is_an_error_with_column_and_row(into):
    offsets = pa.array([0, 1, 4], pa.int32()).buffers()[1]
    ids = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"aM\xfcx")])
    columns = {"Timestamp": ["2017-01-01"] * 2, "PurchaseValue": [1.0] * 2}
    with pytest.raises(IngestError, match=r"frame 'x': row 2, column 'CustomerID'.*'Müx'"):
        ingest({"x": pa.table({**columns, "CustomerID": ids})}, into)
    frame = pd.DataFrame({**columns, "CustomerID": pd.Series(["a", "M\udcfcx"], dtype=object)})
    with pytest.raises(IngestError, match=r"frame 'x': column 'CustomerID'.*is not Unicode.*enc"):
        ingest({"x": frame}, into)
    ingest({"x": pa.table({**columns, "CustomerID": ["a", "b"], "Note": ids})}, into)
