"""Choose rows of a table of a run by the model, metric or company that a person names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from scale_eval.metrics import METRICS
from scale_eval.planning.metric_names import choose_metric
from scale_eval.report.choices import choose_company, choose_model
from scale_eval.report.names import MODEL_COLUMNS
from scale_eval.report.wording import listed
from scale_eval.results.directory import RunDirectory
from scale_eval.results.tables import TABLES

TOGETHER = 400_000
"""Number of evaluations that are in memory together while all are written."""

WRITTEN = 20_000
"""Number of rows of which there are Python objects together while all are written."""

LARGE = ("evaluations", "companies")
"""The tables that have a row for each company."""

Where = Mapping[tuple[str, ...], str]


@dataclass(frozen=True)
class FirstRows:
    """The first rows of a table, as they are shown.

    Attributes
    ----------
    frame : DataFrame
    n : int
        Number of rows that the table has.
    models : list of str
        The models that all of its rows name, sorted.
    """

    frame: pd.DataFrame
    n: int
    models: list[str]


def first_rows(
    run: RunDirectory,
    table: str,
    where: Where,
    columns: Sequence[str],
    models: Sequence[str],
    n: int,
) -> FirstRows:
    """Return the first `n` rows of a table in `LARGE` that have certain texts.

    Those of `companies` come model by model, `models` first.
    """
    coded = run.arrow(table, ["model"], where)["model"].combine_chunks()
    counted = coded.value_counts()
    rows_of = {each["values"].as_py(): each["counts"].as_py() for each in counted}
    named = sorted(rows_of)
    if table == "evaluations":
        found = [run.arrow(table, columns, where).slice(0, n)]
    else:
        ranked = [*(m for m in models if m in rows_of), *(m for m in named if m not in models)]
        found, missing = [], n
        for model in ranked:
            for part in run.row_parts(table, {**where, ("model",): model}, columns):
                found.append(part.slice(0, missing))
                missing -= len(found[-1])
                if not missing:
                    break
            if not missing:
                break
    frames = [_plain_texts(part).to_pandas() for part in found]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
    return FirstRows(frame, sum(rows_of.values()), named)


def all_rows(run: RunDirectory, table: str, where: Where) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table in `LARGE` that have certain texts, some at a time."""
    if table == "evaluations":
        parts = run.sorted_evaluations(run.schema.names, where, TOGETHER)
    else:
        parts = run.row_parts(table, where)
    for part in parts:
        for begin in range(0, len(part), WRITTEN):
            yield _plain_texts(part.slice(begin, WRITTEN)).to_pandas()


def _plain_texts(table: pa.Table) -> pa.Table:
    """Return a table whose texts are no dictionary codes."""
    return table.cast(
        pa.schema(
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in table.schema
        )
    )


def chosen(
    run: RunDirectory, table: str, columns: Collection[str], filters: Mapping[str, str | None]
) -> dict[tuple[str, ...], str]:
    """Return the texts that the rows must have which all filters choose, as `scan_rows` takes them.

    Parameters
    ----------
    columns : collection of str
        Those of the table.
    filters : dict
        A name as it is displayed, or None, by what it names: ``model``, ``metric``, ``company``.

    Raises `ValueError` for a name that the run does not have, and where the table has no such
    column.
    """
    where = {}
    for kind, name in filters.items():
        if name is None:
            continue
        candidates, choose = _BY_KIND[kind]
        matching = tuple(column for column in candidates if column in columns)
        if not matching:
            taken = filters_of(columns)
            instead = f"its rows are chosen by {taken}" if taken else "all its rows are shown"
            raise ValueError(f"the table {table} has no column of a {kind}; {instead}")
        where[matching] = choose(name, _names(run, kind))
    return where


def frame_where(frame: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the rows of a table in memory that have certain texts."""
    for columns, text in where.items():
        frame = frame[(frame[list(columns)] == text).any(axis=1)]
    return frame


_BY_KIND: dict[str, tuple[tuple[str, ...], Callable[[str, Iterable[str]], str]]] = {
    "model": (MODEL_COLUMNS, choose_model),
    "metric": (("metric",), choose_metric),
    "company": (("company_id",), choose_company),
}
"""The columns that a filter looks at, and what finds the name that is meant."""


def filters_of(frame: Collection[str]) -> str:
    """Return the filters that a table takes, such as ``--model and --metric``; "" without any."""
    kinds = [kind for kind, (columns, _) in _BY_KIND.items() if any(c in frame for c in columns)]
    return listed([f"--{kind}" for kind in kinds]) if kinds else ""


def _names(run: RunDirectory, kind: str) -> list[str]:
    """Return all names of a kind that the run has."""
    if kind == "model":
        return list(run.document["models"])
    if kind == "metric":
        return [*METRICS, *run.user_metrics]
    plan = run.plan(["company_id"], dictionaries=["company_id"])
    return sorted(plan["company_id"].unique().to_pylist())


def with_whole_numbers(run: RunDirectory, table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose counts are whole numbers, also in columns where some are null."""
    schema = TABLES[table].schema if table in TABLES else run.schema
    counts = [f.name for f in schema if pa.types.is_integer(f.type) and f.name in frame]
    return frame.astype(dict.fromkeys(counts, "Int64"))
