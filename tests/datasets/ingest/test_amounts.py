"""Amounts of money are read as they were meant, or refused with both readings."""

from __future__ import annotations

from decimal import Decimal
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest.amounts import AmountFormat
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.records import IngestError
from tests.support.transaction_files import HEADER, refused


def column(values: list[str]) -> str:
    return HEADER + "".join(f'a,2017-01-01,"{value}"\n' for value in values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", 1234.56),
        ("12,345,678", 12345678),
        ("1'234.50", 1234.5),
        ("1’234", 1234),
        ("1 234.5", 1234.5),
        ("1\u00a0234.5", 1234.5),
        ("1\u202f234", 1234),
        ("1,23,456.78", 123456.78),
        ("1,00,000", 100000),
        ("$1,234.56", 1234.56),
        ("$ 5", 5),
        ("-$5", -5),
        ("$-5.25", -5.25),
        ("($1,234.50)", -1234.5),
        ("$(5.00)", -5),
        ("(5.00) €", -5),
        ("1261.60-", -1261.6),
        ("1,261.60- EUR", -1261.6),
        ("\u22125", -5),
        ("–5.5", -5.5),
        ("EUR 5.10", 5.1),
        ("5.10 eur", 5.1),
        ("5.10€", 5.1),
        ("R$ 5.10", 5.1),
        ("CHF 1'000.50", 1000.5),
        ("kr 5", 5),
        ("5 kr.", 5),
        ("5.00 zł", 5),
        ("Rs. 500", 500),
        ("₹1,23,456.00", 123456),
        ("¥500", 500),
        ("５.５", 5.5),
    ],
)
def test_an_amount_is_read_as_it_is_written(parse, text, value):
    assert parse(column([text, "0.25"])).rows["value"].to_pylist() == [value, 0.25]


@pytest.mark.parametrize(
    "text",
    ["5.-", "5,-", "5 -", "--5", "(-5)", "-5-", "5 CR", "5 DR", "5%", "5²", "12 34", "1,2345",
     "1.234,56", "0,123", "12,34", "1.234.567", "5 apples", "$", "-", "()", "EUR", "1/2", "5 - €",
     "99¢", "1,234 567", "1'23", "01,234", "٥"],
)  # fmt: skip
def test_what_may_mean_something_else_is_no_number(parse, text):
    file = parse(column([text, *["0.25"] * 300]))
    assert refused(file) == [(2, "value_unparsable")]


BOTH = r"acme\.csv: column 'PurchaseValue': '{}' \(line 2\) is {} if .* and {} if it is the decimal"


@pytest.mark.parametrize(
    ("values", "decimal", "readings"),
    [
        (["1.234", "21"], ".", ("1.234", "1234", "1.234")),
        (["-1.234", "21"], ".", ("-1.234", "-1234", "-1.234")),
        (["1,234", "21"], ".", ("1,234", "1234", "1.234")),
        (["1,262", "21"], ",", ("1,262", "1262", "1.262")),
        (["€ 1.234", "€ 21"], ".", ("€ 1.234", "1234", "1.234")),
        (["1.234", "5.678", "3"], ".", ("1.234", "1234", "1.234")),
        (["1.234", "1,50"], ".", ("1.234", "1234", "1.234")),
        (["1.234"] * 150 + ["0.5"], ".", ("1.234", "1234", "1.234")),  # one of a kind may be a slip
    ],
)
def test_a_column_that_can_be_read_in_two_ways_is_an_error_with_both(
    parse, values, decimal, readings
):
    with pytest.raises(IngestError, match=BOTH.format(*readings)) as error:
        parse(column(values), decimal=decimal)
    assert "--decimal , --thousands" in str(error.value)
    assert "--decimal . --thousands" in str(error.value)


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        (["1.234", "21"], {"decimal": ",", "thousands": "."}, [1234, 21]),
        (["1.234", "21"], {"decimal": ","}, [1234, 21]),
        (["1.234", "21"], {"thousands": "none"}, [1.234, 21]),
        (["1,234", "21"], {"thousands": ","}, [1234, 21]),
        (["1,234", "21"], {"decimal": ",", "thousands": "none"}, [1.234, 21]),
        (["1 234", "21"], {"thousands": "space"}, [1234, 21]),
        (["1.234", "0.5"], {}, [1.234, 0.5]),
        (["1,234", "0.5"], {}, [1234, 0.5]),
        (["1.234", "1,50"], {"decimal": ","}, [1234, 1.5]),
        (["1.234", "1234.567"], {}, [1.234, 1234.567]),
        (["1.234", "1.234.567"], {"decimal": ","}, [1234, 1234567]),
    ],
)
def test_other_values_or_the_options_settle_it(parse, values, options, expected):
    assert parse(column(values), **options).rows["value"].to_pylist() == expected


def test_it_is_settled_for_the_whole_column_whatever_the_batches(tmp_path, monkeypatch):
    (tmp_path / "acme.csv").write_text(column(["1.234"] * 8 + ["0.5"]))
    monkeypatch.setattr(csv_format, "LINES_PER_BATCH", 2)
    values = parse_input(InputFile(tmp_path / "acme.csv"), ReadOptions()).rows["value"]
    assert values.to_pylist() == [1.234] * 8 + [0.5]


def test_marks_that_contradict_each_other_are_an_error():
    with pytest.raises(IngestError, match=r"decimal and thousands are both '\.'; say decimal ','"):
        ReadOptions(thousands=".")
    with pytest.raises(IngestError, match="thousands: '_' is none of 'none', ','"):
        ReadOptions(thousands="_")


def test_mixed_currencies_are_told_with_their_numbers(parse):
    file = parse(column(["$5", "€5.10", "EUR 7", "3"]))
    assert "2 in EUR, 1 in USD, 1 without a currency" in file.remarks[0]
    assert parse(column(["$5", "USD 5"])).remarks == ()
    assert parse(column(["5", "6.10"])).remarks == ()


SIGNS = ["-{}", "{}-", "({})", "\u2212{}", "– {}"]
MONEY = ["{}", "{}", "€{}", "{} €", "USD {}", "{} kr", "CHF {}"]


def grouped(digits: str, mark: str, indian: bool) -> str:
    """Divide thousands by hand: from the right, three digits and then by three, or by two."""
    head, tail = digits[:-3], digits[-3:]
    step = 2 if indian else 3
    while head:
        head, tail = head[:-step], head[-step:] + mark + tail
    return tail


@st.composite
def shops(draw) -> tuple[list[str], list[float], str]:
    """A column of amounts in one style, what each means, and the style's decimal mark."""
    decimal = draw(st.sampled_from([".", ","]))
    other = "," if decimal == "." else "."
    mark = draw(st.sampled_from(["", other, "'", " ", "\u202f", "’"]))
    indian = mark == "," and draw(st.booleans())
    places = draw(st.sampled_from([0, 1, 2, 2, 3]))
    trailing = draw(st.booleans())  # whether zeros behind are kept
    sign, money = draw(st.sampled_from(SIGNS)), draw(st.sampled_from(MONEY))
    if sign == "{}-" and money.startswith("{}"):
        money = "{}"  # "5- €" is refused
    written, meant = [], []
    for cents in draw(st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=8)):
        amount = Decimal(cents).scaleb(-places)
        whole, _, fraction = format(abs(amount), "f").partition(".")
        fraction = fraction if trailing else fraction.rstrip("0")
        text = grouped(whole, mark, indian) + (decimal + fraction if fraction else "")
        written.append(money.format(sign.format(text) if cents < 0 else text))
        meant.append(float(amount))
    return written, meant, decimal


@settings(max_examples=300, deadline=None)
@given(shop=shops(), right=st.booleans(), lines_per_batch=st.sampled_from([2, 100]))
def test_no_style_of_writing_money_is_read_as_another_amount(
    shop, right, lines_per_batch, tmp_path_factory
):
    written, meant, decimal = shop
    # With the wrong mark given as a comma, somebody has said that points divide thousands.
    given_mark = decimal if right else "."
    path = tmp_path_factory.mktemp("amounts") / "acme.csv"
    path.write_text(column(written))
    with mock.patch.object(csv_format, "LINES_PER_BATCH", lines_per_batch):
        try:
            parsed = parse_input(InputFile(path), ReadOptions(decimal=given_mark))
        except IngestError as error:
            assert "if it is the decimal mark" in str(error) or "rows are refused" in str(error)
            return
    expected = dict(enumerate(meant, start=2))
    kept = dict(zip(parsed.rows["line"].to_pylist(), parsed.rows["value"].to_pylist(), strict=True))
    assert kept == {line: expected[line] for line in kept}
    assert len(kept) + len(parsed.refused) == len(meant)


@given(shop=shops())
def test_a_style_is_read_whole_where_options_say_what_it_is(shop, tmp_path_factory):
    written, meant, decimal = shop
    format_ = AmountFormat(decimal)
    for text, value in zip(written, meant, strict=True):
        amount = format_.read(text)
        assert amount.doubt or float(amount.text) == value
