"""Refused rows beyond a share are an error that says what they have in common."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_eval.datasets import open_dataset
from scale_eval.datasets.ingest.ingest import IngestError, ingest
from tests.support.transaction_files import HEADER, JANUARY, on_disk

N = 600


def shop(bad: Callable[[int, dict[str, str]], dict[str, str]]) -> list[str]:
    """Return the lines of a shop of N orders of three years, after `bad` has changed each."""
    rng = np.random.default_rng(7)
    days = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 1095, N)), unit="D")
    values = np.round(np.exp(rng.normal(3, 1.5, N)), 2)
    lines = []
    for i in range(N):
        row = {"id": f"c{rng.integers(80):03}", "time": f"{days[i]:%Y-%m-%d}", "value": values[i]}
        row = bad(i, {name: str(value) for name, value in row.items()})
        lines.append(f"{row['id']},{row['time']},{row['value']}")
    return lines


def month(row: dict[str, str]) -> int:
    return int(row["time"][5:7])


KINDS = {
    "larger than every value that was read (up to 98.89)": lambda i, row: (
        {**row, "value": row["value"].replace(".", ";")} if float(row["value"]) >= 100 else row
    ),
    "have 'DR' in the column 'PurchaseValue'": lambda i, row: (
        {**row, "value": row["value"] + " DR"} if i % 9 == 0 else row
    ),
    "are negative": lambda i, row: {**row, "value": f"-{row['value']}-"} if i % 9 == 0 else row,
    "are of the months from April to October": lambda i, row: (
        {**row, "time": row["time"] + "T25:00"} if 4 <= month(row) <= 10 else row
    ),
    "have 'CEST' in the column 'Timestamp'": lambda i, row: (
        {**row, "time": row["time"] + " CEST"} if 4 <= month(row) <= 10 else row
    ),
    "are dated from 2022-05-": lambda i, row: (
        {**row, "value": "?"} if row["time"].startswith("2022-05") else row
    ),
    "are in lines 582 to 601, the end of the file": lambda i, row: (
        {**row, "value": "x"} if i >= 580 else row
    ),
    "are of customer 'c007'": lambda i, row: (
        {**row, "time": "soon"} if row["id"] == "c007" else row
    ),
    "have letters beyond ASCII, as in 'Müller": lambda i, row: (
        {**row, "id": f"Müller{i}", "value": "5 apples"} if i % 20 == 0 else row
    ),
}


@pytest.mark.parametrize("trait", KINDS)
def test_beyond_the_share_ingest_ends_and_says_what_the_refused_have_in_common(file, into, trait):
    ingest(file("acme.csv", JANUARY), into)
    before = on_disk(into)
    with pytest.raises(IngestError) as error:
        ingest(file("other.csv", shop(KINDS[trait])), into)
    assert trait in str(error.value)
    assert "other.csv: " in str(error.value)
    assert "such as line " in str(error.value)
    assert "--max-refused" in str(error.value)
    assert on_disk(into) == before


def test_letters_that_are_not_utf_8_are_what_they_have_in_common(tmp_path, into):
    lines = shop(lambda i, row: {**row, "id": f"Müller{i}"} if i % 20 == 0 else row)
    (tmp_path / "acme.csv").write_bytes((HEADER + "\n".join(lines)).encode("cp1252"))
    with pytest.raises(
        IngestError, match=r"not_utf8 30.*letters beyond ASCII, as in 'M\\\\xfcller"
    ):
        ingest(tmp_path / "acme.csv", into, encoding="utf-8")


def test_below_the_share_the_report_says_it_too(file, into):
    path = file("acme.csv", shop(lambda i, row: {**row, "value": "5 DR"} if i % 200 == 3 else row))
    report = ingest(path, into)
    (remark,) = report.remarks
    assert "3 of 600 rows (0.5 %; value_unparsable 3) are refused" in remark
    assert "have 'DR' in the column 'PurchaseValue'" in remark


def test_a_dash_alone_is_no_negative_amount(file, into):
    path = file("acme.csv", shop(lambda i, row: {**row, "value": "-"} if i % 200 == 3 else row))
    (remark,) = ingest(path, into).remarks
    assert "have '-' in the column 'PurchaseValue'" in remark
    assert "negative" not in remark


def test_rows_that_are_refused_at_random_have_nothing_in_common(file, into):
    chosen = set(random.Random(3).sample(range(N), 5))
    path = file("acme.csv", shop(lambda i, row: {**row, "value": ""} if i in chosen else row))
    report = ingest(path, into)
    assert report.remarks == ()
    assert report.refused.loc[0, "count"] == 5


def test_the_share_is_an_option_and_each_file_is_held_against_it(file, into):
    bad = file("bad.csv", shop(lambda i, row: {**row, "value": ""} if i % 50 == 0 else row))
    good = [file(f"good{i}.csv", shop(lambda i, row: row)) for i in range(3)]
    with pytest.raises(IngestError, match=r"bad\.csv: 12 of 600 rows \(2 %.*--max-refused 2\.0%"):
        ingest([*good, bad], into)
    report = ingest([*good, bad], into, max_refused=0.02)
    assert report.files["rows_refused"].sum() == 12
    with pytest.raises(IngestError, match=r"max_refused: 2 is no share"):
        ingest(bad, into, max_refused=2)


# Mutations


def changed(lines: list[str], how: str, draw: Callable) -> bytes:
    """Return the bytes of a file that somebody cut, doubled, shuffled, saved or typed in anew."""
    content = (HEADER + "\n".join(lines) + "\n").encode()
    if how == "cut":
        return content[: draw(st.integers(len(HEADER), len(content)))]
    if how == "doubled":
        return content + content
    if how == "shuffled":
        shuffled = draw(st.permutations(lines))
        return (HEADER + "\n".join(shuffled) + "\n").encode()
    if how == "german":
        text = HEADER.replace(",", ";") + "\n".join(
            line.replace(",", ";").replace(".", ",") for line in lines
        )
        return text.encode("cp1252")
    if how == "utf-16":
        return content.decode().encode("utf-16")
    if how == "crlf":
        return content.replace(b"\n", b"\r\n")
    position = draw(st.integers(len(HEADER), len(content) - 1))
    return content[:position] + draw(st.sampled_from([b"\0", b"\xff", b'"'])) + content[position:]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    how=st.sampled_from(["cut", "doubled", "shuffled", "german", "utf-16", "crlf", "byte"]),
    data=st.data(),
)
def test_a_changed_file_never_changes_a_figure_without_a_word(how, data, tmp_path_factory):
    """The sum, the orders and the customers are those of the file, or something is said."""
    place = tmp_path_factory.mktemp("mutation")
    lines = shop(lambda i, row: {**row, "id": row["id"].replace("c00", "é")})[:60]
    (place / "acme.csv").write_bytes(changed(lines, how, data.draw))
    try:
        report = ingest(place / "acme.csv", place / "dataset")
    except IngestError as error:
        assert len(str(error)) > 40
        return
    frame = open_dataset(place / "dataset").read("acme").to_frame()
    truth = pd.DataFrame([line.split(",") for line in lines], columns=["id", "time", "value"])
    company = report.companies.iloc[0]
    refused = int(report.files["rows_refused"].sum())
    if how == "doubled":  # the header between the halves is refused, and the copies are counted
        assert refused == 1
        assert company["duplicates"] >= len(lines)
    elif how == "cut":  # the line that was cut is shorter, refused or gone: the rows are counted
        assert company["rows"] + refused <= len(lines)
        values = truth["value"].astype(float)[: len(frame) - 1].sum()
        assert frame["value"].sum() >= values - 1e-9
    else:
        assert company["rows"] + refused >= len(lines)
        if not refused and how != "byte":
            assert frame["value"].sum() == pytest.approx(truth["value"].astype(float).sum())
            assert sorted(frame["customer_id"]) == sorted(truth["id"])
