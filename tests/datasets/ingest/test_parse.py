"""A file becomes rows and refused rows of a company."""

from __future__ import annotations

import pytest

from scale_eval.datasets.ingest import parse as parse_module
from scale_eval.datasets.ingest.ingest import ingest
from scale_eval.datasets.ingest.parse import ReadOptions
from scale_eval.datasets.ingest.records import TEXT_LENGTH, IngestError
from tests.support.transaction_files import EXPECTED, HEADER, JANUARY, TWO_ROWS, refused, rows


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
        "a,2017-01-01,5 DR": "value_unparsable",
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


def test_where_utf_8_is_asked_for_another_byte_or_a_nul_refuses_its_row_only(parse):
    text = HEADER.encode() + b"a,2017-01-01 10:00:00,1\nM\xfcller,2017-01-01,1\n"
    text += b"a\0b,2017-01-01,1\nb,2017-01-02 11:00:00,2.5\n"
    padding = "é,2017-01-01,1\n".encode() * 10_000  # beyond what is looked at for being text
    file = parse(text.replace(b"M\xfc", padding + b"M\xfc"), encoding="utf-8")
    assert refused(file) == [(10_003, "not_utf8"), (10_004, "nul_byte")]
    assert file.refused[0].text == r"M\xfcller,2017-01-01,1"
    assert rows(file)[0] == EXPECTED[0]
    assert rows(file)[-1] == EXPECTED[1]


def test_the_text_of_a_refused_row_is_cut(parse):
    file = parse(HEADER + TWO_ROWS + "x" * 10_000 + "\n")
    assert file.refused[0].text == "x" * TEXT_LENGTH


@pytest.mark.parametrize(
    "slip",
    [
        {"not_customers": [0]},
        {"not_customers": None},
        {"ids": 5},
        {"plausible": ("2019-01-01", "2021-01-01")},
        {"timestamp_format": ["%Y"]},
        {"timestamp_unit": ["s"]},
        {"thousands": ["."]},
        {"timezone": None},
        {"max_refused": "5%"},
        {"separator": 5},
    ],
)
def test_an_option_of_another_kind_is_an_error_that_names_it(slip, file, into):
    ((name, value),) = slip.items()
    with pytest.raises(IngestError, match=name.replace("zone", " ?zone")) as error:
        ingest(file("a.csv", JANUARY), into, **slip)
    assert str(value) in str(error.value)


def test_a_file_that_is_refused_whole_is_an_error_with_reasons_and_an_example(parse):
    with pytest.raises(IngestError) as error:
        parse(HEADER + "a,1483228,1\na,1483229,1\n,2017-01-01,1\n")
    assert "acme.csv: all 3 rows are refused (timestamp_unparsable 2, customer_id_empty 1)" in str(
        error.value
    )
    assert "the first is line 2: 'a,1483228,1'" in str(error.value)
    assert "say their unit: --timestamp-unit s, ms, us, ns or excel" in str(error.value)


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


def test_a_decimal_comma_is_an_option_and_then_a_point_divides_thousands_only(parse):
    text = (HEADER + "a,2017-01-01,12;5\nb,2017-01-01,1.234\nc,2017-01-01,7\n").translate(
        str.maketrans(",;", ";,")
    )
    file = parse(text, decimal=",")
    assert file.rows["value"].to_pylist() == [12.5, 1234.0, 7.0]


def test_options_that_are_none_are_errors():
    with pytest.raises(IngestError, match=r"decimal: '_' is neither"):
        ReadOptions(decimal="_")
    with pytest.raises(IngestError, match=r"'customer' is not a key; the keys are customer_id"):
        ReadOptions(columns={"customer": "x"})


# Names


@pytest.mark.parametrize(
    "name",
    ["acme.csv", "acme.CSV.gz", "acme.tsv.zip", "acme", "acme.parquet", "acme.txt", "acme.csv.csv"],
)
def test_a_file_is_a_company_named_by_its_stem(parse, name):
    assert parse(HEADER + TWO_ROWS, name=name).company_id == "acme"


def test_a_stem_keeps_its_other_dots(parse):
    assert parse(HEADER + TWO_ROWS, name="acme.2017.v1.csv").company_id == "acme.2017.v1"


def test_more_refused_rows_than_memory_should_hold_are_an_error(parse, monkeypatch):
    monkeypatch.setattr(parse_module, "REFUSED_HELD", 5)
    assert len(parse(HEADER + TWO_ROWS + "x\n" * 5).refused) == 5
    with pytest.raises(
        IngestError, match=r"more than 5 rows are refused; the first is line 4 \(wr"
    ):
        parse(HEADER + TWO_ROWS + "x\n" * 6)
