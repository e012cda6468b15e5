"""Instants are read as they are written, or refused: nothing is guessed, and nothing wraps."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest.frames import InputFrame
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.instants import as_utc, microseconds
from scale_eval.datasets.time_span import TimeSpan
from scale_eval.datasets.transactions import Transactions

EPOCH = dt.datetime(1970, 1, 1)
US = dt.timedelta(microseconds=1)
READ = dt.datetime(1678, 1, 1), dt.datetime(2262, 1, 1)
any_time = st.datetimes() | st.sampled_from(
    [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), *READ, READ[0] - US, READ[1] - US]
)


def is_read(time: dt.datetime) -> bool:
    return READ[0] <= time < READ[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("01.06.2023", "write 2023-06-01 or 2023-01-06, whichever is meant"),
        ("13/06/2023", "write 2023-06-13"),
        ("6/13/2023 10:00", "write 2023-06-13"),
        ("23-06-01", "write 2023-06-01 or 2001-06-23, whichever is meant"),
        ("2023-6-1", "write 2023-06-01"),
        ("now", "write 2017-12-01"),
        ("2017-12", "write 2017-12-01"),
        ("1 June 2023", "write 2017-12-01"),
        ("1685577600", "write 2017-12-01"),
        ("2023-02-30", "write 2017-12-01"),
        ("9999-12-31", "out of range"),
        ("0001-01-01", "out of range"),
        (1685577600, "write '2017-12-01'"),
        (pd.NaT, "write 2017-12-01"),
        (np.datetime64(2**62, "s"), "out of range"),
    ],
)
def test_a_date_that_is_not_iso_8601_is_an_error_with_what_to_write(text, says):
    with pytest.raises(ValueError, match=says):
        as_utc(text)


@pytest.mark.parametrize("last", ["2022-12-31", "20221231", " 20221231 "])
def test_a_span_ends_with_its_last_day_and_at_its_last_time(last):
    assert TimeSpan.parse(f"20190101..{last}") == TimeSpan.parse("2019-01-01..2023-01-01T00:00")
    assert TimeSpan.parse(f"..{last}").end == TimeSpan.parse("..20230101 00:00Z").end


@given(time=any_time, minutes=st.none() | st.integers(-14 * 60, 14 * 60))
def test_text_is_the_instant_that_python_reads_or_out_of_range(time, minutes):
    zone = None if minutes is None else dt.timezone(dt.timedelta(minutes=minutes))
    text = time.replace(tzinfo=zone).isoformat(" ")
    wall = dt.datetime.fromisoformat(text).replace(tzinfo=None)
    # Python's own datetimes end with the years 1 and 9999.
    expected = (wall - EPOCH) // US - (minutes or 0) * 60_000_000
    if (READ[0] - EPOCH) // US <= expected < (READ[1] - EPOCH) // US:
        assert microseconds(as_utc(text)) == expected
    else:
        with pytest.raises(ValueError, match="out of range"):
            as_utc(text)


def written(times: list[dt.datetime], kind: str) -> tuple[pa.Array, int]:
    """Return the times as Arrow holds them, and the microseconds to which each is cut."""
    if kind.startswith("date"):
        midnights = [time.replace(hour=0, minute=0, second=0, microsecond=0) for time in times]
        return pa.array([m.date() for m in midnights], kind.removesuffix("[day]")), 86_400_000_000
    if kind == "text":
        return pa.array([time.isoformat() for time in times]), 1
    step = {"s": 1_000_000, "ms": 1_000, "us": 1}[kind]
    units = [(time - EPOCH) // (step * US) for time in times]
    return pa.array(units, pa.int64()).cast(pa.timestamp(kind)), step


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(any_time, min_size=1, max_size=6),
    kind=st.sampled_from(["s", "ms", "us", "date32", "date64", "text", "int96", "pandas"]),
)
def test_of_any_type_an_instant_is_kept_as_it_is_or_refused(times, kind, tmp_path_factory):
    times = [EPOCH, *times]
    column, step = written(times, "us" if kind in ("int96", "pandas") else kind)
    ids = [str(i) for i in range(len(times))]
    table = pa.table({"CustomerID": ids, "Timestamp": column, "PurchaseValue": [1.0] * len(ids)})
    if kind == "pandas":
        source = InputFrame(table.to_pandas(), "frame", "x")
    else:
        path = tmp_path_factory.mktemp("instants") / "acme.parquet"
        pq.write_table(table, path, use_deprecated_int96_timestamps=kind == "int96")
        source = InputFile(path)
    parsed = parse_input(source, ReadOptions())
    expected = {
        str(i): (time - EPOCH) // US // step * step for i, time in enumerate(times) if is_read(time)
    }
    kept = parsed.rows["timestamp"].cast(pa.int64()).to_pylist()
    assert dict(zip(parsed.rows["customer_id"].to_pylist(), kept, strict=True)) == expected
    assert {refusal.reason for refusal in parsed.refused} <= {"timestamp_out_of_range"}


def test_int96_beyond_microseconds_is_refused_too(tmp_path, monkeypatch):
    """A file of Spark whose julian days wrap in microseconds, by a bound that is brought near."""
    table = pa.table(
        {
            "CustomerID": ["a", "b", "c"],
            "Timestamp": pa.array([EPOCH, dt.datetime(2200, 1, 1), None], pa.timestamp("us")),
            "PurchaseValue": [1.0, 2.0, 3.0],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    monkeypatch.setattr("scale_eval.datasets.ingest.parquet.MAX_SECONDS", 10**9)
    parsed = parse_input(InputFile(tmp_path / "x.parquet"), ReadOptions())
    reasons = [(refusal.line, refusal.reason) for refusal in parsed.refused]
    assert reasons == [(2, "timestamp_out_of_range"), (3, "timestamp_empty")]


def test_beside_nanoseconds_the_other_centuries_are_still_read():
    frame = pd.DataFrame({"CustomerID": list("abc"), "PurchaseValue": 1.0})
    frame["Timestamp"] = ["2017-06-02 05:28:36.123456789", "1700-01-01", "20170602"]
    rows = parse_input(InputFrame(frame, "frame", "x"), ReadOptions()).rows
    assert [str(time)[:19] for time in rows["timestamp"].to_pandas()] == [
        "2017-06-02 05:28:36",
        "1700-01-01 00:00:00",
        "2017-06-02 00:00:00",
    ]


@pytest.mark.parametrize("times", [["01.06.2023"], [pd.Timestamp("9999-12-31")], [np.nan]])
def test_a_frame_of_transactions_is_as_strict(times):
    frame = pd.DataFrame({"customer_id": ["a"], "timestamp": times, "value": [1.0]})
    with pytest.raises(ValueError, match=r"2023-01-06|out of range|not a date"):
        Transactions.from_frame("x", frame)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        ("Z", 10),
        ("utc", 10),
        ("+00:00", 10),
        ("Etc/UTC", 10),
        ("UTC+1", 11),
        ("+0530", 15.5),
        ("-08:00", 2),
        ("Etc/GMT+1", 9),
        ("W. Europe Standard Time", 11),
        ("Eastern Standard Time", 5),
        ("Europe/Berlin", 11),
    ],
)
def test_zones_of_parquet_may_have_any_usual_name(tmp_path, zone, hour):
    time = pa.array([dt.datetime(2023, 1, 5, 10)], pa.timestamp("us", zone))
    table = pa.table({"CustomerID": ["a"], "Timestamp": time, "PurchaseValue": [1.0]})
    pq.write_table(table, tmp_path / "x.parquet")
    parsed = parse_input(InputFile(tmp_path / "x.parquet"), ReadOptions())
    assert str(parsed.rows["timestamp"][0].as_py())[:19] == "2023-01-05 10:00:00"
    assert parsed.n_naive_timestamps == 0
    midnight = pa.array([dt.datetime(2023, 1, 5, 10) - dt.timedelta(hours=hour)])
    table = table.set_column(1, "Timestamp", midnight.cast(pa.timestamp("us", zone)))
    pq.write_table(table, tmp_path / "x.parquet")
    assert parse_input(InputFile(tmp_path / "x.parquet"), ReadOptions()).rows["midnight"][0].as_py()


def test_a_zone_that_nobody_knows_is_named_with_file_and_column(tmp_path):
    time = pa.array([dt.datetime(2023, 1, 5)], pa.timestamp("us", "Shop/Time"))
    table = pa.table({"CustomerID": ["a"], "Timestamp": time, "PurchaseValue": [1.0]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(
        IngestError, match=r"x\.parquet: column 'Timestamp' is in the .*'Shop/Time'"
    ):
        parse_input(InputFile(tmp_path / "x.parquet"), ReadOptions())
