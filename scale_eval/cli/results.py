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
    from scale_eval.report.terminal import print_columns

    opened = se.open_run(run)
    if table is None:
        print_results(opened)
    elif columns:
        print_columns(out, table)
    else:
        if table in TABLES and (removed := opened.directory.removed()):
            say(f"Note: {removed}")
        print_rows(opened, table, filters, limit, form)


def print_rows(
    run: Run, table: str, filters: Mapping[str, str | None], limit: int | None, form: str | None
) -> None:
    """Print the rows of a table that all filters choose, or write them in a format."""
    from scale_eval.report.export import WRITERS
    from scale_eval.report.table_rows import (
        LARGE,
        all_rows,
        chosen,
        first_rows,
        frame_where,
        with_whole_numbers,
    )
    from scale_eval.report.terminal import SHOWN as COLUMNS
    from scale_eval.report.terminal import is_by_model, print_table

    directory, whole = run.directory, None
    models = run.findings.models if is_by_model(table) and form is None else ()
    if table in LARGE:
        columns = directory.schema.names if table == "evaluations" else TABLES[table].schema.names
        where = chosen(directory, table, columns, filters)
        if form is None or limit is not None:
            shown = columns if form else COLUMNS[table]
            whole = first_rows(directory, table, where, shown, models, limit or LISTED_ROWS)
            n, frames = whole.n, iter([whole.frame])
        else:
            n, frames = (
                directory.arrow(table, ["model"], where).num_rows,
                all_rows(directory, table, where),
            )
    else:
        frame = getattr(run, table)
        where = chosen(directory, table, frame.columns, filters)
        frame = frame_where(frame, where)
        n, frames = len(frame), iter([frame.head(limit or len(frame)) if form else frame])
    if not n and where and table != "failures":
        kind, name = next((kind, name) for kind, name in filters.items() if name is not None)
        raise ValueError(f"the table {table} has no rows of the {kind} {name!r}")
    if form is not None:
        numbers = (with_whole_numbers(directory, table, each) for each in frames)
        WRITERS[form](numbers, cast(TextIO, SafeFile(sys.stdout)))
    elif not n:
        out.print("None.")
    else:
        better = run.findings.better if table == "comparisons" else None
        rows, most = next(frames), limit or LISTED_ROWS
        print_table(out, table, rows, limit=most, better=better, models=models, whole=whole)


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
    from scale_eval.evaluation.schema import FAILED
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
    statuses = run.findings.statuses
    if n_failed := int(statuses.loc[statuses["status"].isin(FAILED), "n"].sum()):
        out.print(
            f"{_evaluations(n_failed)} failed: scale-eval show {as_typed(str(run.path))} failures",
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
