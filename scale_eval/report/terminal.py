"""Tables of a run, a plan and an ingest that fit a terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from scale_eval.planning.plan import Plan
from scale_eval.planning.run_estimate import RunEstimate
from scale_eval.report.findings import Findings
from scale_eval.report.wording import number, span

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
    "companies": [
        "company_id",
        "model",
        "metric",
        "n_customers",
        "n_defined",
        "mean",
        "std_error",
        "std",
        "shrunk",
    ],
    "pooled": [
        "metric",
        "model",
        "estimand",
        "coverage",
        "cutoff",
        "value",
        "ci_low",
        "ci_high",
        "n_effective",
        "reason",
    ],
    "comparisons": [
        "metric",
        "model_a",
        "model_b",
        "estimand",
        "stratum",
        "mean_difference",
        "ci_low",
        "ci_high",
        "wins",
        "losses",
    ],
    "sampled": [
        "metric",
        "model",
        "model_b",
        "estimand",
        "coverage",
        "figure",
        "value",
        "ci_low",
        "ci_high",
        "n_sampled",
        "n_population",
    ],
    "reliability": ["model", "probability", "recalibrated", "ci_low", "ci_high", "n_customers"],
    "decompositions": ["model", "loss", "value", "miscalibration", "discrimination", "uncertainty"],
    "spread": [
        "model",
        "metric",
        "scale",
        "n_cutoffs",
        "company_sd",
        "cutoff_sd",
        "residual_sd",
        "noise_sd",
        "reason",
    ],
    "periods": [
        "cutoff",
        "companies",
        "model",
        "n_companies",
        "observed_rate",
        "share_lapsed",
        "log_loss",
        "roc_auc",
        "drift",
    ],
    "failures": ["company_id", "cutoff", "model", "status", "reason", "note"],
}
"""Columns that each table is shown with; the files have more."""


def print_table(console: Console, name: str, frame: pd.DataFrame, *, limit: int) -> None:
    """Print the first `limit` rows of one of the tables in SHOWN.

    Of `pooled` and `comparisons` what is common to all and over all cutoffs comes first. A column
    that says the same in every row shown stands above the table instead.
    """
    if name == "pooled":
        own, one_cutoff = frame["coverage"] == "own", frame["cutoff"].notna()
        frame = frame.iloc[np.lexsort([own, one_cutoff])]
    if name == "comparisons":
        frame = frame.iloc[np.argsort(frame["stratum"] != "all", kind="stable")]
    shown = frame[SHOWN[name]].head(limit)
    if "cutoff" in shown and name == "pooled":
        shown = shown.assign(cutoff=[_cell(c) or "all" for c in shown["cutoff"]])
    repeated = [c for c in shown if len(shown) > 1 and shown[c].nunique(dropna=False) == 1]
    said = [f"{c} {_cell(shown[c].iloc[0])}" for c in repeated if _cell(shown[c].iloc[0])]
    if said:
        console.print(Text(", ".join(said), style="dim"))
    console.print(frame_table(shown.drop(columns=repeated)))
    if len(frame) > limit:
        console.print(
            f"{limit:,} of {len(frame):,} rows; --limit shows more, --model, --metric and "
            "--company choose among them",
            style="dim",
        )


def overview(findings: Findings) -> RenderableType:
    """The leaderboard with its intervals, and what came of the evaluations of each model."""
    counts = findings.statuses.pivot_table(
        index="model", columns="status", values="n", aggfunc="sum", fill_value=0
    )
    models = [*findings.models, *(m for m in counts.index if m not in findings.models)]
    board = pd.DataFrame(
        {
            "model": models,
            "log loss": [_told(findings, "log_loss", m) for m in models],
            "skill": [_told(findings, "log_loss_skill", m) for m in models],
            "AUC": [_told(findings, "roc_auc", m) for m in models],
            "AUC next\ncompany": [_told(findings, "roc_auc", m, "prediction") for m in models],
            "O:E": [_told(findings, "observed_expected_ratio", m, decimals=2) for m in models],
        }
    )
    board = board.loc[:, [c for c in board if (board[c] != "").any()]]
    parts: list[RenderableType] = [
        frame_table(board),
        Text(
            f"Each of {findings.n_companies:,} companies counts once, on the windows that every "
            "model answered; below a figure its 95 % interval over companies.",
            style="dim",
        ),
        Text(),
        frame_table(counts.reset_index()),
    ]
    others = findings.statuses[findings.statuses["status"] != "ok"]
    reasons = others.groupby(["status", "reason"])["n"].sum()
    if len(reasons):
        told = "; ".join(f"{status} {reason}: {n:,}" for (status, reason), n in reasons.items())
        parts.append(Text(told, style="dim"))
    return Group(*parts)


def _told(
    findings: Findings,
    metric: str,
    model: str,
    interval: str = "ci",
    estimand: str = "equal_company",
    *,
    decimals: int = 3,
) -> str:
    """A figure with an interval below it; of a prediction the interval alone."""
    row = findings.figure(metric, model, estimand)
    step = 10.0**-decimals
    lines = (
        [] if interval == "prediction" or pd.isna(row["value"]) else [number(row["value"], step)]
    )
    if interval and not pd.isna(row[f"{interval}_low"]):
        lines.append(span(row[f"{interval}_low"], row[f"{interval}_high"], 0.01))
    return "\n".join(lines)


def plan_table(plan: Plan, *, limit: int) -> RenderableType:
    """Which windows each company uses and which it refuses, and why."""
    table = _table()
    for heading in ("company", "windows used", "refused", "why"):
        table.add_column(heading, overflow="fold")
    for company, rows in plan.frame(limit).groupby("company_id", sort=True):
        used = rows.loc[rows["status"] == "planned", "cutoff"]
        refused = rows[rows["status"] != "planned"]
        span = ""
        if len(used):
            span = f"{len(used)}: {used.min():%Y-%m-%d}"
            span += f" to {used.max():%Y-%m-%d}" if len(used) > 1 else ""
        why = "; ".join(
            (f"{row.cutoff:%Y-%m-%d} " if row.cutoff is not pd.NaT else "")
            + row.reason
            + (f" ({row.note})" if row.note else "")
            for row in refused.head(3).itertuples()
        )
        table.add_row(*map(Text, (str(company), span, str(len(refused) or ""), why)))
    if len(plan.company_ids) <= limit:
        return table
    told = f"{limit} of {len(plan.company_ids):,} companies; refused windows in all: "
    counts = sorted(plan.refusals().items(), key=lambda item: (-item[1], item[0]))
    told += ", ".join(f"{reason} {n:,}" for reason, n in counts) or "none"
    return Group(table, Text(told, style="dim"))


def print_estimate(console: Console, told: RunEstimate, workers: int, price: float | None) -> None:
    """What a run would take, in a few lines."""
    hours = told.core_hours
    lines = [
        ("tasks", f"{told.n_tasks:,}, one for each {told.granularity}"),
        ("core time", f"{_duration(hours * 3600)} in all"),
        (
            "wall time",
            f"about {_duration(told.wall_seconds)} on {workers} workers, tables included"
            f"; the longest task takes {_duration(told.longest_seconds)}",
        ),
        ("memory", f"about {told.worker_gb:.1f} GB a worker"),
        ("to read", f"{told.read_gb:.3g} GB"),
    ]
    if price is not None:
        lines.append(("cost", f"{hours * price:,.2f} at {price:g} a core-hour"))
    table = _table()
    table.show_header = False
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
    if not told.timed:
        console.print("Times of models that were not tried are guesses.", style="dim")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def frame_table(frame: pd.DataFrame, *, decimals: int | None = None) -> Table:
    """A DataFrame as a table that fits: numbers short and whole, text folded, nulls empty."""
    table = _table()
    cells = {name: [_cell(value, decimals) for value in frame[name]] for name in frame}
    for name in cells:
        heading = str(name).replace("_", " ")
        if pd.api.types.is_numeric_dtype(frame[name]):
            table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
        else:
            whole = name == "model" or pd.api.types.is_datetime64_any_dtype(frame[name])
            whole |= any(" to " in cell for cell in cells[name])
            longest = max(map(len, cells[name]), default=0)
            table.add_column(heading, overflow="fold", no_wrap=whole, min_width=min(longest, 6))
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, row))  # names may look like markup
    return table


def _cell(value: object, decimals: int | None = None) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, pd.Timestamp):
        midnight = value == value.normalize()
        return f"{value:%Y-%m-%d}" if midnight else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float) and decimals is not None:
        return f"{value:.{decimals}f}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) or abs(value) >= 1e5 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
