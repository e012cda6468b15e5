"""Formats of timestamps: none loses a part of the time, and zones are those that are written."""

from __future__ import annotations

import contextlib
import itertools

import pandas as pd
import pytest

from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.timestamps import TimestampReader
from tests.support.transaction_files import HEADER, instants


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
