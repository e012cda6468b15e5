"""Tables of the terminal: at 80 columns, every figure stands there whole."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rich.cells import cell_len
from rich.console import Console

from scale_eval.evaluation.schema import evaluations_schema
from scale_eval.metrics import METRICS
from scale_eval.models import BUILT_IN
from scale_eval.report.frame_table import cell, frame_table
from scale_eval.report.terminal import SHOWN, print_table
from scale_eval.results.tables import TABLES

WIDE = [-0.00012345678, 123456.789, -1.2345e-05, 99_999.5, 1e12, np.nan, 0.5, -98_765.4321]
ESTIMANDS = ["equal_company", "within_company", "row", "equal_company", "row"]
MODELS = [*BUILT_IN, "predictions:/data/2024/spring-and-summer.parquet"]


def printed(frame: pd.DataFrame, name: str | None, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        if name is None:
            console.print(frame_table(frame))
        else:
            print_table(console, name, frame, limit=len(frame), better=lambda _: "lower")
    return captured.get()


def column(field: pa.Field, n: int) -> list:
    """Values of a column of a table, as wide as they come."""
    metrics = sorted(METRICS, key=len)
    texts = {"metric": metrics, "estimand": ESTIMANDS, "company_id": ["TransactionsCompany1", "x"]}
    if field.name.startswith("model"):
        values = MODELS
    elif pa.types.is_timestamp(field.type):
        values = pd.date_range("2014-06-01", periods=5, freq="6MS", tz="UTC").tolist()
    elif pa.types.is_boolean(field.type):
        values = [True, False]
    elif pa.types.is_integer(field.type):
        values = [1_234_567, 3, 98_765_432]
    elif pa.types.is_floating(field.type):
        values = WIDE
    else:
        values = texts.get(field.name, ["common", "no_larger_company", ""])
    return [values[i % len(values)] for i in range(n)]


def figures_of(frame: pd.DataFrame) -> list[str]:
    """The numbers and dates of a frame, in characters."""
    kinds = [
        name
        for name in frame
        if pd.api.types.is_numeric_dtype(frame[name])
        or pd.api.types.is_datetime64_any_dtype(frame[name])
    ]
    return [text for name in kinds for value in frame[name] if (text := cell(value))]


def assert_whole(frame: pd.DataFrame, text: str) -> None:
    """Each figure stands between spaces, as often as the frame has it, or more often."""
    tokens = pd.Series([token.rstrip(",.") for token in text.split()]).value_counts()
    for figure, n in pd.Series(figures_of(frame)).value_counts().items():
        assert tokens.get(figure, 0) >= n, f"{figure} is there {tokens.get(figure, 0)} of {n} times"
    assert "…" not in text
    for line in text.splitlines():
        assert cell_len(line) <= 80, line


@pytest.mark.parametrize("name", SHOWN)
def test_every_figure_of_every_table_stands_there_whole_at_80_columns(name):
    schema = TABLES[name].schema if name in TABLES else evaluations_schema()
    frame = pd.DataFrame({field.name: column(field, 40) for field in schema})
    assert_whole(frame[SHOWN[name]], printed(frame, name))


def test_all_columns_of_a_wide_table_are_shown_in_parts_that_repeat_its_keys():
    frame = pd.DataFrame(
        {"company": ["North", "South"], "cutoff": pd.to_datetime(["2014-06-01"] * 2)}
    )
    numbers = {f"figure_{i}": [1.5 * i + 0.0625, -1e-5 * i] for i in range(12)}
    frame = frame.assign(**numbers)
    text = printed(frame, None)
    assert_whole(frame, text)
    parts = text.split("\n\n")
    assert len(parts) > 1
    for part in parts:
        assert all(key in part for key in ("company", "North", "South", "2014-06-01"))
    heads = " ".join(text.split())
    assert all(f"figure {i}" in heads or f" {i} " in heads for i in range(12))


def test_a_date_among_words_and_an_interval_are_not_broken():
    frame = pd.DataFrame(
        {
            "company_of_a_long_name_indeed": ["a" * 60, "b"],
            "cutoff": ["all", "2014-06-01"],
            "AUC": [".644\n.572 to .717", ".641\n.595 to .688"],
            "note": ["warned 12 times since 2014-06-01", "x " * 40],
        }
    )
    text = printed(frame, None)
    for whole in ("2014-06-01", ".572 to .717", ".595 to .688"):
        assert whole in text
    assert text.count("2014-06-01") == 2
    assert "".join(re.findall("a+", text.split("─")[-1].split("b ")[0]))[:60] == "a" * 60


def test_numbers_have_four_digits_and_dates_no_midnight():
    at = pd.Timestamp("2014-06-01 00:00Z"), pd.Timestamp("2014-06-01 12:30Z")
    assert [cell(v) for v in (0.123456, 3.0, 123456.7, 12_345, True, None, np.nan)] == [
        "0.1235", "3", "123,457", "12,345", "1", "", "",
    ]  # fmt: skip
    assert [cell(v) for v in at] == ["2014-06-01", "2014-06-01 12:30"]


NOTES = [
    "ValueError: Input X contains NaN; consider HistGradientBoostingClassifier, at "
    "/home/analyst/projects/customer-models/src/shop_models/features.py:214",
    "after 3,600 s",
    "",
]
REASONS = ["history_too_short_for_labels", "exception", "took_longer_than_timeout"]


def column_of(text: str, heading: str) -> str:
    """All that stands below a heading of the last column of a table, without blanks."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.rstrip().endswith(heading))
    start = lines[at].index(heading)
    below = (line for line in lines[at + 2 :])
    return "".join("".join(line[start:].split()) for line in below)


@pytest.mark.parametrize("width", [100, 80, 60, 40])
@pytest.mark.parametrize("name", ["evaluations", "failures"])
def test_why_is_never_cut_however_narrow_the_terminal(name, width):
    schema = evaluations_schema()
    frame = pd.DataFrame({field.name: column(field, 3) for field in schema})
    frame = frame.assign(note=NOTES, reason=REASONS, status=["error", "skipped", "timeout"])
    text = printed(frame, name, width)
    assert all(reason in text for reason in REASONS)
    assert all(cell_len(line) <= width for line in text.splitlines())
    if name == "failures":
        assert column_of(text, "note") == "".join("".join(NOTES).split())


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_row_of_each_part_is_named_by_the_company(width):
    schema = evaluations_schema()
    frame = pd.DataFrame({field.name: column(field, 3) for field in schema}).assign(
        company_id=["a1", "b2", "c3"], note=NOTES, reason=REASONS
    )
    parts = printed(frame, "failures", width).split("\n\n")
    assert all({"a1", "b2", "c3"} <= set(part.split()) for part in parts)


@pytest.mark.parametrize("width", [80, 60, 40])
def test_what_ingest_refused_and_where_is_never_cut(width):
    refused = pd.DataFrame(
        {
            "reason": ["timestamp_unparsable", "outside_plausible_range"],
            "count": [1_234_567, 12],
            "first_file": ["/exports/2024/january/TransactionsCompany1-final-export.csv.gz", "b"],
            "first_line": [1_234_568, 3],
        }
    )
    text = printed(refused, None, width)
    for whole in ("timestamp_unparsable", "outside_plausible_range", "1,234,567", "1,234,568"):
        assert whole in text


def test_ids_cannot_break_a_table_and_are_shortened():
    hostile = "Shop\x1b[31m\nx\N{RIGHT-TO-LEFT OVERRIDE}"
    frame = pd.DataFrame({"company_id": [hostile, "y" * 10_000], "count": [1, 2]})
    text = printed(frame, None)
    assert r"Shop\x1b[31m\nx\u202e" in text
    assert "(10,000characters)" in "".join(text.split())
    assert len(text) < 2_000


@pytest.mark.parametrize("width", [80, 60, 40])
def test_why_windows_are_refused_is_never_cut_and_neither_are_headings(width):
    why = "2019-02-01 no_customers (nobody had bought before 2019-02-01); 2022-06-01 gap_in_data"
    plan = pd.DataFrame(
        {
            "company": ["TransactionsCompany1-north-west", "x"],
            "windows used": ["12: 2014-06-01 to 2019-12-01", ""],
            "refused": ["2", ""],
            "why": [why, ""],
        }
    )
    text = printed(plan, None, width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert column_of(text, "why") == why.replace(" ", "")
    assert "12: 2014-06-01 to 2019-12-01" in text
    for word in ("company", "windows used", "refused", "why"):
        assert word in text
