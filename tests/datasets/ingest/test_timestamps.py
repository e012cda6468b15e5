"""Timestamps become instants, or are refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.timestamps import TimestampReader
from tests.support.transaction_files import HEADER, TWO_ROWS, instants, refused, rows


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


def test_midnight_is_midnight_where_the_time_was_written():
    texts = ["2017-06-02", "2017-06-02 00:00:00+02:00", "2017-06-02 00:00:01", "2017-06-01T22:00Z"]
    assert TimestampReader("Europe/Berlin").read(pa.array(texts)).midnight.tolist() == [
        True,
        True,
        False,
        False,
    ]
