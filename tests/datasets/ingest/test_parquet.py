"""Parquet files are read by the types of their columns."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets.ingest import parquet as parquet_source
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from tests.support.transaction_files import refused, rows

DAY = dt.datetime(2017, 6, 2)
A, ONE = pa.array(["a"]), pa.array([1.0])


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["007"]),
        pa.array(["007"], pa.large_string()),
        pa.array(["007"], pa.string_view()),
        pa.array(["007"]).dictionary_encode(),
    ],
    ids=lambda ids: str(ids.type),
)
def test_parquet_ids_are_text_of_any_kind(parse_table, ids):
    file = parse_table(ids, pa.array([DAY]), ONE)
    assert rows(file) == [("007", "2017-06-02 00:00:00", 1.0)]


def test_parquet_ids_that_are_integers_become_their_decimal_text(parse_table):
    file = parse_table(pa.array([12345678901234567]), pa.array([DAY]), ONE)
    assert file.rows["customer_id"].to_pylist() == ["12345678901234567"]


@pytest.mark.parametrize(
    ("column", "instant"),
    [(pa.array([DAY], pa.timestamp(unit)), "2017-06-02 00:00:00") for unit in ("s", "ms", "us")]
    + [
        (
            pa.array([pd.Timestamp("2017-06-02 10:00:00.123456789").value], pa.timestamp("ns")),
            "2017-06-02 10:00:00.123456",
        ),
        (pa.array([DAY], pa.timestamp("us", "Europe/Berlin")), "2017-06-02 00:00:00"),
        (pa.array([DAY.date()], pa.date32()), "2017-06-02 00:00:00"),
        (pa.array([DAY.date()], pa.date64()), "2017-06-02 00:00:00"),
        (pa.array(["2017-06-02T10:00Z"]), "2017-06-02 10:00:00"),
        (pa.array([20170602]), "2017-06-02 00:00:00"),
        (pa.array([1496397600]), "2017-06-02 10:00:00"),
        (pa.array([1496397600.0]), "2017-06-02 10:00:00"),
        (pa.array([1496397600123]), "2017-06-02 10:00:00.123000"),
    ],
)
def test_parquet_timestamps_may_be_timestamps_dates_text_yyyymmdd_or_unix_time(
    parse_table, column, instant
):
    assert rows(parse_table(A, column, ONE)) == [("a", instant, 1.0)]


def test_parquet_timestamps_without_a_zone_are_naive_and_with_one_are_not(parse_table):
    naive = parse_table(A, pa.array([DAY], pa.timestamp("ms")), ONE, timezone="Asia/Tokyo")
    assert rows(naive)[0][1] == "2017-06-01 15:00:00"
    assert naive.n_naive_timestamps == 1
    zoned = pa.array([DAY - dt.timedelta(hours=9)], pa.timestamp("ms", "Asia/Tokyo"))
    file = parse_table(A, zoned, ONE)
    assert rows(file)[0][1] == "2017-06-01 15:00:00"
    assert file.n_naive_timestamps == 0
    assert file.rows["midnight"].to_pylist() == [True]


def test_parquet_timestamps_out_of_range_are_refused(parse_table):
    wraps = (2**64 + 384) // 1000  # milliseconds that are 384 microseconds in 64 bits
    for zone in (None, "Europe/Berlin"):
        times = pa.array([0, wraps, -(2**52), None], pa.int64()).cast(pa.timestamp("ms", zone))
        file = parse_table(pa.array(list("abcd")), times, pa.array([1.0] * 4))
        assert refused(file) == [
            (2, "timestamp_out_of_range"),
            (3, "timestamp_out_of_range"),
            (4, "timestamp_empty"),
        ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2.5]),
        pa.array([2.5], pa.float32()),
        pa.array([2.5], pa.float16()),
        pa.array([Decimal("2.50")], pa.decimal128(10, 2)),
        pa.array(["2.5"]),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_values_may_be_numbers_decimals_or_text(parse_table, column):
    assert parse_table(A, pa.array([DAY]), column).rows["value"].to_pylist() == [2.5]


def test_parquet_decimals_do_not_care_for_the_decimal_comma_of_text(parse_table):
    column = pa.array([Decimal("0.1"), Decimal("12345678901234567.9")], pa.decimal128(20, 1))
    file = parse_table(pa.array(["a", "b"]), pa.array([DAY, DAY]), column, decimal=",")
    assert file.rows["value"].to_pylist() == [0.1, 12345678901234567.9]


def test_parquet_nulls_are_empty_and_lines_are_row_numbers(parse_table, monkeypatch):
    monkeypatch.setattr(parquet_source, "ROWS_PER_BATCH", 2)
    file = parse_table(
        pa.array(["a", None, "a", "a", "a"]),
        pa.array([DAY, DAY, None, DAY, DAY]),
        pa.array([1.0, 1.0, 1.0, None, float("nan")]),
    )
    assert refused(file) == [
        (2, "customer_id_empty"),
        (3, "timestamp_empty"),
        (4, "value_empty"),
        (5, "value_not_finite"),
    ]
    assert file.refused[0].text == ",2017-06-02 00:00:00.000000,1"
    assert file.rows["line"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ((pa.array([1.0]), pa.array([DAY]), ONE), r"'CustomerID' \(customer_id\) has type double"),
        (
            (A, pa.array([True]), ONE),
            r"'Timestamp' \(timestamp\) has type bool; write it as a times",
        ),
        ((A, pa.array([DAY]), pa.array([True])), r"'PurchaseValue' \(value\) has type bool; write"),
    ],
)
def test_a_parquet_column_of_a_type_that_cannot_be_meant_is_an_error(parse_table, columns, says):
    with pytest.raises(IngestError, match=says):
        parse_table(*columns)


def test_parquet_without_the_columns_or_rows_is_an_error(tmp_path, parse_table):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"customerid": ["a"]}), path)
    with pytest.raises(IngestError, match=r"no column .*--columns customer_id=customerid,timest"):
        parse_input(InputFile(path), ReadOptions())
    with pytest.raises(IngestError, match="no rows"):
        parse_table(A[:0], pa.array([DAY])[:0], ONE[:0])


def test_a_damaged_parquet_file_is_an_error(tmp_path, parse_table):
    n = 5_000
    parse_table(pa.array([str(i) for i in range(n)]), pa.array([DAY] * n), pa.array([1.0] * n))
    content = (tmp_path / "acme.parquet").read_bytes()
    path: Path = tmp_path / "cut.parquet"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(IngestError, match=r"cut.parquet is damaged or no Parquet file"):
        parse_input(InputFile(path), ReadOptions())
    path.write_bytes(content[:100] + bytes(1000) + content[1100:])
    with pytest.raises(IngestError, match=r"cut.parquet is damaged or no Parquet file"):
        parse_input(InputFile(path), ReadOptions())


# What Arrow itself would say without a file, a column or a row


def _text_that_is_not_utf_8(kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        indices = pa.array([0, 1], kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, _text_that_is_not_utf_8(kind.value_type))
    offsets = pa.array([0, 1, 4], pa.int64() if kind == pa.large_string() else pa.int32())
    return pa.Array.from_buffers(kind, 2, [None, offsets.buffers()[1], pa.py_buffer(b"aM\xfcx")])


TEXTS = [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", TEXTS, ids=str)
@pytest.mark.parametrize("role", ["CustomerID", "Timestamp", "PurchaseValue", "Note"])
def test_text_that_is_not_utf_8_is_an_error_with_file_column_and_row_where_it_is_read(
    tmp_path, kind, role
):
    path = tmp_path / "acme.parquet"
    columns = {
        "CustomerID": ["a", "b"],
        "Timestamp": ["2017-01-01"] * 2,
        "PurchaseValue": ["1"] * 2,
    }
    pq.write_table(pa.table({**columns, role: _text_that_is_not_utf_8(kind)}), path)
    if role == "Note":
        assert len(parse_input(InputFile(path), ReadOptions()).rows) == 2
        return
    with pytest.raises(IngestError, match=r"acme.parquet: .*is not UTF-8") as error:
        parse_input(InputFile(path), ReadOptions())
    assert role in str(error.value)
    if not pa.types.is_dictionary(kind):
        assert f"row 2, column '{role}'" in str(error.value)
        assert "reads 'Müx'" in str(error.value)


def test_bytes_that_are_text_without_saying_so_are_read_as_impala_writes_them(parse_table):
    columns = [pa.array([text]) for text in ("é".encode(), b"2017-06-02", b"2.5")]
    assert rows(parse_table(*columns)) == [("é", "2017-06-02 00:00:00", 2.5)]


def test_columns_that_are_not_asked_for_may_have_any_type(tmp_path):
    others = {
        "list": pa.array([[1]]),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "struct": pa.array([{"CustomerID": 1}]),
        "duration": pa.array([1], pa.duration("ns")),
        "half": pa.array([1.0], pa.float16()),
        "uuid": pa.array([b"a" * 16], pa.uuid()),
        "time": pa.array([dt.time(1)]),
        "decimal": pa.array([Decimal("1.5")], pa.decimal256(60, 2)),
        "": pa.nulls(1),
    }
    used = {"CustomerID": A, "Timestamp": pa.array([DAY]), "PurchaseValue": ONE}
    pq.write_table(pa.table({**others, **used}), tmp_path / "acme.parquet")
    file = parse_input(InputFile(tmp_path / "acme.parquet"), ReadOptions())
    assert rows(file) == [("a", "2017-06-02 00:00:00", 1.0)]


def test_a_parquet_file_with_any_byte_changed_is_read_or_an_error_that_names_it(tmp_path):
    path = tmp_path / "acme.parquet"
    pq.write_table(pa.table({"CustomerID": A, "Timestamp": [DAY], "PurchaseValue": ONE}), path)
    content, rng = path.read_bytes(), random.Random(1)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            parse_input(InputFile(path), ReadOptions())
        except IngestError as error:
            assert "acme.parquet" in str(error)
