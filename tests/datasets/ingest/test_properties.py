"""Whatever a file holds: rows in = rows kept + rows refused, and what is kept is what it says."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from unittest import mock

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets.ingest import csv as csv_format
from scale_eval.datasets.ingest.ingest import IngestError
from scale_eval.datasets.ingest.inputs import InputFile
from scale_eval.datasets.ingest.parse import ReadOptions, parse_input
from scale_eval.datasets.ingest.text_options import TextOptions
from scale_eval.datasets.instants import microseconds
from tests.support.transaction_files import ingest_whatever_is_refused as ingest

COLUMNS = ["note", "CustomerID", "Timestamp", "PurchaseValue"]
REASONS = {
    "wrong_number_of_fields",
    "unclosed_quote",
    "malformed_field",
    "not_utf8",
    "nul_byte",
    "customer_id_empty",
    "company_id_empty",
    "timestamp_empty",
    "timestamp_unparsable",
    "timestamp_out_of_range",
    "timestamp_ambiguous",
    "value_empty",
    "value_unparsable",
    "value_not_finite",
}


@dataclass(frozen=True)
class Field:
    """A field as it stands in a file, and what it means; None where it means nothing."""

    text: str
    meaning: object


@dataclass(frozen=True)
class Record:
    """A record as it stands in a file, and its row; None where it is to be refused."""

    text: str
    row: tuple[str, int, float] | None


plain_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r\0", exclude_categories=["Cs"]),
    max_size=8,
)
customers = plain_text.map(lambda text: Field(text, text if text.strip() else None))


@st.composite
def timestamps(draw) -> Field:
    """Many ways to write an instant, by Python's own calendar, and some that are none."""
    if draw(st.integers(0, 4)) == 0:
        bad = ["", " ", "soon", "2017-02-30", "148322880", "9999-01-01", "2017-1-1", "17-01-01"]
        return Field(draw(st.sampled_from(bad)), None)
    minutes = draw(st.one_of(st.none(), st.integers(-14 * 60, 14 * 60)))
    zone = dt.UTC if minutes is None else dt.timezone(dt.timedelta(minutes=minutes))
    bounds = dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)
    time = draw(st.datetimes(*bounds)).replace(tzinfo=zone)
    resolution = draw(st.sampled_from(["date", "minutes", "seconds", "microseconds"]))
    if resolution == "date":
        time = dt.datetime(time.year, time.month, time.day, tzinfo=dt.UTC)
        text = time.strftime(draw(st.sampled_from(["%Y-%m-%d", "%Y%m%d"])))
    else:
        time = dt.datetime.fromisoformat(time.isoformat(timespec=resolution))
        text = time.isoformat(draw(st.sampled_from(["T", " "])), timespec=resolution)
        if minutes is None:
            text = text[: -len("+00:00")] + draw(st.sampled_from(["", "Z", " UTC", "+00:00"]))
    padding = draw(st.sampled_from(["", " "]))
    return Field(padding + text + padding, microseconds(pd.Timestamp(time)))


@st.composite
def values(draw) -> Field:
    """Numbers as Python reads them, and some that are none or not finite."""
    if draw(st.integers(0, 4)) == 0:
        bad = ["", " ", "x", "1,5", "nan", "-inf", "1e999", "--1"]
        return Field(draw(st.sampled_from(bad)), None)
    number = draw(st.floats(allow_nan=False, allow_infinity=False))
    text = draw(st.sampled_from(["{!r}", "{:.2f}", "{:e}", " {!r} ", "{:+.3g}"])).format(number)
    if abs(float(text)) == float("inf"):
        return Field(text, None)
    return Field(text, float(text) + 0.0)


@st.composite
def records(draw, delimiter: str) -> Record:
    """A record with its fields quoted where they must be, and elsewhere as it comes."""
    note = draw(plain_text | st.just("two\nlines") | st.just('a "quote", and a comma'))
    fields = [Field(note, note), draw(customers), draw(timestamps()), draw(values())]

    def written(text: str) -> str:
        must = re.search(rf'["\n{delimiter}]', text)
        return '"' + text.replace('"', '""') + '"' if must or draw(st.booleans()) else text

    texts = [written(field.text) for field in fields]
    meanings = tuple(field.meaning for field in fields[1:])
    row = None if None in meanings else meanings
    flaw = draw(st.sampled_from([""] * 6 + ["more", "fewer", "unclosed"]))
    if flaw == "more":
        texts[0] = "x"  # of a record of several lines each would be refused by itself
        return Record(delimiter.join([*texts, "x"]), None)
    if flaw == "fewer":
        return Record(delimiter.join(["x"] * 3), None)
    if flaw == "unclosed":
        unclosed = [re.sub(rf'["\n{delimiter}]', "", text) for text in texts]
        i = draw(st.integers(0, 3))
        unclosed[i] = '"x' + unclosed[i]
        return Record(delimiter.join(unclosed), None)
    return Record(delimiter.join(texts), row)


@st.composite
def files(draw) -> tuple[bytes, list[Record | None]]:
    """A file and its records, with None for empty lines."""
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    found = draw(st.lists(st.none() | records(delimiter), max_size=12))
    text = draw(st.sampled_from(["", "\ufeff"])) + delimiter.join(COLUMNS) + ending
    text += ending.join(record.text if record else "" for record in found)
    return text.encode(), found


def _places(found: list[Record | None]) -> dict[int, Record]:
    """Each record by the line on which it starts."""
    places, line = {}, 2
    for record in found:
        if record is not None:
            places[line] = record
        line += 1 + (record.text.count("\n") if record else 0)
    return places


@settings(max_examples=200, deadline=None)
@given(file=files(), lines_per_batch=st.sampled_from([1, 2, 3, 100]))
def test_rows_in_are_rows_kept_and_refused_and_the_kept_are_what_plain_python_reads(
    file, lines_per_batch, tmp_path_factory
):
    content, found = file
    path = tmp_path_factory.mktemp("property") / "acme.csv"
    path.write_bytes(content)
    places = _places(found)
    expected = {line: record.row for line, record in places.items() if record.row}
    with mock.patch.object(csv_format, "LINES_PER_BATCH", lines_per_batch):
        if not expected:
            with pytest.raises(
                IngestError, match=r"has a header but no rows|rows are refused|no row has as many"
            ):
                parse_input(InputFile(path), ReadOptions())
            return
        parsed = parse_input(InputFile(path), ReadOptions())
    rows = parsed.rows
    times = [microseconds(time) for time in rows["timestamp"].to_pandas()]
    kept = zip(rows["customer_id"].to_pylist(), times, rows["value"].to_pylist(), strict=True)
    assert dict(zip(rows["line"].to_pylist(), kept, strict=True)) == expected
    assert len(rows) + len(parsed.refused) == len(places)
    assert {refusal.line for refusal in parsed.refused} == set(places) - set(expected)
    assert {refusal.reason for refusal in parsed.refused} <= REASONS
    assert all(refusal.text == places[refusal.line].text for refusal in parsed.refused)


PIECES = [
    "a",
    ",",
    '"',
    "\n",
    "\r\n",
    "\r",
    ";",
    "\t",
    " ",
    "é",
    "\0",
    "2017-01-01",
    "1",
    '"",',
    "a,2017-01-01,1\n",
    '"a",2017-01-01,"1"\n',
]


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES).map(str.encode) | st.just(b"\xff"), max_size=40),
    lines_per_batch=st.sampled_from([1, 2, 3]),
)
def test_any_bytes_are_read_the_same_in_any_batches_and_no_line_gets_lost(
    pieces, lines_per_batch, tmp_path_factory
):
    path = tmp_path_factory.mktemp("property") / "acme.csv"
    sound = b"\nsound,2017-01-01,1\n"
    content = b"CustomerID,Timestamp,PurchaseValue\nz,2017-01-01,1\n" + b"".join(pieces) + sound
    if b"\0" in content:  # beyond what is looked at for being text
        content = content.replace(b"\nz,", b"\n" * 70_000 + b"z,")
    path.write_bytes(content)
    file = InputFile(path, TextOptions(encoding="utf-8"))
    parsed = parse_input(file, ReadOptions())
    with mock.patch.object(csv_format, "LINES_PER_BATCH", lines_per_batch):
        if len(content) < 10_000:
            again = parse_input(file, ReadOptions())
            assert again.rows.combine_chunks() == parsed.rows.combine_chunks()
            assert again.refused == parsed.refused
    lines = re.split(rb"\r\n|\r|\n", content)
    refused = {refusal.line for refusal in parsed.refused}
    # Every line that is not empty is a record of its own: three columns, and all of them are used.
    assert sorted([*parsed.rows["line"].to_pylist(), *refused]) == [
        number for number, line in enumerate(lines, start=1) if line and number > 1
    ]
    assert len(refused) == len(parsed.refused)
    assert parsed.rows["customer_id"].to_pylist()[-1] == "sound"


rows_of_a_shop = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "B", "0", "00"]),
        st.integers(1, 28).map("2017-01-{:02}".format),
        st.sampled_from(["0", "-0.0", "1", "-2", "2.50", "x"]),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=40, deadline=None)
@given(rows=rows_of_a_shop, data=st.data())
def test_no_order_of_rows_and_no_division_into_files_changes_the_dataset(
    rows, data, tmp_path_factory
):
    place = tmp_path_factory.mktemp("property")
    rows = [*rows, ("always", "2017-01-15", "1")]

    def dataset(name: str, *parts: list[tuple[str, str, str]]) -> str:
        paths = []
        for i, part in enumerate(parts):
            paths.append(place / f"{name}-{i}.csv")
            lines = ["Shop,CustomerID,Timestamp,PurchaseValue", f"part,{i},2017-01-01,1"]
            paths[-1].write_text("\n".join(lines + [",".join(("x", *row)) for row in part]))
        report = ingest(paths, place / name, company_column="Shop")
        assert report.files["rows_kept"].sum() + report.files["rows_refused"].sum() == len(
            rows
        ) + len(parts)
        manifest = report.dataset.manifest.set_index("company_id")
        return manifest.loc["x", "content_hash"]

    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    assert dataset("whole", rows) == dataset("parts", shuffled[:cut], shuffled[cut:])
