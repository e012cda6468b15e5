"""End a command that made a run: write the report, and name the commands that come next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from scale_eval.cli.app import out
from scale_eval.printable import as_typed
from scale_eval.progress_bar import Screen

if TYPE_CHECKING:
    from scale_eval.run import Run


def write_report(run: Run) -> None:
    """Write the report of a run into its directory, and print where it is."""
    with Screen().stage("writing the report"):
        path = run.report()
    out.print(f"Report: {path}", soft_wrap=True)


def print_next_steps(run: Run, place: str) -> None:
    """Print the commands that show more of a run; `place` is its place as it was typed."""
    shown = as_typed(place)
    steps = {
        f"scale-eval show {shown} companies": "each company",
        f"scale-eval show {shown} comparisons": "each pair of models",
    }
    if len(run.failures):
        steps[f"scale-eval show {shown} failures"] = "what failed, and why"
    steps[f"scale-eval report {shown} --out FILE.html"] = "the report elsewhere"
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for command, what in steps.items():
        table.add_row(Text(f"  {command}"), Text(what, style="dim"))
    out.print("\nNext:")
    if max(len(command) for command in steps) + 26 <= out.width:
        out.print(table)
    else:
        for command in steps:
            out.print(f"  {command}", soft_wrap=True)
