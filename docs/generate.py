"""Write the parts of the reference that are lists in the code: tables, metrics, conventions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click
import pyarrow as pa

import scale_eval.cli
from scale_eval.evaluation import schema
from scale_eval.metrics import METRICS
from scale_eval.results import reduce as reduction
from scale_eval.results import tables as result_tables


def write(folder: Path) -> None:
    """Write each part as a Markdown file that a page includes."""
    folder.mkdir(exist_ok=True)
    for name, make in PARTS.items():
        (folder / f"{name}.md").write_text(make(), encoding="utf-8")


def evaluation_tables() -> str:
    """Return the columns of the tables that evaluations are written to."""
    parts = {
        "evaluations": _columns_of(schema, "EVALUATION_COLUMNS", schema.evaluations_schema()),
        "scores": _columns_of(schema, "SCORE_COLUMNS", schema.SCORES_SCHEMA),
    }
    return "\n".join(f"### {name}\n\n{text}" for name, text in parts.items())


def run_tables() -> str:
    """Return the result tables: what a row is, and every column."""
    if not hasattr(result_tables, "TABLES"):
        return _unregistered()
    return "\n".join(
        f"### {table.name}\n\n{table.doc}\n\nOne row per ({table.row}).\n\n"
        + _columns(table.columns)
        for table in result_tables.TABLES.values()
    )


def metrics() -> str:
    """Return the built-in metrics: which way is better, and the default margin."""
    return _table(
        ("metric", "better", "default margin"),
        (
            (
                f"`{m.name}`",
                f"nearer to {m.target:g}" if m.better == "target" else m.better,
                f"{m.margin:g}",
            )
            for m in METRICS.values()
        ),
    )


def conventions() -> str:
    """Return what `run.json` records of how figures are computed."""
    said = getattr(reduction, "CONVENTIONS", None) or result_tables.conventions()
    return _table(("figure", "convention"), ((f"`{k}`", v) for k, v in said.items()))


def commands() -> str:
    """Return each command: what it does, its options, its examples."""
    group = _command_group()
    context = click.Context(group, info_name="scale-eval")
    return "\n".join(
        _command(click.Context(group.commands[name], context, info_name=name))
        for name in group.list_commands(context)
    )


def _command_group() -> click.Group:
    """The group of all commands, in whichever module of `scale_eval.cli` it is."""
    for module in iter_modules(scale_eval.cli.__path__, "scale_eval.cli."):
        if module.name.endswith("__main__"):  # importing it runs the command line
            continue
        for value in vars(import_module(module.name)).values():
            if isinstance(value, click.Group):
                return value
    raise LookupError("no module of scale_eval.cli has a click.Group")


def _command(context: click.Context) -> str:
    command = context.command
    options = (p.get_help_record(context) for p in command.params if isinstance(p, click.Option))
    rows = ((f"`{option[0]}`", option[1]) for option in options if option)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    said = inspect.cleandoc(command.help or "")
    text = f"### {context.command_path}\n\n{said}\n\n```text\n{usage}\n```\n\n"
    if any(isinstance(parameter, click.Option) for parameter in command.params):
        text += _table(("option", "meaning"), rows)
    if examples := getattr(command, "examples", ""):
        text += f"\n```bash\n{examples.strip()}\n```\n"
    return text


PARTS: dict[str, Callable[[], str]] = {
    "evaluation_tables": evaluation_tables,
    "run_tables": run_tables,
    "commands": commands,
    "metrics": metrics,
    "conventions": conventions,
}
"""The files that are written, by name, and what writes each."""


def _columns(columns: Iterable) -> str:
    rows = (
        (f"`{c.name}`", _kind(c.type), f"{c.doc} Null: {c.null}." if c.null else c.doc)
        for c in columns
    )
    return _table(("column", "type", "meaning"), rows)


def _columns_of(module: object, name: str, fields: pa.Schema) -> str:
    """The documented columns where the module has them, else names and types."""
    columns = getattr(module, name, None)
    if columns is not None:
        return _columns(columns)
    return _table(("column", "type"), ((f"`{f.name}`", _kind(f.type)) for f in fields))


def _unregistered() -> str:
    """The names and types of the result tables' columns, where no registry documents them."""
    from scale_eval.results.tables import (
        companies,
        comparisons,
        finite_population,
        periods,
        pooled,
        reliability,
        spread,
    )

    schemas = {
        "companies": companies.COMPANIES_SCHEMA,
        "pooled": pooled.POOLED_SCHEMA,
        "comparisons": comparisons.COMPARISONS_SCHEMA,
        "reliability": reliability.RELIABILITY_SCHEMA,
        "decompositions": reliability.DECOMPOSITIONS_SCHEMA,
        "spread": spread.SPREAD_SCHEMA,
        "periods": periods.PERIODS_SCHEMA,
        "sampled": finite_population.SAMPLED_SCHEMA,
    }
    return "\n".join(
        f"### {name}\n\n{_columns_of(None, name, fields)}" for name, fields in schemas.items()
    )


def _kind(kind: pa.DataType) -> str:
    return {"timestamp[us, tz=UTC]": "timestamp (UTC)", "double": "float64"}.get(
        str(kind), str(kind)
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = tuple(header)
    lines = [header, ("---",) * len(header), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines
    )
