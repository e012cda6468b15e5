"""From a file to rows and refused rows."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import zipfile
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest import parquet as parquet_source
from scale_eval.datasets.ingest.parse import ParsedFile, ReadOptions, parse_file
from scale_eval.datasets.ingest.records import TEXT_LENGTH, IngestError
from scale_eval.datasets.ingest.timestamps import TimestampReader

HEADER = "CustomerID,Timestamp,PurchaseValue\n"
TWO_ROWS = "a,2017-01-01 10:00:00,1\nb,2017-01-02 11:00:00,2.5\n"


@pytest.fixture
def parse(tmp_path):
    """Parses the bytes or the text of a file."""

    def parse(content: str | bytes, *, name: str = "acme.csv", **options) -> ParsedFile:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return parse_file(path, ReadOptions(**options))

    return parse


@pytest.fixture
def parse_table(tmp_path):
    """Parses a Parquet file of these columns."""

    def parse_table(customer_id, timestamp, value, **options) -> ParsedFile:
        path = tmp_path / "acme.parquet"
        names = ["CustomerID", "Timestamp", "PurchaseValue"]
        pq.write_table(pa.table([customer_id, timestamp, value], names=names), path)
        return parse_file(path, ReadOptions(**options))

    return parse_table


def rows(file: ParsedFile) -> list[tuple[str, str, float]]:
    """(customer, instant, value), the instant as text without its zone."""
    times = [str(time.tz_localize(None)) for time in file.rows["timestamp"].to_pandas()]
    customers, values = file.rows["customer_id"].to_pylist(), file.rows["value"].to_pylist()
    return list(zip(customers, times, values, strict=True))


def refused(file: ParsedFile) -> list[tuple[int, str]]:
    return sorted((refusal.line, refusal.reason) for refusal in file.refused)


EXPECTED = [("a", "2017-01-01 10:00:00", 1.0), ("b", "2017-01-02 11:00:00", 2.5)]


# What a delimited text may look like


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_comma_semicolon_tab_any_line_ending_and_a_bom_give_the_same_rows(
    parse, delimiter, ending, bom
):
    text = bom + (HEADER + TWO_ROWS).replace(",", delimiter).replace("\n", ending)
    assert rows(parse(text)) == EXPECTED


def _zip(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_gzip_and_zip_are_known_by_content_whatever_the_file_is_called(parse):
    text = HEADER + TWO_ROWS
    packed = [gzip.compress(text.encode()), _zip(**{"inner.txt": text})]
    for content in packed:
        for name in ("acme.csv", "acme.csv.gz", "acme.zip"):
            file = parse(content, name=name)
            assert rows(file) == EXPECTED
            assert file.company_id == "acme"


def test_a_zip_may_have_directories_and_what_a_mac_leaves_beside_its_one_file(parse):
    members = {"data/": "", "data/acme.csv": HEADER + TWO_ROWS, "__MACOSX/._acme.csv": "\0"}
    assert rows(parse(_zip(**members))) == EXPECTED


def test_a_zip_of_two_files_is_an_error_that_names_them(parse):
    with pytest.raises(IngestError, match=r"holds 2 \(a.csv, b.csv\).*unpack"):
        parse(_zip(**{"a.csv": HEADER, "b.csv": HEADER}))


def test_an_excel_workbook_is_an_error_that_says_what_to_do(parse):
    with pytest.raises(IngestError, match=r"acme.xlsx is an Excel workbook; save its sheet as CSV"):
        parse(_zip(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), name="acme.xlsx")


def test_an_encrypted_zip_is_an_error(parse):
    content = bytearray(_zip(**{"a.csv": HEADER + TWO_ROWS}))
    content[6] |= 1  # the flag, in the member's header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(IngestError, match=r"acme.csv: .*password.*unpack"):
        parse(bytes(content))


@pytest.mark.parametrize("where", ["cut", "flipped"])
def test_a_damaged_gzip_or_zip_is_an_error_that_names_the_file(parse, where):
    text = HEADER + "".join(f"{i},2017-01-01,{i * 7 % 13}\n" for i in range(10_000))
    for content in (gzip.compress(text.encode()), _zip(**{"a.csv": text})):
        damaged = bytearray(content)
        if where == "cut":
            del damaged[len(damaged) // 2 :]
        else:
            damaged[len(damaged) // 2] ^= 0xFF
        with pytest.raises(IngestError, match=r"acme.csv is a damaged archive"):
            parse(bytes(damaged))


def test_other_column_names_and_other_columns_among_them(parse):
    text = " when ,note,who,amount\n2017-01-01 10:00:00,x,a,1\n2017-01-02 11:00:00,,b,2.5\n"
    names = {"customer_id": "who", "timestamp": "when", "value": "amount"}
    assert rows(parse(text, columns=names)) == EXPECTED


def test_ids_stay_strings_with_leading_zeros_exponents_and_blanks(parse):
    ids = ["0012345678", "20e1738615", "1e5", " a ", "NA", "null", "é", "007", "1.0"]
    file = parse(HEADER + "".join(f"{customer},2017-01-01,1\n" for customer in ids))
    assert file.rows["customer_id"].to_pylist() == ids


def test_empty_lines_are_no_rows_but_count_as_lines(parse):
    file = parse("\n" + HEADER + "\na,2017-01-01 10:00:00,1\n\n\nb,2017-01-02 11:00:00,2.5\n\n")
    assert rows(file) == EXPECTED
    assert file.rows["line"].to_pylist() == [4, 7]
    assert file.refused == []


# What a delimited text may not look like


def test_a_header_without_the_columns_tells_which_there_are_and_what_to_write(parse):
    with pytest.raises(IngestError) as error:
        parse("customer_id;ts;amount\na;2017-01-01;1\n")
    message = str(error.value)
    assert "acme.csv: the header has no column 'CustomerID', 'Timestamp', 'PurchaseVa" in message
    assert "its columns are 'customer_id', 'ts', 'amount'" in message
    assert "--columns customer_id=customer_id,timestamp=...,value=..." in message


def test_a_missing_company_column_is_named_with_the_nearest_there_is(parse):
    with pytest.raises(IngestError, match=r"no column 'company'.*--company-column Company"):
        parse("Company," + HEADER + "x," + TWO_ROWS, company_column="company")


def test_a_column_that_is_there_twice_is_an_error_if_it_is_used(parse):
    with pytest.raises(IngestError, match="has column 'Timestamp' 2 times"):
        parse("CustomerID,Timestamp,PurchaseValue,Timestamp\na,2017-01-01,1,2017-01-01\n")
    assert rows(parse("x,x," + HEADER + ",," + TWO_ROWS.replace("\n", "\n,,", 1))) == EXPECTED


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\r\n\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (HEADER.encode(), "has a header but no rows"),
        (HEADER.strip().encode(), "has a header but no rows"),
        (bytes(range(256)) * 50, "is not text"),
        (gzip.compress(bytes(range(256))), "is not text"),
        ((HEADER + TWO_ROWS).encode("utf-16"), "is UTF-16.*iconv"),
        ((HEADER + TWO_ROWS).encode("utf-16-le"), "is not text"),
        (HEADER.replace("\n", ",Größe\n").encode("latin-1"), "not UTF-8.*iconv"),
        (b"{" + b"x" * 200_000 + b"}\n", "the first line is no header"),
        (b"PK\x05\x06" + b"\0" * 18, "holds 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_table_is_an_error_that_names_the_file(parse, content, says):
    with pytest.raises(IngestError, match=f"acme.csv.*{says}"):
        parse(content)


def test_a_directory_a_missing_file_and_a_pipe_are_errors(tmp_path):
    with pytest.raises(IngestError, match=r"is a directory; name the files in it"):
        parse_file(tmp_path, ReadOptions())
    with pytest.raises(IngestError, match=r"none.csv cannot be read: No such file"):
        parse_file(tmp_path / "none.csv", ReadOptions())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IngestError, match="pipe is not a regular file"):
        parse_file(tmp_path / "pipe", ReadOptions())


def test_a_file_name_that_is_not_utf_8_is_an_error(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.write_text(HEADER + TWO_ROWS)
    with pytest.raises(IngestError, match="rename the file"):
        parse_file(path, ReadOptions())


# Refused rows


def test_each_refused_row_has_its_line_reason_and_text_and_nothing_is_lost(parse):
    lines = {
        "a,2017-01-01,1": None,
        "a,2017-01-01": "wrong_number_of_fields",
        "a,2017-01-01,1,2": "wrong_number_of_fields",
        ",2017-01-01,1": "customer_id_empty",
        "  ,2017-01-01,1": "customer_id_empty",
        "a,,1": "timestamp_empty",
        "a,soon,1": "timestamp_unparsable",
        "a,2017-02-30,1": "timestamp_unparsable",
        "a,2017-01-01,": "value_empty",
        "a,2017-01-01, ": "value_empty",
        "a,2017-01-01,1.2.3": "value_unparsable",
        "a,2017-01-01,$5": "value_unparsable",
        "a,2017-01-01,1_000": "value_unparsable",
        "a,2017-01-01,0x10": "value_unparsable",
        "a,2017-01-01,nan": "value_not_finite",
        "a,2017-01-01,-Infinity": "value_not_finite",
        "a,2017-01-01,1e999": "value_not_finite",
        " ": "wrong_number_of_fields",
        "b,2017-01-01,-0.5": None,
    }
    file = parse(HEADER + "\n".join(lines) + "\n")
    numbered = list(enumerate(lines.items(), start=2))
    assert refused(file) == [(n, reason) for n, (_, reason) in numbered if reason]
    assert file.rows["line"].to_pylist() == [n for n, (_, reason) in numbered if not reason]
    texts = {refusal.line: refusal.text for refusal in file.refused}
    assert texts == {n: text for n, (text, reason) in numbered if reason}


def test_the_first_fault_of_a_row_is_its_reason(parse):
    file = parse(HEADER + TWO_ROWS + ",,\na,,\na,x,\n")
    assert [reason for _, reason in refused(file)] == [
        "customer_id_empty",
        "timestamp_empty",
        "timestamp_unparsable",
    ]


def test_a_company_column_that_is_empty_refuses_the_row_and_others_know_their_company(parse):
    text = "Shop," + HEADER + "x,a,2017-01-01,1\n,a,2017-01-01,1\nx,a,?,1\ny\n"
    file = parse(text, company_column="Shop")
    assert [(r.line, r.reason, r.company_id) for r in sorted(file.refused)] == [
        (3, "company_id_empty", None),
        (4, "timestamp_unparsable", "x"),
        (5, "wrong_number_of_fields", None),
    ]


def test_a_byte_that_is_not_utf_8_or_is_nul_refuses_its_row_only(parse):
    text = HEADER.encode() + b"a,2017-01-01 10:00:00,1\nM\xfcller,2017-01-01,1\n"
    text += b"a\0b,2017-01-01,1\nb,2017-01-02 11:00:00,2.5\n"
    padding = "é,2017-01-01,1\n".encode() * 10_000  # beyond what is looked at for being text
    file = parse(text.replace(b"M\xfc", padding + b"M\xfc"))
    assert refused(file) == [(10_003, "not_utf8"), (10_004, "nul_byte")]
    assert file.refused[0].text == r"M\xfcller,2017-01-01,1"
    assert rows(file)[0] == EXPECTED[0]
    assert rows(file)[-1] == EXPECTED[1]


def test_the_text_of_a_refused_row_is_cut(parse):
    file = parse(HEADER + TWO_ROWS + "x" * 10_000 + "\n")
    assert file.refused[0].text == "x" * TEXT_LENGTH


def test_a_file_that_is_refused_whole_is_an_error_with_reasons_and_an_example(parse):
    with pytest.raises(IngestError) as error:
        parse(HEADER + "a,1483228800,1\na,1483228801,1\n,2017-01-01,1\n")
    assert "acme.csv: all 3 rows are refused (timestamp_unparsable 2, customer_id_empty 1)" in str(
        error.value
    )
    assert "the first is line 2: 'a,1483228800,1'" in str(error.value)
    assert "--timestamp-format" in str(error.value)


# Quotes


def test_quoted_fields_may_hold_delimiters_and_quotes(parse):
    file = parse(HEADER + '"a, ""the"" first",2017-01-01 10:00:00,"1"\n')
    assert rows(file) == [('a, "the" first', "2017-01-01 10:00:00", 1.0)]


def test_a_quoted_field_of_several_lines_is_fine_where_nobody_uses_it(parse):
    text = "Note," + HEADER + '"two\nlines, really",a,2017-01-01 10:00:00,1\n'
    text += '"again\n\n",b,2017-01-02 11:00:00,2.5\nlast,c,?,1\n'
    file = parse(text)
    assert rows(file) == EXPECTED
    assert file.rows["line"].to_pylist() == [2, 4]
    assert refused(file) == [(7, "timestamp_unparsable")]


@pytest.mark.parametrize(
    "bad",
    [
        '"x,2017-01-01,1',
        'x,"2017-01-01,1',
        'x,2017-01-01,"1',
        'x,2017-01-01,1,"',
    ],
)
@pytest.mark.parametrize("after", [TWO_ROWS, TWO_ROWS.replace("b,", '"b",')])
def test_an_unclosed_quote_costs_its_own_line_and_swallows_no_other(parse, bad, after):
    file = parse(HEADER + bad + "\n" + after)
    assert rows(file) == EXPECTED
    assert [(r.line, r.reason, r.text) for r in file.refused] == [(2, "unclosed_quote", bad)]
    file = parse(HEADER + after + bad)  # and at the end of the file
    assert rows(file) == EXPECTED
    assert refused(file) == [(4, "unclosed_quote")]


def test_text_after_a_closing_quote_is_refused_and_not_guessed_at(parse):
    file = parse(HEADER + '"O"Brien",2017-01-01,1\n"x"y,2017-01-01,1\n' + TWO_ROWS)
    assert rows(file) == EXPECTED
    assert refused(file) == [(2, "unclosed_quote"), (3, "malformed_field")]


def test_an_id_of_several_lines_is_refused_and_so_is_what_remains_of_it(parse):
    file = parse(HEADER + '"a\nb",2017-01-01,1\nc,2017-01-01,"1\nd,2017-01-01,1"\n' + TWO_ROWS)
    assert rows(file) == EXPECTED
    assert refused(file) == [(line, "unclosed_quote") for line in (2, 3, 4, 5)]


def test_a_quote_within_a_field_is_text(parse):
    text = "Note," + HEADER + '5" screen,a,2017-01-01 10:00:00,1\n,b"b"b,2017-01-02 11:00:00,2.5\n'
    assert [row[0] for row in rows(parse(text))] == ["a", 'b"b"b']


def test_where_a_batch_of_lines_ends_makes_no_difference(parse, monkeypatch):
    text = "Note," + HEADER
    for i in range(20):
        text += f'"{i}\n\nlines",a{i},2017-01-01,1\nx,"b,2017-01-01,1\n\ny,c,2017-01-01,1\n'
    whole = parse(text)
    assert len(whole.rows) == 40
    assert {reason for _, reason in refused(whole)} == {"unclosed_quote"}
    for n in (1, 2, 3, 7):
        monkeypatch.setattr(csv_format, "LINES_PER_BATCH", n)
        assert parse(text).rows.combine_chunks() == whole.rows.combine_chunks()
        assert parse(text).refused == whole.refused


def test_many_unclosed_quotes_are_read_in_good_time(parse):
    file = parse(HEADER + TWO_ROWS + '"x,2017-01-01,1\n' * 20_000)
    assert len(file.refused) == 20_000


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("+1.50", 1.5),
        (".5", 0.5),
        ("-2.", -2.0),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("007", 7.0),
        (" 3 ", 3.0),
        ("0.1", 0.1),
        ("1e-400", 0.0),
        ("9007199254740993", 9007199254740992.0),
        ("0.30000000000000004", 0.1 + 0.2),
    ],
)
def test_a_value_is_the_float_nearest_to_its_text(parse, text, value):
    assert parse(f"{HEADER}a,2017-01-01,{text}\n").rows["value"].to_pylist() == [value]


def test_minus_zero_becomes_zero(parse):
    (value,) = parse(HEADER + "a,2017-01-01,-0.0\n").rows["value"].to_pylist()
    assert str(value) == "0.0"


def test_a_decimal_comma_is_an_option_and_then_a_point_is_no_number(parse):
    text = (HEADER + "a,2017-01-01,12;5\nb,2017-01-01,1.234\nc,2017-01-01,7\n").translate(
        str.maketrans(",;", ";,")
    )
    file = parse(text, decimal=",")
    assert file.rows["value"].to_pylist() == [12.5, 7.0]
    assert refused(file) == [(3, "value_unparsable")]


def test_options_that_are_none_are_errors():
    with pytest.raises(IngestError, match=r"decimal: '_' is neither"):
        ReadOptions(decimal="_")
    with pytest.raises(IngestError, match=r"'customer' is not a key; the keys are customer_id"):
        ReadOptions(columns={"customer": "x"})


# Timestamps


def instants(texts, **options) -> list[str]:
    """Each instant in UTC, or why it is none."""
    column = pa.array(texts) if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    times = TimestampReader(**options).read(column)
    return [
        "unparsable"
        if times.unparsable[i]
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
                "0001-01-01",
                "9999-12-31",
                "2262-06-01",
                "1677-01-01",
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
        ("%Y-%m-%d %H:%M:%S.%f", "1969-12-31 23:59:59.9999999", "1969-12-31 23:59:59.999999"),
        ("%d.%m.%Y", "2017-03-26", "unparsable"),
        ("%d.%m.%Y", "31.02.2017", "unparsable"),
        ("%Y-%m-%d", "2017-03-26 10:30", "unparsable"),
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


@pytest.mark.parametrize("form", ["%Q", "mixed", "ISO8601", "", "%"])
def test_a_format_that_is_none_is_an_error(form):
    with pytest.raises(IngestError, match=r"timestamp format .*; write it as for strptime"):
        TimestampReader(timestamp_format=form)


def test_midnight_is_midnight_where_the_time_was_written():
    texts = ["2017-06-02", "2017-06-02 00:00:00+02:00", "2017-06-02 00:00:01", "2017-06-01T22:00Z"]
    assert TimestampReader("Europe/Berlin").read(pa.array(texts)).midnight.tolist() == [
        True,
        True,
        False,
        False,
    ]


# Parquet

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
    ],
)
def test_parquet_timestamps_may_be_timestamps_dates_text_or_yyyymmdd(parse_table, column, instant):
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
            (2, "timestamp_unparsable"),
            (3, "timestamp_unparsable"),
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
        ((A, pa.array([1.5]), ONE), r"'Timestamp' \(timestamp\) has type double; write it as a ti"),
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
        parse_file(path, ReadOptions())
    with pytest.raises(IngestError, match="no rows"):
        parse_table(A[:0], pa.array([DAY])[:0], ONE[:0])


def test_a_damaged_parquet_file_is_an_error(tmp_path, parse_table):
    n = 5_000
    parse_table(pa.array([str(i) for i in range(n)]), pa.array([DAY] * n), pa.array([1.0] * n))
    content = (tmp_path / "acme.parquet").read_bytes()
    path: Path = tmp_path / "cut.parquet"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(IngestError, match=r"cut.parquet is damaged or no Parquet file"):
        parse_file(path, ReadOptions())
    path.write_bytes(content[:100] + bytes(1000) + content[1100:])
    with pytest.raises(IngestError, match=r"cut.parquet is damaged or no Parquet file"):
        parse_file(path, ReadOptions())


# Names


@pytest.mark.parametrize(
    "name",
    ["acme.csv", "acme.CSV.gz", "acme.tsv.zip", "acme", "acme.parquet", "acme.txt", "acme.csv.csv"],
)
def test_a_file_is_a_company_named_by_its_stem(parse, name):
    assert parse(HEADER + TWO_ROWS, name=name).company_id == "acme"


def test_a_stem_keeps_its_other_dots(parse):
    assert parse(HEADER + TWO_ROWS, name="acme.2017.v1.csv").company_id == "acme.2017.v1"
