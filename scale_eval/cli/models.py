"""Commands about models and metrics: models, metrics and check-model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from scale_eval.cli.app import OK, USAGE, cli, err, find_own_modules, out
from scale_eval.cli.options import group_options
from scale_eval.models.built_in import BASELINES, BUILT_IN, DEFAULT_MODELS, WHY_NOT_COMPILED
from scale_eval.places import require_dataset
from scale_eval.planning.settings import Settings
from scale_eval.progress_bar import COMPILING, Screen

SETTINGS = ("cutoffs", "horizon", "observed_until", "observed", "purchase_rule", "lookback", "seed")
"""The settings of `check-model`."""

if TYPE_CHECKING:
    from scale_eval.check_model import Check, ModelCheck
    from scale_eval.metrics import Metric


@cli.command(name="models")
def list_models() -> None:
    """List the models that come with the package."""
    from scale_eval.report.frame_table import plain_table

    table = plain_table()
    table.add_column("model", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("run", no_wrap=True)
    for name, make in BUILT_IN.items():
        when = "always" if name in BASELINES else "by default" if name in DEFAULT_MODELS else ""
        what = _what(make)
        table.add_row(name, Text(what[:1].upper() + what[1:]), when)
    out.print(table)
    out.print("\nAll are compiled for many companies at once, but for", style="dim")
    for name, why in WHY_NOT_COMPILED.items():
        out.print(f"  {name}: {why}", style="dim")
    out.print(
        "\nOne of yours: --model package.module:Class. Predictions made elsewhere: --model "
        "predictions:FILE.parquet.",
        style="dim",
    )


@cli.command(name="metrics")
def list_metrics() -> None:
    """List the metrics that are computed.

    What each is, its direction and its range.
    """
    from scale_eval.metrics import METRICS
    from scale_eval.report.frame_table import plain_table

    table = plain_table()
    for heading in ("metric", "better", "range"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for metric in METRICS.values():
        what = f"{metric.label}: {_what(metric.function)}"
        table.add_row(*map(Text, (metric.name, _direction(metric), _range(metric), what)))
    out.print(table)
    out.print(
        "\nEach of these names is accepted by --metric of 'show'. One of yours, in a run: --metric "
        "package.module:function.",
        style="dim",
    )


@cli.command(
    name="check-model",
    examples="""
    scale-eval check-model my_models:SmoothedRecency datasets/shops
    scale-eval check-model my_models:Mine datasets/shops --company Shop2
    """,
)
@click.argument("model")
@click.argument("dataset")
@click.option("--company", help="The company to try it on. Default: one of middle size.")
@group_options(Settings, *SETTINGS)
def check_model_command(model: str, dataset: str, company: str | None, **options: Any) -> None:
    """Check a model on one company.

    It is fitted at the company's latest cutoff, as in a run, and what it raises is shown with its
    whole traceback. Its contract is checked: one probability in [0, 1] for each customer, the same
    again with the same random state, an unchanged history, few customers. The exit code is 2 where
    a check fails.
    """
    require_dataset(dataset)
    find_own_modules(model)
    from scale_eval.check_model import check_model
    from scale_eval.models.warm_up import compilation_reported

    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        with (
            Screen().stage("checking the model") as stage,
            compilation_reported(lambda: stage.rename(COMPILING)),
        ):
            checked = check_model(model, dataset, company=company, settings=Settings(**given))
    except ValueError as error:
        if error.__cause__ is not None and error.__cause__.__traceback__ is not None:
            from scale_eval.check_model import trace_of

            err.print(Text(trace_of(error.__cause__)), soft_wrap=True)
        raise
    _print_checks(checked)
    sys.exit(OK if checked.passed else USAGE)


def _print_checks(checked: ModelCheck) -> None:
    from scale_eval.report.wording import count

    customers = count(checked.n_customers, "customer")
    out.print(
        Text(
            f"{checked.model} at {checked.company_id}: {customers}, who buys from "
            f"{checked.cutoff:%Y-%m-%d} to {checked.horizon_end:%Y-%m-%d}\n"
        )
    )
    for check in checked.checks:
        _print_check(check)
    if checked.summary:
        from scale_eval.report.frame_table import plain_table

        table = plain_table()
        table.show_header = False
        for name, words in checked.summary.items():
            table.add_row(Text(name), Text(words))
        out.print()
        out.print(table)
    failed = sum(bool(check.problem) for check in checked.checks)
    rules = f"{len(checked.checks)} rules"
    out.print(f"\n{failed} of {rules} are broken." if failed else f"\nAll {rules} are kept.")


def _print_check(check: Check) -> None:
    """Print a line for a rule, and what the model raised."""
    mark = Text("FAILED ", style="bold red") if check.problem else Text("ok     ", style="green")
    details = f": {check.problem or check.note}" if check.problem or check.note else ""
    out.print(mark + Text(f"{check.rule}{details}", style=""), soft_wrap=False)
    if check.trace:
        out.print()
        out.print(Text(check.trace), soft_wrap=True)


def _direction(metric: Metric) -> str:
    return metric.better if metric.target is None else f"nearer to {metric.target:g}"


def _range(metric: Metric) -> str:
    low, high = (f"{bound:g}".replace("inf", "∞") for bound in (metric.low, metric.high))
    return f"{low} to {high}"


def _what(thing: Any) -> str:
    """Return what a docstring's first sentence says that a thing is, or that it returns."""
    sentence = " ".join((thing.__doc__ or "").partition("\n\n")[0].split())
    return sentence.removeprefix("Return ").replace("``", "").replace("`", "")
