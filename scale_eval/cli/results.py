"""Commands that show a run: show, report and fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

import scale_eval as se
from scale_eval.cli.app import CommandWithExamples, cli, out
from scale_eval.results.tables import TABLES

if TYPE_CHECKING:
    from scale_eval.run import Run

SHOWN = ("evaluations", *TABLES, "failures")
"""The tables that can be shown."""


@cli.command(
    cls=CommandWithExamples,
    examples="""
    scale-eval show runs/first
    scale-eval show runs/first failures
    scale-eval show runs/first pooled --metric roc_auc --model bgnbd
    """,
)
@click.argument("run", metavar="RUN")
@click.argument("table", type=click.Choice(SHOWN), required=False)
@click.option("--model", help="Rows of this model only.")
@click.option("--metric", help="Rows of this metric only.")
@click.option("--company", help="Rows of this company only.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to show."
)
@click.option("--columns", is_flag=True, help="Explain the columns of the table instead.")
def show(
    run: str,
    table: str | None,
    model: str | None,
    metric: str | None,
    company: str | None,
    limit: int,
    columns: bool,
) -> None:
    """Show the results of a run, or one of its tables."""
    from scale_eval.report.terminal import print_columns, print_table, short_names_in

    if table is None and (model or metric or company or columns):
        raise click.UsageError(
            "--model, --metric, --company and --columns are for a table: name one of "
            f"{', '.join(SHOWN)}"
        )
    opened = se.open_run(run)
    if table is None:
        print_results(opened)
        return
    if columns:
        print_columns(out, table)
        return
    frame = getattr(opened, table)
    chosen = {"model": model, "metric": metric, "company_id": company}
    for column, value in chosen.items():
        if value is not None:
            matching = [c for c in (column, f"{column}_a", f"{column}_b") if c in frame]
            if not matching:
                raise click.UsageError(f"the table {table} has no {column}")
            if column == "model":
                whole = {name: model for model, name in short_names_in(frame).items()}
                value = whole.get(value, value)
            frame = frame[(frame[matching] == value).any(axis=1)]
    if frame.empty:
        out.print("No such rows." if any(chosen.values()) else "None.")
    else:
        print_table(out, table, frame, limit=limit)


@cli.command(
    cls=CommandWithExamples,
    examples="""
    scale-eval report runs/first
    scale-eval report runs/first --out first.html
    """,
)
@click.argument("run", metavar="RUN")
@click.option(
    "--out",
    "path",
    metavar="FILE.html",
    type=click.Path(dir_okay=False),
    help="Default: report.html in the run's directory.",
)
def report(run: str, path: str | None) -> None:
    """Write the report of a run: its verdict and the evidence.

    The report is one self-contained HTML page; open it in a browser, or send it.
    """
    out.print(f"Report: {se.open_run(run).report(path)}", soft_wrap=True)


@cli.command()
@click.argument("run", metavar="RUN")
def fingerprint(run: str) -> None:
    """Print a hash of a run's results.

    Two runs with the same results, bit for bit, have the same hash.
    """
    print(se.open_run(run).fingerprint())


def print_results(run: Run) -> None:
    """Print the leaderboard of a run, its verdict, and what went wrong."""
    from scale_eval.report.overview import overview, verdict_lines

    out.print(overview(run.findings, out.width))
    out.print()
    out.print(verdict_lines(run.verdict, out.width))
    raised = run.evaluations["undefined"].dropna().str.extractall(r"([^;]+:exception:[^;]+)")
    for error, n in raised[0].value_counts().head(3).items() if len(raised) else ():
        out.print(Text(f"{error} (a metric, in {n:,} evaluations)"))
    missing = run.document["n_missing"]
    if run.document["status"] == "running":
        out.print("The run is under way or was cut short: these tables are of its state before.")
    if missing:
        out.print(f"{missing:,} evaluations have not been done: run the same command again.")
    if len(run.failures):
        out.print(
            f"{len(run.failures):,} evaluations failed: scale-eval show {run.path} failures",
            soft_wrap=True,
        )
    out.print(f"\nTables: {run.path}", soft_wrap=True)
