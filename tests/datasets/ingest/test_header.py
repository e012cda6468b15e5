"""Where the header stands, what divides it, and what is said where there is none."""

from __future__ import annotations

import csv
import io
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.datasets.ingest.text_options import TextOptions
from tests.support.transaction_files import EXPECTED, HEADER, TWO_ROWS, refused, rows

TABLE = HEADER + TWO_ROWS


@pytest.mark.parametrize("separator", [";", ",", "\t", "|", "^", "~", "\x01"])
def test_the_separator_is_the_one_under_which_the_header_has_the_columns(parse, separator):
    assert rows(parse(TABLE.replace(",", separator))) == EXPECTED


@pytest.mark.parametrize(
    ("given", "character"), [(":", "!"), ("tab", "\t"), ("\\t", "\t"), ("#",) * 2]
)
def test_any_other_separator_can_be_given(parse, given, character):
    text = TABLE.replace(",", character)
    if given == ":":
        given = character
    assert rows(parse(text, separator=given)) == EXPECTED


def test_a_separator_that_is_given_is_the_only_one_and_the_right_one_is_named(parse):
    with pytest.raises(IngestError, match=r"line 1 has the columns if it is divided by ','.*--sep"):
        parse(TABLE, separator=";")


@pytest.mark.parametrize("separator", ["", ",,", '"', "a", "\n"])
def test_a_separator_that_cannot_divide_is_refused(separator):
    with pytest.raises(IngestError, match=r"separator: .* is not one character"):
        TextOptions(separator=separator)


@pytest.mark.parametrize("skip_lines", [-1, 1.5, "2", True])
def test_lines_to_skip_are_a_number(skip_lines):
    with pytest.raises(IngestError, match=r"skip_lines: .* is not a number of lines"):
        TextOptions(skip_lines=skip_lines)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;", "\n\nsep=;"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_line_in_which_a_spreadsheet_names_its_separator_is_understood(
    parse, mark, line, ending
):
    text = f"{mark}{line}\n{TABLE.replace(',', ';')}".replace("\n", ending)
    file = parse(text)
    assert rows(file) == EXPECTED
    assert file.rows["line"].to_pylist()[0] == 3 + line.count("\n")


@pytest.mark.parametrize(
    ("line", "character"), [("sep=,", ","), ("sep=\t", "\t"), ("sep=\\t", "\t")]
)
def test_it_may_name_the_comma_or_the_tab(parse, line, character):
    assert rows(parse(f"{line}\n{TABLE.replace(',', character)}")) == EXPECTED


TITLES = [
    "# comment\n#\n# another, with a comma\n",
    "Report generated 2023-01-01 10:00\n\n",
    "Account statement\nFrom;2023-01-01;To;2023-12-31\n\n\n",
    "Shop,,\nPeriod,2023-01,\n,,\n",
    "CustomerID\nTimestamp\n",
    "\ufeffOrders of all shops\n",
]


@pytest.mark.parametrize("titles", TITLES)
def test_titles_comments_and_blank_lines_above_the_header_are_no_rows(parse, titles):
    file = parse(titles + TABLE)
    assert rows(file) == EXPECTED
    assert file.refused == []
    assert file.rows["line"].to_pylist()[0] == titles.count("\n") + 2


@pytest.mark.parametrize("titles", TITLES)
def test_the_number_of_lines_to_skip_says_the_same(parse, titles):
    assert rows(parse(titles + TABLE, skip_lines=titles.count("\n"))) == EXPECTED


def test_the_header_may_itself_be_a_comment(parse):
    assert rows(parse("# exported\n# " + TABLE)) == EXPECTED
    assert rows(parse("#" + TABLE)) == EXPECTED


def test_a_wrong_number_of_lines_to_skip_is_an_error_that_shows_the_line(parse):
    with pytest.raises(IngestError, match=r"would be line 2, 'a,2017.* give --skip-lines 0"):
        parse(TABLE, skip_lines=1)
    with pytest.raises(IngestError, match=r"has 3 lines, and 7 are to be skipped"):
        parse(TABLE, skip_lines=7)


def test_rows_above_the_header_are_not_skipped_in_silence(parse):
    text = "z,2016-12-31 10:00:00,7\n" + TABLE
    with pytest.raises(IngestError, match=r"line 1 above it looks like a row.*--skip-lines 1"):
        parse(text)
    assert rows(parse(text, skip_lines=1)) == EXPECTED


def test_where_the_columns_have_other_names_the_line_that_has_most_fields_is_shown(parse):
    text = "Report\n\nclient,when,amount\n" + TWO_ROWS
    with pytest.raises(IngestError, match=r"line 3: the header has no.*'client', 'when', 'amount'"):
        parse(text)


def test_a_line_break_within_a_header_cell_is_a_blank(parse):
    text = '"Customer\nID",Timestamp,"Purchase\r\n  Value"\n' + TWO_ROWS
    names = {"customer_id": "Customer ID", "value": "Purchase Value"}
    file = parse(text, columns=names)
    assert rows(file) == EXPECTED
    assert file.rows["line"].to_pylist() == [4, 5]


def test_a_file_without_a_header_is_told_how_to_get_one_and_the_command_works(parse, tmp_path):
    with pytest.raises(IngestError, match="has no header with the columns: line 1 looks") as error:
        parse("1,2017-01-01 10:00:00,a\n2.5,2017-01-02 11:00:00,b\n", name="a b.csv")
    command = str(error.value).partition("(check the order): ")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    parsed = parse_input(InputFile(tmp_path / "named" / "a b.csv"), ReadOptions())
    assert rows(parsed) == EXPECTED


def test_lines_that_are_quoted_as_a_whole_are_told_how_to_lose_the_quotes(parse, tmp_path):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([line] for line in TABLE.splitlines())
    quoted = buffer.getvalue()
    for text in (quoted, HEADER + quoted.partition("\n")[2]):
        with pytest.raises(IngestError, match=r"ach line is quoted as a whole") as error:
            parse(text)
        command = str(error.value).partition("take those quotes away: ")[2]
        subprocess.run(f"rm -rf unquoted; {command}", shell=True, check=True, cwd=tmp_path)
        parsed = parse_input(InputFile(tmp_path / "unquoted" / "acme.csv"), ReadOptions())
        assert rows(parsed) == EXPECTED


@pytest.mark.parametrize("where", ["rows", "both"])
def test_blanks_before_a_quote_do_not_count(parse, where):
    def quoted(text: str) -> str:
        lines = [line.split(",") for line in text.splitlines()]
        return "".join(", ".join(f'"{field}"' for field in line) + "\n" for line in lines)

    header = quoted(HEADER) if where == "both" else HEADER
    assert rows(parse(header + quoted(TWO_ROWS))) == EXPECTED
    assert rows(parse(header + quoted(TWO_ROWS) + "c, 2017-01-03 10:00:00, 3\n"))[2][0] == "c"
    assert rows(parse(HEADER + " a,2017-01-01 10:00:00,1\n"))[0][0] == " a"


@pytest.mark.parametrize("marks", ["''", "“”", "``"])
def test_other_quotes_are_named_and_the_command_replaces_them(parse, tmp_path, marks):
    lines = [
        [f"{marks[0]}{field}{marks[1]}" for field in line.split(",")] for line in TABLE.splitlines()
    ]
    text = "".join(",".join(line) + "\n" for line in lines)
    with pytest.raises(IngestError, match=r"quotes its fields with .*, and CSV does with") as error:
        parse(text)
    command = str(error.value).partition("with other quotes: ")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    parsed = parse_input(InputFile(tmp_path / "quoted" / "acme.csv"), ReadOptions())
    assert rows(parsed) == EXPECTED


def test_columns_that_blanks_divide_are_named_as_such(parse):
    with pytest.raises(IngestError, match="columns are divided by blanks, as in line 1"):
        parse("CustomerID   Timestamp  PurchaseValue\na  2017-01-01  1\n")


# Rows that are divided otherwise than the header


@pytest.mark.parametrize("header", ["", ","])
def test_empty_fields_beyond_the_header_do_not_count(parse, header):
    text = HEADER.replace("\n", f"{header}\n") + "a,2017-01-01 10:00:00,1,,,\n"
    assert rows(parse(text + "b,2017-01-02 11:00:00,2.5,\n")) == EXPECTED
    assert rows(parse(text + '"b",2017-01-02 11:00:00,"2.5",""\n')) == EXPECTED


def test_fields_beyond_the_header_that_hold_something_are_not_dropped(parse):
    file = parse(TABLE + "c,2017-01-01,1,,x\nd,2017-01-01,1,5,\n")
    assert refused(file) == [(4, "wrong_number_of_fields"), (5, "wrong_number_of_fields")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("a;2017-01-01;1\n", r"The header is divided by ',' and the rows by ';'"),
        ("a,2017-01-01,31,54\n", r"A value such as 31,54 has the comma"),
        ("1,a,2017-01-01,x\n", r"line 2 has 4 fields.*row names have that R writes"),
        ("a\n", r"line 2 has 1 field: 'a'. Say what divides"),
    ],
)
def test_where_no_row_is_divided_as_the_header_the_cause_is_named(parse, body, says):
    with pytest.raises(IngestError, match=rf"no row has as many fields as the header. .*{says}"):
        parse(HEADER + body * 3)


def test_a_header_that_is_repeated_is_refused_by_that_name(parse):
    for again in (HEADER, "\ufeff" + HEADER, '"CustomerID","Timestamp","PurchaseValue"\n'):
        file = parse(TABLE + again + "c,2017-01-03,3\n")
        assert rows(file)[:2] == EXPECTED
        assert refused(file) == [(4, "repeated_header")]
        assert len(file.rows) == 3


def test_headers_and_comments_among_the_rows_are_no_share_of_the_rows_that_are_refused(tmp_path):
    (tmp_path / "acme.csv").write_text(TABLE + HEADER + "# a comment\n")
    report = ingest(tmp_path / "acme.csv", tmp_path / "into")
    assert sorted(report.refused["reason"]) == ["comment_line", "repeated_header"]
    (tmp_path / "bolt.csv").write_text(TABLE + "c,2017-01-01\n")
    with pytest.raises(IngestError, match="as many fields as the header has, with the separators"):
        ingest(tmp_path / "bolt.csv", tmp_path / "into")


def test_another_header_among_the_rows_does_not_give_its_columns_the_places_of_the_first(parse):
    text = "Name,CustomerID,Timestamp,PurchaseValue\nx,a,2017-01-01,1\n"
    text += "CustomerID,Name,Timestamp,PurchaseValue\nb,y,2017-01-01,1\n"
    with pytest.raises(IngestError, match="line 3 is another header, with the columns in other pl"):
        parse(text)


def test_comments_among_the_rows_are_refused_by_that_name_and_ids_may_begin_like_one(parse):
    file = parse(TABLE + "# a comment\n#1001,2017-01-03,3\n")
    assert refused(file) == [(4, "comment_line")]
    assert rows(file)[-1][0] == "#1001"


titles = st.text(st.characters(codec="ascii", exclude_characters='",;\r\n\0#<'), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    above=st.lists(titles | titles.map("# {}".format), max_size=5),
    separator=st.sampled_from(",;\t|"),
    trailing=st.integers(0, 2),
)
def test_no_decoration_of_a_file_changes_a_row(above, separator, trailing, tmp_path_factory):
    path = tmp_path_factory.mktemp("property") / "acme.csv"
    above = [line for line in above if not line.lstrip().lower().startswith("sep=")]
    lines = [line.replace(",", separator) + separator * trailing for line in TABLE.splitlines()]
    path.write_text("\n".join([*above, *lines]) + "\n")
    file = parse_input(InputFile(path), ReadOptions())
    assert rows(file) == EXPECTED
    assert file.refused == []
