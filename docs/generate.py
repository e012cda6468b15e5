"""Write the parts of the reference that are lists in the code: tables, metrics, conventions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import click
import coverage_tables
import pyarrow as pa
from markdown_table import table

from scale_eval.cli.commands import cli
from scale_eval.cli.options import IN_FILES
from scale_eval.evaluation import reasons
from scale_eval.evaluation.schema import EVALUATION_COLUMNS, SCORE_COLUMNS
from scale_eval.metrics import METRICS, Metric
from scale_eval.results import tables as result_tables
from scale_eval.results.tables import TABLES
from scale_eval.storage.columns import Column


def write(folder: Path) -> None:
    """Write each part as a Markdown file that a page includes."""
    folder.mkdir(exist_ok=True)
    for name, make in PARTS.items():
        (folder / f"{name}.md").write_text(make(), encoding="utf-8")


def evaluation_tables() -> str:
    """Return the columns of the tables that evaluations are written to."""
    parts = {"evaluations": EVALUATION_COLUMNS, "scores": SCORE_COLUMNS}
    return "\n".join(f"### {name}\n\n{_columns(columns)}" for name, columns in parts.items())


def run_tables() -> str:
    """Return the result tables: what a row is, and every column."""
    return "\n".join(
        f"### {table.name}\n\n{table.doc}\n\nOne row per ({table.row}).\n\n"
        + _columns(table.columns)
        for table in TABLES.values()
    )


def metrics() -> str:
    """Return the built-in metrics: how each is read, pooled, and when it is undefined."""
    header = ("metric", "in reports", "better", "margin", "estimands", "undefined")
    return table(
        header,
        (
            (
                f"`{m.name}`",
                m.label,
                f"nearer to {m.target:g}" if m.better == "target" else m.better,
                _margin(m),
                ", ".join(m.estimands),
                ", ".join(f"`{reason}`" for reason in m.reasons),
            )
            for m in METRICS.values()
        ),
    )


def _margin(metric: Metric) -> str:
    if metric.relative_margin is None:
        return f"{metric.margin:g}"
    return f"{100 * metric.relative_margin:g} % of the base rate's loss"


def conventions() -> str:
    """Return what `run.json` records of how figures are computed."""
    rows = ((f"`{figure}`", text) for figure, text in result_tables.conventions().items())
    return table(("figure", "convention"), rows)


def reason_table(sentences: dict[str, str]) -> str:
    """Return the reasons of one list with their sentences."""
    return table(("reason", "meaning"), ((f"`{code}`", text) for code, text in sentences.items()))


def commands() -> str:
    """Return each command: what it does, its options, its examples."""
    context = click.Context(cli, info_name="scale-eval")
    return "\n".join(
        _command(click.Context(cli.commands[name], context, info_name=name))
        for name in cli.list_commands(context)
    )


def configuration_keys() -> str:
    """Return the keys of a configuration file: what each may be, and what it does."""
    rows = ((f"`{o.name}`", o.kind.description, o.help) for o in IN_FILES.values())
    return table(("key", "value", "meaning"), rows)


def _command(context: click.Context) -> str:
    command = context.command
    options = (p.get_help_record(context) for p in command.params if isinstance(p, click.Option))
    rows = ((f"`{option[0]}`", option[1]) for option in options if option)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    help_text = inspect.cleandoc(command.help or "")
    text = f"### {context.command_path}\n\n{help_text}\n\n```text\n{usage}\n```\n\n"
    if any(isinstance(parameter, click.Option) for parameter in command.params):
        text += table(("option", "meaning"), rows)
    if examples := getattr(command, "examples", ""):
        text += f"\n```bash\n{examples.strip()}\n```\n"
    return text


PARTS: dict[str, Callable[[], str]] = {
    "evaluation_tables": evaluation_tables,
    "run_tables": run_tables,
    "commands": commands,
    "configuration_keys": configuration_keys,
    "metrics": metrics,
    "conventions": conventions,
    "evaluation_reasons": partial(reason_table, reasons.EVALUATIONS),
    "conditions": partial(reason_table, reasons.CONDITIONS),
    "figure_reasons": partial(reason_table, reasons.FIGURES),
    "row_reasons": partial(reason_table, reasons.ROWS),
    "coverage_intervals": coverage_tables.intervals,
    "coverage_half_years": coverage_tables.half_years,
    "coverage_shortfalls": coverage_tables.shortfalls,
    "coverage_probabilities": coverage_tables.probabilities,
    "coverage_samples": coverage_tables.samples,
    "coverage_others": coverage_tables.others,
}
"""The files that are written, by name, and what writes each."""


def _columns(columns: Iterable[Column]) -> str:
    rows = (
        (f"`{c.name}`", _kind(c.type), f"{c.doc} Null: {c.null}." if c.null else c.doc)
        for c in columns
    )
    return table(("column", "type", "meaning"), rows)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} x {_kind(kind.value_type)}"
    names = {"timestamp[us, tz=UTC]": "timestamp (UTC)", "double": "float64", "float": "float32"}
    return names.get(str(kind), str(kind))
