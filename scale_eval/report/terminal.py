"""Print tables of a run, a plan and an estimate so that they fit a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.text import Text

from scale_eval.evaluation.schema import EVALUATION_COLUMNS
from scale_eval.planning.plan import Plan
from scale_eval.planning.run_estimate import RunEstimate
from scale_eval.report.frame_table import cell, frame_table, plain_table
from scale_eval.report.names import MODEL_COLUMNS, short_names
from scale_eval.report.table_rows import FirstRows, filters_of
from scale_eval.report.verdict.power import rounded
from scale_eval.report.wording import (
    chance,
    companies,
    difference_with_interval,
    listed,
    metric_label,
)
from scale_eval.results.tables import TABLES

SHOWN = {
    "evaluations": [
        "company_id",
        "cutoff",
        "model",
        "status",
        "n_customers",
        "n_positive",
        "log_loss",
        "roc_auc",
        "reason",
    ],
    **{name: list(table.shown) for name, table in TABLES.items()},
    "failures": ["company_id", "cutoff", "model", "status", "reason", "note"],
}
"""Columns in which each table is shown; the files have more."""


def print_table(
    console: Console,
    name: str,
    frame: pd.DataFrame,
    *,
    limit: int,
    better: Callable[[str], str] | None = None,
    models: Sequence[str] = (),
    whole: FirstRows | None = None,
) -> None:
    """Print the first `limit` rows of one of the tables in `SHOWN`.

    `models` are those that are compared, best first; their rows come in this order where
    `is_by_model` says so.

    `better` returns the direction of a metric; with it, `comparisons` ends with how to read the
    sign of a difference, and which differences are ties.

    In `pooled`, rows of common coverage and over all cutoffs come first; in `comparisons`, those of
    all sizes. A column with the same value in every row is printed above the table instead. Models
    have short names, each of which tells a model from all others in the frame.

    `whole` says what the table has in all where `frame` holds only its first rows.
    """
    if is_by_model(name):
        frame = frame.iloc[np.argsort(_ranks(frame["model"], models), kind="stable")]
    if name == "pooled":
        own, one_cutoff = frame["coverage"] == "own", frame["cutoff"].notna()
        frame = frame.iloc[np.lexsort([own, one_cutoff])]
    if name == "comparisons":
        frame = frame.iloc[np.argsort(frame["stratum"] != "all", kind="stable")]
    names = short_names_in(frame) if whole is None else short_names(whole.models)
    n = len(frame) if whole is None else whole.n
    shown = frame[SHOWN[name]].head(limit)
    shown = shown.assign(**{c: shown[c].map(lambda m: names.get(m, m)) for c in _models_in(shown)})
    if "cutoff" in shown and name == "pooled":
        shown = shown.assign(cutoff=[cell(c) or "all" for c in shown["cutoff"]])
    repeated = [c for c in shown if len(shown) > 1 and shown[c].nunique(dropna=False) == 1]
    common = [f"{c} {cell(shown[c].iloc[0])}" for c in repeated if cell(shown[c].iloc[0])]
    if common:
        console.print(Text(", ".join(common), style="dim"))
    console.print(frame_table(shown.drop(columns=repeated)))
    if name == "comparisons" and better is not None:
        for sentence in how_to_read_differences(frame.head(limit), better):
            console.print(Text(sentence, style="dim"))
    if n > limit:
        taken = filters_of(frame)
        choose = f", {taken} choose among them" if taken else ""
        note = f"{limit:,} of {n:,} rows; --limit shows more{choose}"
        console.print(note, style="dim")


def is_by_model(name: str) -> bool:
    """Return whether the rows of a table are shown model by model: not those of a time or pair."""
    return name in TABLES and "model" in SHOWN[name][:2]


def _ranks(names: pd.Series, models: Sequence[str]) -> np.ndarray:
    """Return where each name stands in `models`; others come after all of these."""
    rank = {model: i for i, model in enumerate(models)}
    return np.array([rank.get(name, len(rank)) for name in names], int)


def how_to_read_differences(frame: pd.DataFrame, better: Callable[[str], str]) -> list[str]:
    """Return a sentence for each metric of `comparisons`: its direction, and what is a tie."""
    sentences = ["A difference is that of model a minus that of model b, at the same windows."]
    for metric, rows in frame.groupby("metric", sort=False):
        direction, label = better(str(metric)), metric_label(str(metric))
        what = "the distance from the target" if direction == "target" else label
        sign = "above" if direction == "higher" else "below"
        meaning = f"{label}: {'higher' if direction == 'higher' else 'lower'} is better"
        if direction == "target":
            meaning = f"{label}: compared is {what}, of which less is better"
        margins = rows["margin"].dropna().unique()
        tie = ""
        if len(margins) == 1 and margins[0] > 0:
            tie = f"; a company where it is at most {cell(float(margins[0]))} is a tie"
        sentences.append(f"{meaning}, so {sign} 0 model a is better{tie}.")
    return sentences


def short_names_in(frame: pd.DataFrame) -> dict[str, str]:
    """Return the short name of each model of a table."""
    return short_names(sorted({m for c in _models_in(frame) for m in frame[c].dropna().unique()}))


def _models_in(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a table that name models."""
    return [c for c in frame if c in MODEL_COLUMNS]


def print_columns(console: Console, name: str) -> None:
    """Print what each column of a table holds, and where it is null."""
    columns = TABLES[name].columns if name in TABLES else EVALUATION_COLUMNS
    table = plain_table()
    table.add_column("column", no_wrap=True)
    for heading in ("holds", "null where"):
        table.add_column(heading, overflow="fold")
    for column in columns:
        if name != "failures" or column.name in SHOWN[name]:
            table.add_row(*map(Text, (column.name, column.doc, column.null)))
    if name in TABLES:
        console.print(Text(f"One row per ({TABLES[name].row}). {TABLES[name].doc}\n"))
    console.print(table)


def plan_table(plan: Plan, *, limit: int) -> RenderableType:
    """Return a table of the windows of each company, used and refused, with the reasons."""
    shown = []
    for company, rows in plan.frame(limit).groupby("company_id", sort=True):
        used = rows.loc[rows["status"] == "planned", "cutoff"]
        refused = rows[rows["status"] != "planned"]
        windows = ""
        if len(used):
            windows = f"{len(used)}: {used.min():%Y-%m-%d}"
            windows += f" to {used.max():%Y-%m-%d}" if len(used) > 1 else ""
        why = "; ".join(
            (f"{row.cutoff:%Y-%m-%d} " if row.cutoff is not pd.NaT else "")
            + row.reason
            + (f" ({row.note})" if row.note else "")
            for row in refused.head(3).itertuples()
        )
        shown.append((str(company), windows, str(len(refused) or ""), why))
    columns = ["company", "windows used", "refused", "why"]
    table = frame_table(pd.DataFrame(shown, columns=columns, dtype=str))
    if len(plan.company_ids) <= limit:
        return table
    note = f"{limit} of {len(plan.company_ids):,} companies; refused windows in all: "
    counts = sorted(plan.refusals().items(), key=lambda item: (-item[1], item[0]))
    note += ", ".join(f"{reason} {n:,}" for reason, n in counts) or "none"
    return Group(table, Text(note, style="dim"))


def power_table(power: pd.DataFrame, earlier: str) -> RenderableType:
    """Return how many companies settle which model is better, by the run `earlier`.

    `power` is the table of `scale_eval.planning.power.power_table`.
    """
    first, names = power.iloc[0], short_names_in(power)
    probabilities = [column for column in power if column.startswith("companies_")]
    rows = []
    for row in power.to_dict("records"):
        is_done = row["settled"] and row["among_them"]
        needed = {
            f"{column.removeprefix('companies_')} %": "settled" if is_done else rounded(row[column])
            for column in probabilities
        }
        lead = difference_with_interval(row["lead"], row["lead_low"], row["lead_high"])
        against = names[row["model_b"]]
        probability = chance(row["probability"])
        rows.append({"against": against, "lead": lead} | needed | {"this run": probability})
    counted = "these among them" if first["among_them"] else "other companies than these"
    numbers = listed([name.removeprefix("companies_") for name in probabilities])
    margin = f"{first['margin']:.2g}".replace("0.", ".", 1)
    return Group(
        Text(),
        Text(
            f"How many companies settle with a probability of {numbers} % whether "
            f"{names[first['model']]} is better, judged by {companies(first['n_companies'])} of "
            f"{earlier} ({counted}):"
        ),
        frame_table(pd.DataFrame(rows)),
        Text(
            f"This run can evaluate {companies(first['n_planned'])}. A comparison is settled if "
            "the 95 % interval of the difference in log loss leaves out 0, or if the difference "
            f"is shown to lie inside the margin of {margin}.\n",
            style="dim",
        ),
    )


def print_estimate(
    console: Console, estimate: RunEstimate, workers: int, price: float | None
) -> None:
    """Print what a run would take, in a few lines; `price` is that of a core-hour."""
    hours = estimate.core_hours
    lines = [
        ("tasks", f"{estimate.n_tasks:,}, one for each {estimate.granularity}"),
        ("core time", f"{_duration(hours * 3600)} in all"),
        (
            "wall time",
            f"about {_duration(estimate.wall_seconds)} on {workers} workers, tables included"
            f"; the longest task takes {_duration(estimate.longest_seconds)}",
        ),
        (
            "memory",
            f"about {estimate.worker_gb:.1f} GB a worker, and {estimate.coordinator_gb:.1f} GB for "
            "the process that starts them and writes the tables",
        ),
        ("to read", f"{estimate.read_gb:.3g} GB"),
    ]
    if price is not None:
        lines.append(("cost", f"{hours * price:,.2f} at {price:g} a core-hour"))
    table = plain_table()
    table.show_header = False
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
    if not estimate.timed:
        console.print("Times of models that were not timed are guesses.", style="dim")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
