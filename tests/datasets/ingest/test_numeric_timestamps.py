"""Numbers become instants in the unit that is given or found, or are refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.timestamps import TimestampColumn, TimestampReader
from tests.support.transaction_files import HEADER, instants, refused, rows


@pytest.mark.parametrize(
    ("text", "unit", "instant"),
    [
        ("1496397600", "s", "2017-06-02 10:00:00"),
        ("1496397600.25", "s", "2017-06-02 10:00:00.250000"),
        ("-1.5", "s", "1969-12-31 23:59:58.500000"),
        ("0", "ms", "1970-01-01 00:00:00"),
        ("1496397600123", "ms", "2017-06-02 10:00:00.123000"),
        ("1496397600123.456", "ms", "2017-06-02 10:00:00.123456"),
        ("1496397600123456", "us", "2017-06-02 10:00:00.123456"),
        ("1496397600123456789", "ns", "2017-06-02 10:00:00.123456"),
        ("1496397600000000000.0", "ns", "2017-06-02 10:00:00"),
        ("-1500000000", "ns", "1969-12-31 23:59:58.500000"),
        ("9999999999999999999", "ns", "out of range"),
        ("9999999999999999999", "us", "out of range"),
        ("42888", "excel", "2017-06-02 00:00:00"),
        ("44199.43903", "excel", "2021-01-03 10:32:12"),
        ("3", "excel", "unparsable"),
        ("2017-06-02", "excel", "unparsable"),
        ("999999999999999999", "s", "out of range"),
        ("1e9", "s", "unparsable"),
        ("1496397600 ", "s", "2017-06-02 10:00:00"),
    ],
)
def test_numbers_are_read_in_the_unit_that_is_given(text, unit, instant):
    assert instants([text], timestamp_unit=unit) == [instant]


def test_days_of_a_spreadsheet_are_those_of_the_time_zone_and_unix_time_is_not():
    assert instants(["42888.5"], timestamp_unit="excel", timezone="Asia/Tokyo") == [
        "2017-06-02 03:00:00"
    ]
    assert instants(["1496397600"], timestamp_unit="s", timezone="Asia/Tokyo") == [
        "2017-06-02 10:00:00"
    ]


@pytest.mark.parametrize(
    ("numbers", "instant"),
    [
        (["1496397600", "1496397601"], "2017-06-02 10:00:00"),
        (["1496397600123", "1496397601000"], "2017-06-02 10:00:00.123000"),
        (["1496397600123456", "1496397601000000"], "2017-06-02 10:00:00.123456"),
        (["1496397600123456789", "1496397601000000000"], "2017-06-02 10:00:00.123456"),
    ],
)
def test_unix_time_is_found_by_itself_and_told(parse, numbers, instant):
    file = parse(HEADER + "".join(f"a,{number},1\n" for number in numbers))
    assert rows(file)[0][1] == instant
    assert file.n_naive_timestamps == 0
    assert f"{numbers[0]} is {instant[:19]}" in file.remarks[0]


def test_nanoseconds_beside_a_missing_one_are_floats_and_read_to_the_second(parse_table):
    numbers = pa.array([1496397600e9, None, 1496397601e9], pa.float64())
    file = parse_table(pa.array(["a", "b", "c"]), numbers, pa.array([1.0, 1.0, 1.0]))
    assert [row[1] for row in rows(file)] == ["2017-06-02 10:00:00", "2017-06-02 10:00:01"]
    assert refused(file) == [(2, "timestamp_empty")]


def test_a_number_among_dates_and_a_date_or_another_unit_among_numbers_are_refused(
    parse, monkeypatch
):
    monkeypatch.setattr("scale_eval.datasets.ingest.csv.LINES_PER_BATCH", 1)
    file = parse(HEADER + "a,soon,1\na,2017-06-02,1\na,1496397600,1\n")
    assert refused(file) == [(2, "timestamp_unparsable"), (4, "timestamp_unparsable")]
    file = parse(HEADER + "a,1496397600,1\na,2017-06-02,1\na,1496397600123,1\n")
    assert refused(file) == [(3, "timestamp_unparsable"), (4, "timestamp_unparsable")]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (
            ["1", "711"],
            "numbers from 1 to 711: numbers of days, weeks or hours do not say on which",
        ),
        (
            ["44199.43903", "44927.5"],
            "44199.43903 is 2021-01-03 10:32:12; if so, say --timestamp-u",
        ),
        (["1234567"], "say their unit: --timestamp-unit s, ms, us, ns or excel"),
        (["149639760012"], "say their unit: --timestamp-unit s, ms, us, ns or excel"),
        (["990131"], r"990131 may be 1999-01-31 00:00:00 \(--timestamp-format %y%m%d\); say so"),
        (["31122023"], r"2023-12-31 00:00:00 \(--timestamp-format %d%m%Y\); say so"),
        (["05062023"], r"2023-06-05 .*%d%m%Y\) or 2023-05-06 .*%m%d%Y\); say so"),
        (["202311142213", "202312012359"], "2023-11-14 22:13:00 .*--timestamp-format %Y%m%d%H%M"),
        (["231114221320"], "2023-11-14 22:13:20 .*--timestamp-format %y%m%d%H%M%S"),
        (["20231114221320"], "2023-11-14 22:13:20 .*--timestamp-format %Y%m%d%H%M%S"),
        (["20231114221320123"], "2023-11-14 22:13:20 .*--timestamp-format %Y%m%d%H%M%S%f"),
        (
            ["44927.52", "44928.5", "4.5E+04"],
            "say --timestamp-unit excel. 4.5E.04 is a number without its last digits",
        ),
        (["44927.52", "4.5E+04", "4.5E+04"], "1'. 4.5E.04 is a number without its last digits"),
        (["1.70E+09", "1.71E+09"], "1.70E.09 is a number without its last digits, as a spreadshee"),
    ],
)
def test_other_numbers_are_refused_with_what_they_may_be(parse, numbers, says):
    with pytest.raises(IngestError, match=says):
        parse(HEADER + "".join(f"a,{number},1\n" for number in numbers))


def numbers_of(form: str) -> list[str]:
    """Return a year of times as numbers, and one that is no date."""
    times = pd.date_range("2010-01-02 03:04:05.5", periods=100, freq="88h")
    texts = times.strftime(form).str.slice(0, 16).tolist()
    return [*texts, "2099009999999999"[: len(texts[0])]]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("%Y%m%d%H", r"2033-09-11 00:10:03 \(--timestamp-unit s\) or 2010-01-02 03:00:00 \(--tim"),
        (
            "%y%m%d%H%M",
            r"2001-09-20 21:11:44 \(--timestamp-unit s\) or 2010-01-02 03:04:00 \(--timesta",
        ),
        ("%Y%m%d%H%M%S%f", "2033-09-11 .*--timestamp-unit us.* or 2010-01-02 03:04:05 .*%S%f"),
    ],
)
def test_numbers_that_are_dates_and_unix_time_are_an_error_with_both_readings(parse, form, says):
    text = HEADER + "".join(f"a,{number},1\n" for number in numbers_of(form))
    with pytest.raises(IngestError, match=f"'Timestamp' can be read in .* ways: .*{says}"):
        parse(text)
    formatted = parse(text, timestamp_format=form)
    assert rows(formatted)[0][1][:13] == "2010-01-02 03"
    assert refused(formatted) == [(102, "timestamp_unparsable")]
    by_unit = parse(text, timestamp_unit="us" if "%f" in form else "s")
    assert "It may be 2010-01-02 03:" in by_unit.remarks[0]


@pytest.mark.parametrize(
    ("number", "unit", "says"),
    [
        ("202301151030", "ms", "202301151030 is 1976-05-30 .* It may be 2023-01-15 10:30:00"),
        ("20230115", "s", "is 1970-08-23 .* It may be 2023-01-15 .*--timestamp-format %Y%m%d."),
        ("1700000000", "ms", "is 1970-01-20 .* It may be 2023-11-14 22:13:20 .--timestamp-unit s"),
        ("1700000000000", "us", "is 1970-01-20 .* may be 2023-11-14 22:13:20 .--timestamp-unit ms"),
    ],
)
def test_numbers_in_a_given_unit_that_look_like_another_are_told(parse, number, unit, says):
    (remark,) = parse(HEADER + f"a,{number},1\n", timestamp_unit=unit).remarks
    assert re.search(says, remark)
    assert parse(HEADER + "a,1700000000,1\n", timestamp_unit="s").remarks == ()


@pytest.mark.parametrize(
    ("number", "unit", "says"),
    [
        ("202301151030", "s", "out_of_range 1.*may be 2023-01-15 10:30:00 .*%Y%m%d%H%M.; say so"),
        ("20230115", "excel", "20230115 may be 2023-01-15 .*--timestamp-format %Y%m%d.; say so"),
        ("1700000000123456789", "us", "out_of_range.*2023-11-14 22:13:20 .--timestamp-unit ns"),
        ("1700000000", "excel", "unparsable 1.*2023-11-14 22:13:20 .--timestamp-unit s.; say so"),
        ("1.70E+09", "s", "unparsable 1.*1.70E.09 is a number without its last digits"),
    ],
)
def test_numbers_that_are_none_in_the_given_unit_are_refused_with_what_they_may_be(
    parse, number, unit, says
):
    with pytest.raises(IngestError, match=says):
        parse(HEADER + f"a,{number},1\n", timestamp_unit=unit)


@pytest.mark.parametrize("n_more", [0, 3, 6, 9])
@pytest.mark.parametrize("seed", range(5))
def test_unix_time_is_hardly_ever_taken_for_dates_by_chance(n_more, seed):
    seconds = np.random.default_rng(seed).integers(1_000_000_000, 2_500_000_000, 20).tolist()
    numbers = [f"{second}{'7' * n_more}" for second in seconds]
    column = TimestampColumn(TimestampReader())
    times = column.read(pa.array(numbers, pa.large_string()), np.arange(20))
    column.check("x", "Timestamp", "line", in_python=False)
    assert times.microseconds.tolist() == [int(n) * 1_000_000 // 10**n_more for n in numbers]


def test_a_unit_that_is_none_is_an_error():
    with pytest.raises(IngestError, match="timestamp unit 'd' is none of 's', 'ms', 'us', 'ns', "):
        TimestampReader(timestamp_unit="d")
    with pytest.raises(IngestError, match="exclude each other"):
        TimestampReader(timestamp_unit="s", timestamp_format="%Y")
