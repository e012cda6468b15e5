"""Commands that show a run: show, report and fingerprint."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from rich.text import Text

import scale_eval as se
from scale_eval.cli.app import cli, out, say
from scale_eval.cli.safe_console import SafeFile
from scale_eval.models.built_in import BASELINES, BUILT_IN
from scale_eval.place_errors import NOT_TO_BE_WRITTEN
from scale_eval.places import require_run
from scale_eval.printable import as_typed
from scale_eval.results.tables import TABLES

if TYPE_CHECKING:
    from scale_eval.run import Run

SHOWN = ("evaluations", *TABLES, "failures")
"""The tables that can be shown."""

FORMATS = ("csv", "json", "markdown")
"""The formats in which a table can be written, those of `scale_eval.report.export`."""

LISTED_ROWS = 20
"""Number of rows that are shown by default."""


@cli.command(
    examples="""
    scale-eval show runs/first
    scale-eval show runs/first failures
    scale-eval show runs/first pooled --metric AUC --model bgnbd
    scale-eval show runs/first companies --format csv > companies.csv
    """,
)
@click.argument("run", metavar="RUN")
@click.argument("table", type=click.Choice(SHOWN), required=False)
@click.option("--model", help="Rows of this model only.")
@click.option("--metric", help="Rows of this metric only, by its name or label, such as AUC.")
@click.option("--company", help="Rows of this company only.")
@click.option("--limit", type=click.IntRange(min=1), help="Rows to show. Default: 20.")
@click.option("--columns", is_flag=True, help="Explain the columns of the table instead.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Write all rows and columns in full, for a program, and nothing else.",
)
def show(
    run: str,
    table: str | None,
    limit: int | None,
    columns: bool,
    form: str | None,
    **filters: str | None,
) -> None:
    """Show the results of a run, or one of its tables."""
    if table is None and (columns or form or any(filters.values())):
        raise click.UsageError(
            "--model, --metric, --company, --columns and --format are for a table: name one of "
            f"{', '.join(SHOWN)}"
        )
    require_run(run)
    from scale_eval.report.export import WRITERS
    from scale_eval.report.table_rows import chosen_rows, with_whole_numbers
    from scale_eval.report.terminal import is_by_model, print_columns, print_table

    opened = se.open_run(run)
    if table is None:
        print_results(opened)
    elif columns:
        print_columns(out, table)
    else:
        if table in TABLES and (removed := opened.directory.removed()):
            say(f"Note: {removed}")
        frame = chosen_rows(opened.directory, table, getattr(opened, table), filters)
        if form is not None:
            frame = with_whole_numbers(opened.directory, table, frame)
            WRITERS[form](frame.head(limit or len(frame)), cast(TextIO, SafeFile(sys.stdout)))
        elif frame.empty:
            out.print("None.")
        else:
            better = opened.findings.better if table == "comparisons" else None
            models = opened.findings.models if is_by_model(table) else ()
            print_table(out, table, frame, limit=limit or LISTED_ROWS, better=better, models=models)


@cli.command(
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
    require_run(run)
    try:
        written = se.open_run(run).report(path)
    except OSError as error:
        if path is not None or error.errno not in NOT_TO_BE_WRITTEN:
            raise
        raise click.ClickException(
            f"the report cannot be written into {run} ({os.strerror(error.errno).lower()}). Name "
            "another place for it: --out FILE.html"
        ) from error
    out.print(f"Report: {written}", soft_wrap=True)


@cli.command()
@click.argument("run", metavar="RUN")
def fingerprint(run: str) -> None:
    """Print a hash of a run's results.

    Two runs with the same results, bit for bit, have the same hash.
    """
    require_run(run)
    out.print(se.open_run(run).fingerprint(), soft_wrap=True)


def print_results(run: Run, called: Collection[str] | None = None) -> None:
    """Print the leaderboard of a run, its verdict, and what went wrong.

    `called` names the models that the command evaluated, where it is one that evaluates.
    """
    from scale_eval.report.overview import overview, verdict_lines

    out.print(overview(run.findings, out.width))
    out.print()
    out.print(verdict_lines(run.verdict, out.width))
    for broken in run.broken_metrics:
        out.print(Text(str(broken)))
    if run.document["status"] == "running":
        out.print("The run is under way or was cut short: these tables are of its state before.")
    if run.document["n_missing"]:
        out.print(Text(what_is_missing(run.document, called)), soft_wrap=True)
    if len(run.failures):
        out.print(
            f"{_evaluations(len(run.failures))} failed: scale-eval show {as_typed(str(run.path))} "
            "failures",
            soft_wrap=True,
        )
    out.print(f"\nTables: {run.path}", soft_wrap=True)


def what_is_missing(document: Mapping[str, Any], called: Collection[str] | None = None) -> str:
    """Return what of a run has not been done, and what to do, as a sentence.

    Parameters
    ----------
    document : dict
        The record of the run, or of a share of it.
    called : collection of str, optional
        The models that the command evaluated, where it is one that evaluates.
    """
    from scale_eval.report.wording import listed

    n = document["n_missing"]
    said = f"{_evaluations(n)} {'has' if n == 1 else 'have'} not been done"
    by_model = document.get("missing_by_model", {})
    # The base rate and recency are always evaluated.
    others = [m for m in by_model if m not in (called or ()) and m not in BASELINES]
    if called is not None and not others:
        return f"{said}: run the same command again."
    if not others:
        return f"{said}: run the command that began the run again."
    counted = listed([f"{model} ({by_model[model]:,})" for model in others], most=None)
    options = [f"--model {as_typed(m)}" for m in others if m in BUILT_IN or ":" in m]
    added = " ".join(options) if len(options) == len(others) else "each of them by --model"
    if called is None:
        return f"{said}, of {counted}: run the command that began the run again, with {added}."
    which = "it" if len(others) == 1 else "them"
    return (
        f"{said}, of {counted}: the run was begun with {which}, and this command did not name "
        f"{which}. Add {added}."
    )


def _evaluations(n: int) -> str:
    return f"{n:,} evaluation{'' if n == 1 else 's'}"
