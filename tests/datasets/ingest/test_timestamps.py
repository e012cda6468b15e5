"""Timestamps become instants, or are refused."""

from __future__ import annotations

import contextlib
import itertools
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.timestamps import TimestampColumn, TimestampReader
from tests.support.transaction_files import HEADER, TWO_ROWS, refused, rows


def instants(texts, **options) -> list[str]:
    """Each instant in UTC, or why it is none."""
    column = pa.array(texts) if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    times = TimestampReader(**options).read(column)
    return [
        "unparsable"
        if times.unparsable[i]
        else "out of range"
        if times.out_of_range[i]
        else "ambiguous"
        if times.ambiguous[i]
        else str(pd.Timestamp(times.microseconds[i], unit="us"))
        for i in range(len(texts))
    ]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2017-06-02", "2017-06-02 00:00:00"),
        ("19970101", "1997-01-01 00:00:00"),  # a date, not nanoseconds
        (" 2017-06-02T05:28 ", "2017-06-02 05:28:00"),
        ("20170602 05:28:36", "2017-06-02 05:28:36"),
        ("2017-06-02 05:28:36+00:00", "2017-06-02 05:28:36"),
        ("2017-06-02T05:28:36Z", "2017-06-02 05:28:36"),
        ("2017-06-02 05:28:36 UTC", "2017-06-02 05:28:36"),
        ("2017-06-02 05:28:36+02", "2017-06-02 03:28:36"),
        ("2017-06-02 05:28:36 -0530", "2017-06-02 10:58:36"),
        ("2017-06-02 05:28+05:45", "2017-06-01 23:43:00"),
        ("2017-06-02 05:28:36.5", "2017-06-02 05:28:36.500000"),
        ("2017-06-02 05:28:36.123456789Z", "2017-06-02 05:28:36.123456"),
        ("1969-12-31 23:59:59.9999999", "1969-12-31 23:59:59.999999"),
        ("20170602T05:28:36.1234569", "2017-06-02 05:28:36.123456"),
        ("2016-02-29", "2016-02-29 00:00:00"),
        *[
            (text, "out of range")
            for text in ["0001-01-01", "9999-12-31", "2262-06-01", "1677-01-01", "99991231 23:59"]
        ],
        *[
            (text, "unparsable")
            for text in [
                "1483228800",
                "1483228800000",
                "201701",
                "2017-1-1",
                "2017-02-29",
                "2017-13-01",
                "2017-0601",
                "01.02.2017",
                "02/01/2017",
                "2017-06-02 5:28",
                "2017-06-02 24:00",
                "2017-06-02 05:28:60",
                "2017-06-02T05",
                "2017-06-02+02:00",
                "2017-06-02-05",
                "2017-06-02 05:28 CET",
                "2017-06-02 05:28+25:00",
                "2017-06-02 05:28 PM",
                "２０１７-06-02",
                "now",
                "NaT",
                "2017-06-02\n2017-06-03",
            ]
        ],
    ],
)
def test_iso_8601_is_read_and_nothing_else_is_guessed(text, instant):
    assert instants([text]) == [instant]
    # whatever stands beside it
    beside = ["2017-01-01 00:00:00.25+01:00", text, "20170101"]
    assert instants(beside) == ["2016-12-31 23:00:00.250000", instant, "2017-01-01 00:00:00"]


def test_naive_and_zoned_timestamps_may_stand_side_by_side_and_naive_ones_are_counted(parse):
    file = parse(
        HEADER + "a,2017-06-02 12:00:00+02:00,1\na,2017-06-02 12:00:00,1\nb,2017-06-02,1\n,2017,1\n"
    )
    assert [row[1] for row in rows(file)] == [
        "2017-06-02 10:00:00",
        "2017-06-02 12:00:00",
        "2017-06-02 00:00:00",
    ]
    assert file.n_naive_timestamps == 2


def test_a_time_zone_applies_to_naive_timestamps_with_daylight_saving():
    texts = ["2017-01-01 12:00", "2017-07-01 12:00", "2017-07-01 12:00Z"]
    assert instants(texts, timezone="Europe/Berlin") == [
        "2017-01-01 11:00:00",
        "2017-07-01 10:00:00",
        "2017-07-01 12:00:00",
    ]


def test_an_hour_that_the_clock_skips_or_has_twice_is_ambiguous(parse):
    texts = ["2017-03-26 02:30", "2017-10-29 02:30", "2017-10-29 02:30+01:00", "2017-10-29 03:00"]
    assert instants(texts, timezone="Europe/Berlin") == [
        "ambiguous",
        "ambiguous",
        "2017-10-29 01:30:00",
        "2017-10-29 02:00:00",
    ]
    assert "ambiguous" not in instants(texts)
    file = parse(HEADER + "a,2017-03-26 02:30,1\n" + TWO_ROWS, timezone="Europe/Berlin")
    assert refused(file) == [(2, "timestamp_ambiguous")]


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "/etc/passwd", "Europe", "../x"])
def test_an_unknown_time_zone_is_an_error(zone):
    with pytest.raises(IngestError, match=r"there is no time zone '.*'; give .*, such as \w+/"):
        TimestampReader(zone)


@pytest.mark.parametrize(
    ("form", "text", "instant"),
    [
        ("%d.%m.%Y", "26.03.2017", "2017-03-26 00:00:00"),
        ("%d.%m.%Y %H:%M", "26.03.2017 10:30", "2017-03-26 10:30:00"),
        ("%m/%d/%y %I:%M %p", "03/26/17 10:30 PM", "2017-03-26 22:30:00"),
        ("%Y%m%d", "19970101", "1997-01-01 00:00:00"),
        ("%d/%m/%Y %H:%M %z", "26/03/2017 10:30 +0200", "2017-03-26 08:30:00"),
        ("%d/%m/%Y %H:%M %z", "26/03/2017 10:30 UTC", "2017-03-26 10:30:00"),
        ("%d/%m/%Y %H:%M %z", "26/03/2017 10:30 -03", "2017-03-26 13:30:00"),
        ("%d/%m/%Y %H:%M %z", "26/03/2017 10:30 CEST", "unparsable"),
        ("%Y-%m-%d %H:%M:%S.%f", "1969-12-31 23:59:59.9999999", "1969-12-31 23:59:59.999999"),
        ("%d.%m.%Y", "2017-03-26", "unparsable"),
        ("%d.%m.%Y", "31.02.2017", "unparsable"),
        ("%Y-%m-%d", "2017-03-26 10:30", "unparsable"),
        ("%d.%m.%Y", "31.12.9999", "out of range"),
        ("%d.%m.%Y", "01.01.0001", "out of range"),
    ],
)
def test_a_timestamp_format_can_be_given(form, text, instant):
    assert instants([f" {text} "], timestamp_format=form) == [instant]


def test_a_format_without_a_zone_is_in_the_time_zone_and_with_one_is_not():
    zone = "America/New_York"
    assert instants(["26.03.2017 10:30"], timestamp_format="%d.%m.%Y %H:%M", timezone=zone) == [
        "2017-03-26 14:30:00"
    ]
    assert instants(["26.03.2017 10:30Z"], timestamp_format="%d.%m.%Y %H:%M%z", timezone=zone) == [
        "2017-03-26 10:30:00"
    ]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("%Q", "%Q is not read; the directives are %Y, %y, "),
        ("%F %T", "%F is not read"),
        ("%d.%m.%Y %", "% is not read"),
        ("mixed", "it has no year"),
        ("ISO8601", "it has no year"),
        ("", "it has no year"),
        ("%m-%d", r"it has no year \(%Y, %y or %G\)"),
        ("%Y-%m", "it has no day"),
        ("%Y-%d", "%d is the day of the month, and needs %m, %b or %B, the month"),
        ("%Y-%m-%d %H:%m", "%m is the month, and is there twice; %M is the minute"),
        ("%Y-%m-%d %H:%M:%M", "%M is the minute, and is there twice; %m is the month"),
        ("%y-%M-%d", "%M is the minute, and needs %H or %I, the hour"),
        ("%Y-%m-%d %H:%S", "%S is the second, and needs %M, the minute"),
        ("%m/%d/%Y %H:%M %p", "%p is AM or PM, and needs %I, the hour from 1 to 12"),
        ("%m/%d/%Y %I:%M", "%I is the hour from 1 to 12, and needs %p, AM or PM"),
        ("%d.%m.%Y %H:%M %z %Z", "%z and %Z exclude each other"),
        ("%Y %G %V %u", "incompatible"),
    ],
)
def test_a_format_that_is_none_or_leaves_a_part_of_the_time_out_is_an_error(form, says):
    with pytest.raises(IngestError, match=f"timestamp format '{form}': .*{says}.*for strptime"):
        TimestampReader(timestamp_format=form)


DATES = ["%d.%m.%Y", "%y %b %d", "%d %B %Y", "%j %Y", "%Y %U %w", "%Y %W %a", "%G %V %u"]


def test_a_format_that_is_accepted_loses_nothing_of_what_it_writes():
    time = pd.Timestamp("2024-12-30 22:45:56.123456")
    accepted = set()
    for n in range(6):
        for clock in itertools.permutations(["%H", "%I", "%p", "%M", "%S", "%f"], n):
            form = " ".join([DATES[len(accepted) % len(DATES)], *clock])
            steps = {"%H": "h", "%I": "h", "%M": "min", "%S": "s", "%f": "us"}
            finest = next((steps[each] for each in reversed(steps) if each in clock), "D")
            with contextlib.suppress(IngestError):
                read = instants([time.strftime(form)], timestamp_format=form)
                assert read == [str(time.floor(finest))], form
                accepted.add(form)
    assert len(accepted) > 100


@pytest.mark.parametrize(
    ("form", "text", "instant"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "2023-07-14T10:00:00Z", "2023-07-14 10:00:00"),
        ("%d.%m.%Y %H:%M UTC", "14.07.2023 10:00 UTC", "2023-07-14 10:00:00"),
        ("%Y-%m-%d %H:%M:%S EST", "2023-07-14 10:00:00 EST", "2023-07-14 15:00:00"),
        ("%a, %d %b %Y %H:%M GMT", "Fri, 14 Jul 2023 10:00 GMT", "2023-07-14 10:00:00"),
        ("%d %b %Y %H:%M GMT%z", "14 Jul 2023 10:00 GMT+0200", "2023-07-14 08:00:00"),
        ("%Y-%m-%dT%H:%M", "2023-07-14T10:00", "2023-07-14 14:00:00"),
    ],
)
def test_a_zone_that_is_written_out_in_the_format_is_that_of_the_timestamps(form, text, instant):
    assert instants([text], timestamp_format=form, timezone="America/New_York") == [instant]


def test_midnight_is_midnight_where_the_time_was_written():
    texts = ["2017-06-02", "2017-06-02 00:00:00+02:00", "2017-06-02 00:00:01", "2017-06-01T22:00Z"]
    assert TimestampReader("Europe/Berlin").read(pa.array(texts)).midnight.tolist() == [
        True,
        True,
        False,
        False,
    ]


# Abbreviations of zones


SUMMER_AND_WINTER = [
    ("2023-01-15 12:00 EST", "2023-01-15 17:00:00"),
    ("2023-07-15 12:00 EDT", "2023-07-15 16:00:00"),
    ("2023-01-15 12:00 CET", "2023-01-15 11:00:00"),
    ("2023-07-15 12:00 CEST", "2023-07-15 10:00:00"),
    ("2023-07-15 12:00 CET", "2023-07-15 11:00:00"),  # as it is written, not as it should be
    ("2023-07-15 12:00 PDT", "2023-07-15 19:00:00"),
    ("2023-07-15 12:00 AEST", "2023-07-15 02:00:00"),
    ("2023-07-15 12:00 ACST", "2023-07-15 02:30:00"),
    ("2023-07-15 12:00 gmt", "2023-07-15 12:00:00"),
    ("2023-07-15 12:00 UTC", "2023-07-15 12:00:00"),
    ("2023-07-15 12:00 XYZ", "unparsable"),
    ("2023-07-15 12:00", "unparsable"),
]


def test_abbreviations_of_zones_are_read_for_summer_and_winter_alike():
    texts, expected = zip(*SUMMER_AND_WINTER, strict=True)
    assert instants(list(texts), timestamp_format="%Y-%m-%d %H:%M %Z") == list(expected)


def test_an_abbreviation_may_stand_anywhere_in_the_format():
    form, texts = "%a %b %d %H:%M:%S %Z %Y", ["Sat Jul 15 12:00:00 CEST 2023"]
    assert instants(texts, timestamp_format=form) == ["2023-07-15 10:00:00"]


@pytest.mark.parametrize(
    ("zone", "texts", "expected"),
    [
        ("America/Chicago", ["CST", "CDT"], ["18:00:00", "17:00:00"]),
        ("Asia/Shanghai", ["CST"], ["04:00:00"]),
        ("Asia/Kolkata", ["IST"], ["06:30:00"]),
        ("Europe/London", ["GMT", "BST"], ["12:00:00", "11:00:00"]),
        ("Asia/Manila", ["PST"], ["04:00:00"]),
    ],
)
def test_an_abbreviation_means_what_it_means_in_the_time_zone(zone, texts, expected):
    texts = [f"2023-07-15 12:00 {text}" for text in texts]
    read = instants(texts, timezone=zone, timestamp_format="%Y-%m-%d %H:%M %Z")
    assert read == [f"2023-07-15 {time}" for time in expected]


def test_an_abbreviation_of_several_zones_is_an_error_that_names_them(parse):
    text = HEADER + "a,2023-01-15 12:00 EST,1\nb,2023-01-15 12:00 CST,1\nc,2023-07-01 12:00 IST,1\n"
    with pytest.raises(IngestError) as error:
        parse(text, timestamp_format="%Y-%m-%d %H:%M %Z")
    assert "CST (1 value) may be America/Chicago, Asia/Shanghai or America/Havana" in str(
        error.value
    )
    assert "IST (1 value) may be Asia/Kolkata" in str(error.value)
    assert "line 3: '2023-01-15 12:00 CST'" in str(error.value)
    assert "--timezone" in str(error.value)


# Numbers


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
