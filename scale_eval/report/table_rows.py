"""Choose rows of a table of a run by the model, metric or company that a person names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd
import pyarrow as pa

from scale_eval.metrics import METRICS
from scale_eval.planning.metric_names import choose_metric
from scale_eval.report.choices import choose_company, choose_model
from scale_eval.report.names import MODEL_COLUMNS
from scale_eval.report.wording import listed
from scale_eval.results.directory import RunDirectory
from scale_eval.results.tables import TABLES


def chosen_rows(
    run: RunDirectory, table: str, frame: pd.DataFrame, filters: Mapping[str, str | None]
) -> pd.DataFrame:
    """Return the rows of a table that all filters choose.

    Parameters
    ----------
    frame : DataFrame
        The whole table.
    filters : dict
        A name as it is displayed, or None, by what it names: ``model``, ``metric``, ``company``.

    Raises `ValueError` for a name that the run does not have, where the table has no such column,
    and where no row is left; failures need not have one.
    """
    for kind, name in filters.items():
        if name is None:
            continue
        columns, choose = _BY_KIND[kind]
        matching = [column for column in columns if column in frame]
        if not matching:
            taken = filters_of(frame)
            instead = f"its rows are chosen by {taken}" if taken else "all its rows are shown"
            raise ValueError(f"the table {table} has no column of a {kind}; {instead}")
        chosen = choose(name, _names(run, kind))
        frame = frame[(frame[matching] == chosen).any(axis=1)]
        if frame.empty and table != "failures":
            raise ValueError(f"the table {table} has no rows of the {kind} {name!r}")
    return frame


_BY_KIND: dict[str, tuple[tuple[str, ...], Callable[[str, Iterable[str]], str]]] = {
    "model": (MODEL_COLUMNS, choose_model),
    "metric": (("metric",), choose_metric),
    "company": (("company_id",), choose_company),
}
"""The columns that a filter looks at, and what finds the name that is meant."""


def filters_of(frame: pd.DataFrame) -> str:
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
