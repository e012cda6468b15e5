"""Tables of a run, a plan and an ingest that fit a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from scale_eval.report.verdict import leaderboard

LEADERBOARD = {
    "log_loss": "log loss",
    "log_loss_skill": "skill",
    "brier_score": "Brier",
    "roc_auc": "AUC",
    "average_precision": "AP",
    "lift_at_10": "lift@10%",
    "observed_expected_ratio": "O:E",
}
"""Metrics of the overview, by the heading they have there."""

SHOWN = {
    "evaluations": ["company_id", "cutoff", "model", "status", "n_customers", "n_positive",
                    "log_loss", "brier_score", "roc_auc", "observed_expected_ratio", "reason"],
    "companies": ["company_id", "model", "metric", "n_cutoffs", "n_defined", "mean", "std", "min",
                  "max", "latest"],
    "pooled": ["model", "metric", "cutoff", "estimand", "coverage", "value", "error_bound",
               "n_companies", "n_undefined", "std", "p50"],
    "comparisons": ["metric", "model_a", "model_b", "estimand", "stratum", "n_companies",
                    "mean_difference", "wins", "ties", "losses"],
    "failures": ["company_id", "cutoff", "model", "status", "reason", "note"],
}  # fmt: skip
"""Columns that each table is shown with; the files have more."""


def print_table(console: Console, name: str, frame: pd.DataFrame, *, limit: int) -> None:
    """Print the first `limit` rows of one of the tables in SHOWN."""
    columns = [column for column in SHOWN[name] if column in frame]
    console.print(frame_table(frame[columns].head(limit)))
    if len(frame) > limit:
        console.print(f"{limit:,} of {len(frame):,} rows; --limit shows more, --model, --metric and "
                      "--company choose among them", style="dim")  # fmt: skip


def overview(evaluations: pd.DataFrame, pooled: pd.DataFrame) -> RenderableType:
    """What came of the evaluations of each model, and the leaderboard."""
    counts = evaluations.groupby(["model", "status"]).size().unstack(fill_value=0)
    board = leaderboard(pooled)
    spread = leaderboard(pooled, value="std")
    within = leaderboard(pooled, "within_company")
    table = _table()
    table.add_column("model", no_wrap=True)
    for heading in LEADERBOARD.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("AUC within", justify="right", no_wrap=True)
    for model in [*board.index, *(m for m in counts.index if m not in board.index)]:
        cells = [
            _number(board[metric].get(model)) if metric in board else "" for metric in LEADERBOARD
        ]
        cells.append(_number(within["roc_auc"].get(model)) if "roc_auc" in within else "")
        table.add_row(model, *cells)
    deviation = ""
    if PRIMARY_SPREAD in spread and spread[PRIMARY_SPREAD].notna().any():
        largest = spread[PRIMARY_SPREAD].max()
        deviation = f"; AUC varies over companies with a standard deviation of up to {largest:.3f}"
    note = Text(
        "each company counts once, on the windows that every model answered" + deviation,
        style="dim",
    )
    coverage = _table()
    coverage.add_column("model", no_wrap=True)
    for status in counts.columns:
        coverage.add_column(status, justify="right")
    for model, row in counts.iterrows():
        coverage.add_row(str(model), *(f"{n:,}" for n in row))
    reasons = evaluations[evaluations["status"] != "ok"].groupby(["status", "reason"]).size()
    parts: list[RenderableType] = [table, note, Text(), coverage]
    if len(reasons):
        told = "; ".join(f"{status} {reason}: {n:,}" for (status, reason), n in reasons.items())
        parts.append(Text(told, style="dim"))
    return Group(*parts)


PRIMARY_SPREAD = "roc_auc"


def plan_table(windows: pd.DataFrame, *, limit: int) -> RenderableType:
    """Which windows each company uses and which it refuses, and why."""
    table = _table()
    for heading in ("company", "windows used", "refused", "why"):
        table.add_column(heading, overflow="fold")
    groups = windows.groupby("company_id", sort=True)
    for company, rows in list(groups)[:limit]:
        used = rows.loc[rows["status"] == "planned", "cutoff"]
        refused = rows[rows["status"] != "planned"]
        span = ""
        if len(used):
            span = f"{len(used)}: {used.min():%Y-%m-%d}"
            span += f" to {used.max():%Y-%m-%d}" if len(used) > 1 else ""
        why = "; ".join(
            (f"{row.cutoff:%Y-%m-%d} " if row.cutoff is not pd.NaT else "")
            + row.reason + (f" ({row.note})" if row.note else "")
            for row in refused.head(3).itertuples()
        )  # fmt: skip
        table.add_row(str(company), span, str(len(refused) or ""), why)
    told = ""
    if len(groups) > limit:
        reasons = windows[windows["status"] != "planned"]["reason"].value_counts()
        told = f"{limit} of {len(groups):,} companies; refused windows in all: "
        told += ", ".join(f"{reason} {n:,}" for reason, n in reasons.items()) or "none"
    return Group(table, Text(told, style="dim")) if told else table


def frame_table(frame: pd.DataFrame, headings: Sequence[str] | None = None) -> Table:
    """A DataFrame as a table; numbers short and to the right, nulls empty."""
    table = _table()
    for name, heading in zip(frame.columns, headings or frame.columns, strict=True):
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        table.add_column(
            str(heading).replace("_", " "),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric,
        )
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):  # type: ignore[call-overload]
        return ""
    if isinstance(value, pd.Timestamp):
        midnight = value == value.normalize()
        return f"{value:%Y-%m-%d}" if midnight else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _number(value: float | None) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
