"""Delimited text: what is read, what is refused, and quotes."""

from __future__ import annotations

import gzip
import io
import os
import zipfile

import pytest

from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from tests.support.transaction_files import EXPECTED, HEADER, TWO_ROWS, refused, rows


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
    zipped = [gzip.compress(text.encode()), _zip(**{"inner.txt": text})]
    for content in zipped:
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
        (HEADER.replace("\n", ",Größe\n").encode("latin-1"), "not UTF-8.*--encoding cp1252"),
        (b"{" + b"x" * 200_000 + b"}\n", "the header has no column"),
        (b"PK\x05\x06" + b"\0" * 18, "holds 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_table_is_an_error_that_names_the_file(parse, content, says):
    with pytest.raises(IngestError, match=f"acme.csv.*{says}"):
        parse(content)


def test_a_directory_a_missing_file_and_a_pipe_are_errors(tmp_path):
    with pytest.raises(IngestError, match=r"is a directory; name the files in it"):
        parse_input(InputFile(tmp_path), ReadOptions())
    with pytest.raises(IngestError, match=r"none.csv cannot be read: No such file"):
        parse_input(InputFile(tmp_path / "none.csv"), ReadOptions())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IngestError, match="pipe is not a regular file"):
        parse_input(InputFile(tmp_path / "pipe"), ReadOptions())


def test_a_file_name_that_is_not_utf_8_is_an_error(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.write_text(HEADER + TWO_ROWS)
    with pytest.raises(IngestError, match="rename the file"):
        parse_input(InputFile(path), ReadOptions())


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


@pytest.mark.parametrize("n_between", [0, 1, 500])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_two_stray_quotes_cost_one_line_and_swallow_none_between_them(parse, place, n_between):
    def line(customer: str, note: str = "ok") -> str:
        fields = [customer, "2017-01-01 10:00:00", "1"]
        return ",".join([*fields[:place], note, *fields[place:]]) + "\n"

    names = HEADER.strip().split(",")
    header = ",".join([*names[:place], "Note", *names[place:]]) + "\n"
    between = [f"c{i}" for i in range(n_between)]
    text = header + line("a", '"5 inch') + "".join(map(line, between)) + line("z", '6 inch"')
    file = parse(text)
    assert [row[0] for row in rows(file)] == [*between, "z"]
    assert refused(file) == [(2, "unclosed_quote")]


@pytest.mark.parametrize(
    "note", ["two\nlines", "one,\ntwo, on 2017-01-01,\nthree", "as\n1,2017-01-01 10:00:00,2,x\nis"]
)
@pytest.mark.parametrize("place", [0, 3])
def test_a_note_of_several_lines_is_one_field(parse, note, place):
    fields, names = ["a", "2017-01-01 10:00:00", "1"], HEADER.strip().split(",")
    fields.insert(place, f'"{note}"')
    names.insert(place, "Note")
    file = parse(f"{','.join(names)}\n{','.join(fields)}\n")
    assert rows(file) == [("a", "2017-01-01 10:00:00", 1.0)]


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
