"""Commands that make a run: demo, run, plan and reduce."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

import scale_eval as se
from scale_eval import children
from scale_eval.cli import interruptions
from scale_eval.cli.app import (
    FAILED_ROWS,
    LISTED_COMPANIES,
    UNFINISHED,
    cli,
    find_own_modules,
    out,
)
from scale_eval.cli.next_steps import print_next_steps, write_report
from scale_eval.cli.options import (
    FiniteRange,
    config_option,
    group_options,
    models_option,
    with_config,
)
from scale_eval.cli.results import print_results, what_is_missing
from scale_eval.places import require_dataset, require_run
from scale_eval.planning.run_options import Execution, Reduction, Sampling
from scale_eval.planning.settings import Settings
from scale_eval.printable import as_typed
from scale_eval.progress_bar import COMPILING, COMPILING_TABLES, TABLES, Screen

if TYPE_CHECKING:
    from scale_eval.preview_run import Preview
    from scale_eval.run import Run


@cli.command(examples="scale-eval demo\nscale-eval demo --out /tmp/demo")
@click.option("--out", "place", default="runs/demo", show_default=True, help="Where the run goes.")
@group_options(Execution, "workers", "cluster")
def demo(place: str, **options: Any) -> None:
    """Evaluate four models on synthetic companies."""
    out.print("Three synthetic companies, four models, every half-year that was observed whole.\n")
    _start_early(options)
    _run(se.demo_dataset(), place, strict=False, **with_config(None, options))
    out.print("  scale-eval ingest --help", "  your own data", sep="")


@cli.command(
    examples="""
    scale-eval run datasets/shops --out runs/first
    scale-eval run datasets/shops --out runs/december --cutoff 2017-12-01
    scale-eval run datasets/shops --out runs/first --model my_models:MyModel
    scale-eval run datasets/shops --out runs/first --cluster scheduler.json
    scale-eval run datasets/shops --out runs/first --share 2/8
    """,
)
@click.argument("dataset")
@click.option("--out", "place", required=True, metavar="RUN", help="The run's directory.")
@models_option
@group_options(Settings)
@group_options(Sampling)
@group_options(Execution)
@group_options(Reduction)
@config_option
@click.option("--strict", is_flag=True, help="Exit with 1 if an evaluation or a metric failed.")
def run(dataset: str, place: str, config: str | None, strict: bool, **options: Any) -> None:
    """Evaluate models on every company.

    It ends with the verdict and a report. Running it again on the same directory finishes what is
    missing, and adds models.
    """
    require_dataset(dataset)
    given = with_config(config, options)
    _start_early(given)
    _run(se.open_dataset(dataset), place, strict=strict, **given)


@cli.command(
    examples="""
    scale-eval plan datasets/shops --every '1 month' --last 12
    scale-eval plan datasets/many --workers 64 --price 0.04
    scale-eval plan datasets/many --power runs/pilot
    """,
)
@click.argument("dataset")
@models_option
@group_options(Settings)
@group_options(Sampling, "sample")
@group_options(Execution, "workers")
@config_option
@click.option(
    "--price",
    type=FiniteRange(min=0),
    metavar="P",
    help="The price of a core-hour, in your currency.",
)
@click.option(
    "--power",
    metavar="RUN",
    help="Say how probably this run settles which model is better, by a finished run, such as one "
    "of --sample 100.",
)
@click.option("--guess", is_flag=True, help="Do not time the models on a few companies first.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=LISTED_COMPANIES,
    show_default=True,
    help="Companies to list.",
)
def plan(
    dataset: str,
    config: str | None,
    price: float | None,
    power: str | None,
    guess: bool,
    limit: int,
    **options: Any,
) -> None:
    """Say what a run would do and refuse, and what it would cost.

    The cost is in time, memory and, with --price, money. Models are first timed on a few companies
    of all sizes, in a separate process. With --power, it also says how many companies are needed.
    """
    require_dataset(dataset)
    from scale_eval.report.terminal import plan_table, power_table, print_estimate

    given = with_config(config, options)
    find_own_modules(*given.get("models", ()), *given.get("metrics", ()))
    preview = se.preview(dataset, power=power, **given)
    planned = preview.plan
    out.print(plan_table(planned, limit=limit))
    out.print(
        f"\n{planned.n_planned:,} evaluations of {len(preview.models)} models "
        f"({', '.join(preview.models)}); {planned.n_refused:,} refused."
    )
    if not planned.n_planned:
        from scale_eval.planning.no_window import why_no_window

        why = why_no_window(preview.dataset, preview.settings)
        out.print(Text(f"{why[:1].upper()}{why[1:]}."))
    if preview.power is not None:
        out.print(power_table(preview.power, str(power)))
    with Screen(shown=not guess).stage("timing the models on a few companies") as stage:
        estimate = preview.estimate(guess=guess, on_compiling=lambda: stage.rename(COMPILING))
    print_estimate(out, estimate, preview.workers, price)


@cli.command()
@click.argument("run", metavar="RUN")
@group_options(Reduction)
def reduce(run: str, margins: dict[str, float], primary: str | None) -> None:
    """Make the tables of a run again.

    They are made from the evaluations that are done. Use it when all shares of a run are done, or
    to change margins or the metric that decides.
    """
    require_run(run)
    interruptions.keeps_in(run)
    from scale_eval.models.warm_up import compilation_reported
    from scale_eval.results.share_directory import unfinished_shares

    with (
        Screen().stage(TABLES) as stage,
        compilation_reported(lambda: stage.rename(COMPILING_TABLES)),
    ):
        reduced = se.reduce(run, margins=margins, primary=primary)
    print_results(reduced)
    write_report(reduced)
    print_next_steps(reduced, run)
    if not reduced.finished:
        if left := unfinished_shares(reduced.directory.store):
            out.print(f"Shares that did not finish: {', '.join(left)}")
        sys.exit(UNFINISHED)


def _start_early(options: Mapping[str, Any]) -> None:
    """Have what workers of this machine need imported while this process imports, and plans."""
    if options.get("cluster") in (None, Execution.cluster):
        children.start_fork_server()


def _run(dataset: se.Dataset, place: str, *, strict: bool, **options: Any) -> None:
    """Print the plan of a run, make the run, and print its results."""
    interruptions.keeps_in(place)
    find_own_modules(*options.get("models", ()), *options.get("metrics", ()))
    preview = se.preview(dataset, **options)
    _print_plan(preview)
    from scale_eval.metrics.base import MetricWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MetricWarning)  # the results say it
        made = se.evaluate(dataset, out=place, **options)
    if preview.execution.parsed_share is None:
        print_results(made, preview.models)
        write_report(made)
        print_next_steps(made, place)
    else:
        _print_share(made, str(preview.execution.parsed_share), preview.models)
    if not made.finished:
        sys.exit(UNFINISHED)
    if strict and (made.document["n_failed"] or made.broken_metrics):
        sys.exit(FAILED_ROWS)


def _print_plan(preview: Preview) -> None:
    from scale_eval.report.terminal import plan_table

    share, planned = preview.execution.parsed_share, preview.plan
    if share is None:
        out.print(plan_table(planned, limit=LISTED_COMPANIES))
    else:
        mine = preview.share_plan
        n = len(set(mine.windows.company.tolist()))
        out.print(
            f"Share {share}: {n:,} of {len(planned.company_ids):,} companies, "
            f"{mine.n_planned:,} of {planned.n_planned:,} evaluations"
        )
    out.print()


def _print_share(run: Run, share: str, called: Collection[str]) -> None:
    n, missing, failed = (
        run.document[f"n_{count}"] for count in ("evaluations", "missing", "failed")
    )
    out.print(
        f"Share {share}: {n - missing:,} of {n:,} evaluations are done, {failed:,} of them failed."
    )
    if missing:
        out.print(Text(what_is_missing(run.document, called)), soft_wrap=True)
    out.print(
        f"When all shares are done: scale-eval reduce {as_typed(str(run.path))}", soft_wrap=True
    )
