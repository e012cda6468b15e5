"""The command line: parse, call, print.

Exit codes: 0 the run finished, whatever its rows say (with --strict: 1 if any row is error, timeout
or killed); 2 usage or input; 3 not finished.
"""

from __future__ import annotations

import difflib
import errno
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow.compute as pc
from rich.console import Console
from rich.text import Text

import scale_eval as se
from scale_eval.datasets.ingest.ingest import DEFAULT_COLUMNS, IngestReport, ingest
from scale_eval.datasets.purchases import PURCHASE_RULES
from scale_eval.datasets.synthetic.synthesize import synthesize
from scale_eval.evaluation.schema import FAILED
from scale_eval.execution import ClusterLost
from scale_eval.models import BUILT_IN
from scale_eval.models.registry import DEFAULT_MODELS
from scale_eval.planning.batches import GRANULARITIES
from scale_eval.planning.shares import Share, share_of
from scale_eval.report.terminal import (
    SHOWN,
    frame_table,
    overview,
    plan_table,
    print_columns,
    print_estimate,
    print_table,
)
from scale_eval.results.share_directory import unfinished_shares
from scale_eval.run import Run
from scale_eval.storage import StoreLocked

OK, FAILED_ROWS, USAGE, UNFINISHED = 0, 1, 2, 3
COMPANIES_TOLD = 20

CONFIG: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("models", "cutoffs", "metrics"), (list, "a list, such as ['...']")),
    **dict.fromkeys(("last", "seed", "workers", "sample"), (int, "a whole number")),
    "until_half_width": (int | float, "a number"),
    **dict.fromkeys(("shared_calendar", "retry", "save_predictions"), (bool, "true or false")),
    **dict.fromkeys(("every", "horizon", "lookback"), (str, "a time, such as '6 months'")),
    "observed_until": (str | date, "a date"),
    **dict.fromkeys(("timeout", "time_limit"), (str | int | float, "a time, such as '10 minutes'")),
    "share": (str, "which of how many, such as '2/8'"),
    **dict.fromkeys(("purchase_rule", "granularity", "cluster", "until_metric"), (str, "a text")),
    "margins": (dict, "a table, such as {log_loss = 0.005}"),
}
"""Keys of a configuration file, what they may be, and how to say so."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Examples(click.Command):
    """A command whose help ends with examples, printed as they are."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


def main() -> None:
    """The entry point of ``scale-eval``."""
    with _told_errors():
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, _told_to_end)
        sys.path.insert(0, str(Path.cwd()))  # a user's own modules lie where they work
        cli.main(prog_name="scale-eval", standalone_mode=False)


def _told_to_end(signum: int, _: object) -> None:
    """On SIGTERM, as a batch system sends it: what Ctrl-C does, and once."""
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(se.__version__, prog_name="scale-eval")
def cli() -> None:
    """Find out which model predicts best who will buy, for whom, and what to expect of it.

    Start with 'scale-eval demo'. With data of your own: ingest, run, show.
    """


_cluster_option = click.option(
    "--cluster",
    metavar="WHERE",
    envvar="SCALE_EVAL_CLUSTER",
    help="local, slurm, a scheduler's address, or its file. Default: local, or what the "
    "environment says as SCALE_EVAL_CLUSTER.",
)


@cli.command(cls=Examples, examples="scale-eval demo\nscale-eval demo --out /tmp/demo")
@click.option("--out", "place", default="runs/demo", show_default=True, help="Where the run goes.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; one a core by default.")
@_cluster_option
def demo(place: str, workers: int | None, cluster: str | None) -> None:
    """Run the main job on data that come with it."""
    dataset = se.demo_dataset()
    out.print("Three synthetic companies, four models, every half-year that was observed whole.\n")
    _evaluate(
        dataset, DEFAULT_MODELS, place, strict=False, workers=workers, cluster=cluster or "local"
    )
    out.print(f"Report: {se.open_run(place).report()}", soft_wrap=True)


@cli.command(
    name="ingest",
    cls=Examples,
    examples="""
    scale-eval ingest Shop1.csv Shop2.csv.gz --into datasets/shops
    scale-eval ingest 2024-*.csv --company-column shop --into datasets/shops
    scale-eval ingest a.csv --into datasets/a \\
      --columns customer_id=id,timestamp=date,value=amount
    scale-eval ingest Shop1-june.csv --append --into datasets/shops
    """,
)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@click.option("--into", required=True, metavar="DATASET", help="The dataset's directory.")
@click.option(
    "--columns",
    default=",".join(f"{ours}={theirs}" for ours, theirs in DEFAULT_COLUMNS.items()),
    show_default=True,
    help="What the columns are called in the files.",
)
@click.option(
    "--company-column",
    metavar="NAME",
    help="The files are parts of one table, and this column says whose each row is. "
    "Otherwise a file is a company, named by its stem.",
)
@click.option("--append", is_flag=True, help="Add later rows to companies that are known.")
@click.option("--replace", is_flag=True, help="Put these rows in the place of known companies'.")
@click.option(
    "--timezone", default="UTC", show_default=True, help="Of timestamps that name no zone."
)
@click.option("--timestamp-format", metavar="FORMAT", help="As for strptime; ISO 8601 otherwise.")
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    default=".",
    show_default=True,
    help="The decimal mark of values.",
)
def ingest_command(paths: tuple[str, ...], columns: str, **options: Any) -> None:
    """Read files of transactions into a dataset.

    CSV may be separated by comma, semicolon or tab, and packed with gzip or zip. Rows that cannot
    be read are kept in the dataset's refused.parquet, with file, line and reason.
    """
    pairs = [pair.partition("=") for pair in columns.split(",")]
    names = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    if set(names) != set(DEFAULT_COLUMNS) or not all(names.values()):
        raise click.BadParameter(
            "name all three: customer_id=...,timestamp=...,value=...", param_hint="--columns"
        )
    _print_ingest(ingest(paths, columns=names, **options))


@cli.command(
    cls=Examples,
    examples="""
    scale-eval synth --companies 100 --seed 1 --into datasets/hundred
    scale-eval synth --companies 100000 --observed-whole --into datasets/all
    scale-eval synth --companies 500 --corrupt 3 --empty 5 --into datasets/trouble
    """,
)
@click.option("--companies", type=click.IntRange(min=1), required=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--into", required=True, metavar="DATASET", help="The dataset's directory.")
@click.option(
    "--median-customers",
    type=float,
    default=110.0,
    show_default=True,
    help="Sizes are log-normal with this median,",
)
@click.option("--sigma", type=float, default=1.39, show_default=True, help="and this sigma.")
@click.option(
    "--observed-whole", is_flag=True, help="Every company is 4.5 years old or older and open."
)
@click.option(
    "--corrupt",
    "corrupt_companies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Damage so many companies on disk.",
)
@click.option(
    "--empty",
    "empty_companies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="So many with a few customers and no whole window.",
)
@click.option(
    "--one-class",
    "one_class_companies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="So many where nobody or everybody buys again.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; one a core by default.")
def synth(companies: int, into: str, workers: int | None, **options: Any) -> None:
    """Make synthetic companies.

    Their customers come, buy with the season, and drop out. The number of workers changes nothing
    but the time that it takes.
    """
    workers = workers or os.cpu_count() or 1
    dataset = synthesize(into, companies=companies, workers=workers, progress=True, **options)
    rows = pc.sum(dataset.manifest_table["n_rows"]).as_py()
    out.print(f"{companies:,} companies, {rows:,} transactions in {into}", soft_wrap=True)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a run evaluates: shared by `run` and `plan`."""
    for option in reversed(
        [
            click.option(
                "--model",
                "models",
                multiple=True,
                metavar="NAME",
                help=f"Repeated. One of {', '.join(BUILT_IN)}; package.module:Class; "
                f"predictions:FILE.parquet. Default: {' '.join(DEFAULT_MODELS)}. "
                "base_rate and recency are always run.",
            ),
            click.option(
                "--cutoff",
                "cutoffs",
                multiple=True,
                metavar="DATE",
                help="Repeated. Otherwise month starts, from the latest observed whole.",
            ),
            click.option(
                "--every", metavar="TIME", help="Step between cutoffs. Default: 6 months."
            ),
            click.option("--last", type=int, metavar="N", help="Only the latest N cutoffs."),
            click.option(
                "--shared-calendar",
                is_flag=True,
                default=None,
                help="The same cutoffs for all companies.",
            ),
            click.option("--horizon", metavar="TIME", help="Default: 6 months."),
            click.option(
                "--observed-until",
                metavar="DATE",
                help="Until when data are complete. Default: each company's last row.",
            ),
            click.option(
                "--purchase-rule",
                type=click.Choice(PURCHASE_RULES),
                help="Which values are purchases. Default: non_negative.",
            ),
            click.option(
                "--lookback",
                metavar="TIME",
                help="Leave out who did not buy in this time before the cutoff.",
            ),
            click.option(
                "--metric",
                "metrics",
                multiple=True,
                metavar="NAME",
                help="Repeated. A metric of your own, package.module:function.",
            ),
            click.option("--seed", type=int, help="Default: 0."),
            click.option(
                "--config",
                metavar="FILE.toml",
                type=click.Path(dir_okay=False, exists=True),
                help="These options from a file; what is given here wins.",
            ),
        ]
    ):
        command = option(command)
    return command


def _margins(
    _context: click.Context, _parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, float]:
    """``("log_loss=0.005",)`` as a dict."""
    margins = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            margins[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{pair!r}: write a metric and a number, log_loss=0.005"
            ) from None
    return margins


def _sample_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a sample of the companies."""
    for option in reversed(
        [
            click.option(
                "--sample",
                type=click.IntRange(min=1),
                metavar="N",
                help="Evaluate a stratified random sample of N companies; the table "
                "'sampled' says what all would give. More later goes on.",
            ),
            click.option(
                "--until-half-width",
                type=click.FloatRange(min=0, min_open=True),
                metavar="W",
                help="Add companies until the interval of --until-metric "
                "at the average company is no wider than twice W.",
            ),
            click.option("--until-metric", metavar="METRIC", help="Default: log_loss."),
        ]
    ):
        command = option(command)
    return command


_margin_option = click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="METRIC=NUMBER",
    callback=_margins,
    help="Repeated. The difference that is worth changing models for; smaller ones are ties.",
)


@cli.command(
    cls=Examples,
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
@_run_options
@click.option("--timeout", metavar="TIME", help="For one evaluation. Default: 1 hour.")
@click.option("--retry", is_flag=True, default=None, help="Try again what failed.")
@click.option(
    "--save-predictions", is_flag=True, default=None, help="Keep each customer's probability."
)
@click.option(
    "--granularity",
    type=click.Choice(GRANULARITIES),
    help="What a Dask task is. Default: auto, what costs little.",
)
@_sample_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes of a local cluster.")
@_cluster_option
@click.option(
    "--share", metavar="I/N", help="Only the I-th of N shares; 'reduce' when all are done."
)
@click.option(
    "--time-limit",
    metavar="TIME",
    help="What a batch job has left: not begun where --timeout is longer.",
)
@_margin_option
@click.option("--strict", is_flag=True, help="Exit with 1 if any evaluation failed.")
def run(dataset: str, place: str, config: str | None, strict: bool, **options: Any) -> None:
    """Evaluate models on every company.

    Running it again on the same directory finishes what was left, and adds models.
    """
    given = _with_config(config, options)
    models = given.pop("models", DEFAULT_MODELS)
    _evaluate(se.open_dataset(dataset), models, place, strict=strict, **given)


@cli.command(
    cls=Examples,
    examples="""
    scale-eval plan datasets/shops --every '1 month' --last 12
    scale-eval plan datasets/many --workers 64 --price 0.04
    """,
)
@click.argument("dataset")
@_run_options
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Of a random sample of N companies."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    show_default=True,
    help="On which it would run.",
)
@click.option(
    "--price", type=click.FloatRange(min=0), metavar="P", help="Of a core-hour, in your currency."
)
@click.option("--guess", is_flag=True, help="Do not try the models on a few companies first.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=COMPANIES_TOLD,
    show_default=True,
    help="Companies to list.",
)
def plan(
    dataset: str,
    config: str | None,
    sample: int | None,
    workers: int,
    price: float | None,
    guess: bool,
    limit: int,
    **options: Any,
) -> None:
    """Say what a run would do and refuse, and what it would take.

    How long, how much memory, and at what cost. Models are tried on a few companies of all sizes,
    in a process apart.
    """
    given = _with_config(config, options)
    models = given.pop("models", DEFAULT_MODELS)
    seen = se.preview(dataset, models, sample=sample, **given)
    planned = seen.plan
    out.print(plan_table(planned, limit=limit))
    out.print(
        f"\n{planned.n_planned:,} evaluations of {len(seen.models)} models "
        f"({', '.join(seen.models)}); {planned.n_refused:,} refused."
    )
    print_estimate(out, seen.estimate(workers, guess=guess), workers, price)


@cli.command(
    cls=Examples,
    examples="""
    scale-eval show runs/first
    scale-eval show runs/first failures
    scale-eval show runs/first pooled --metric roc_auc --model bgnbd
    """,
)
@click.argument("run", metavar="RUN")
@click.argument("table", type=click.Choice(list(SHOWN)), required=False)
@click.option("--model", help="Rows of this model only.")
@click.option("--metric", help="Rows of this metric only.")
@click.option("--company", help="Rows of this company only.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to show."
)
@click.option("--columns", is_flag=True, help="Say what each column of the table holds instead.")
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
    opened = se.open_run(run)
    if table is None and (model or metric or company or columns):
        raise click.UsageError(
            "--model, --metric, --company and --columns are for a table: name one of "
            f"{', '.join(SHOWN)}"
        )
    if table is None:
        _print_results(opened)
        return
    if columns:
        print_columns(out, table)
        return
    frame = getattr(opened, table)
    chosen = {"model": model, "metric": metric, "company_id": company}
    for column, value in chosen.items():
        if value is not None:
            holding = [c for c in (column, f"{column}_a", f"{column}_b") if c in frame]
            if not holding:
                raise click.UsageError(f"the table {table} has no {column}")
            frame = frame[(frame[holding] == value).any(axis=1)]
    if frame.empty:
        out.print("No such rows." if any(chosen.values()) else "None.")
    else:
        print_table(out, table, frame, limit=limit)


@cli.command(
    cls=Examples,
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
    """Write the report of a run: the verdict, and what it rests on.

    One HTML page that stands alone; open it in a browser, or send it.
    """
    out.print(f"Report: {se.open_run(run).report(path)}", soft_wrap=True)


@cli.command()
@click.argument("run", metavar="RUN")
def fingerprint(run: str) -> None:
    """Print a hash of a run's results.

    It is equal where two runs found the same, bit for bit.
    """
    print(se.open_run(run).fingerprint())


@cli.command()
@click.argument("run", metavar="RUN")
@_margin_option
def reduce(run: str, margins: dict[str, float]) -> None:
    """Make the tables of a run anew.

    They are made from the evaluations that are there: of a run in shares, when all are done.
    """
    reduced = se.reduce(run, margins=margins)
    _print_results(reduced)
    if not reduced.finished:
        if left := unfinished_shares(reduced.directory.store):
            out.print(f"Shares that did not finish: {', '.join(left)}")
        sys.exit(UNFINISHED)


def _evaluate(
    dataset: se.Dataset,
    models: Any,
    place: str,
    *,
    strict: bool,
    granularity: str = "auto",
    timeout: str = "1 hour",
    retry: bool = False,
    save_predictions: bool = False,
    workers: int | None = None,
    cluster: str = "local",
    margins: dict[str, float] | None = None,
    sample: int | None = None,
    until_half_width: float | None = None,
    until_metric: str = "log_loss",
    share: str | None = None,
    time_limit: str | None = None,
    **choices: Any,
) -> None:
    settings = se.make_settings(**choices)
    planned = se.preview(dataset, models, settings=settings, sample=sample).plan
    if share is None:
        out.print(plan_table(planned, limit=COMPANIES_TOLD))
    else:
        mine = share_of(planned, dataset, Share.parse(share))
        n = len(set(mine.windows.company.tolist()))
        out.print(
            f"Share {share}: {n:,} of {len(planned.company_ids):,} companies, "
            f"{mine.n_planned:,} of {planned.n_planned:,} evaluations"
        )
    out.print()
    finished = se.evaluate(
        dataset,
        models,
        out=place,
        settings=settings,
        cluster=cluster,
        workers=workers,
        timeout=timeout,
        retry=retry,
        save_predictions=save_predictions,
        granularity=granularity,
        margins=margins,
        sample=sample,
        until_half_width=until_half_width,
        until_metric=until_metric,
        share=share,
        time_limit=time_limit,
    )
    if share is None:
        _print_results(finished)
    else:
        _print_share(finished, share)
    if not finished.finished:
        sys.exit(UNFINISHED)
    if strict and (
        finished.directory.statuses()["status"].isin(FAILED).any()
        if share is None
        else finished.document["n_failed"]
    ):
        sys.exit(FAILED_ROWS)


def _print_share(run: Run, share: str) -> None:
    n, missing, failed = (
        run.document[f"n_{what}"] for what in ("evaluations", "missing", "failed")
    )
    out.print(
        f"Share {share}: {n - missing:,} of {n:,} evaluations are done, {failed:,} of them failed."
    )
    if missing:
        out.print(f"{missing:,} have not been done: run the same command again.")
    out.print(f"When all shares are done: scale-eval reduce {run.path}", soft_wrap=True)


def _print_results(run: Run) -> None:
    out.print(overview(run.findings))
    out.print()
    for sentence in run.verdict.sentences:
        out.print(Text(sentence))
    raised = run.evaluations["undefined"].dropna().str.extractall(r"([^;]+:exception:[^;]+)")
    for told, n in raised[0].value_counts().head(3).items() if len(raised) else ():
        out.print(Text(f"{told} (a metric, in {n:,} evaluations)"))
    missing = run.document["n_missing"]
    if run.document["status"] == "running":
        out.print("The run is under way or was cut short: these tables are of before.")
    if missing:
        out.print(f"{missing:,} evaluations have not been done: run the same command again.")
    if len(run.failures):
        out.print(
            f"{len(run.failures):,} evaluations failed: scale-eval show {run.path} failures",
            soft_wrap=True,
        )
    out.print(f"\nTables: {run.path}", soft_wrap=True)


def _print_ingest(report: IngestReport) -> None:
    told = report.companies.head(COMPANIES_TOLD)
    columns = {
        "company": told["company_id"],
        "rows": told["rows"],
        "customers": told["customers"],
        "span": [
            f"{a:%Y-%m-%d} to\n{b:%Y-%m-%d}"
            for a, b in zip(told["first"], told["last"], strict=True)
        ],
        "refunds": told["refunds"],
        "zero values": told["zero_values"],
        "exact copies": told["duplicates"],
        "one-time buyers": told["one_time_buyers"],
    }
    out.print(frame_table(pd.DataFrame(columns)))
    statuses = report.companies["status"].value_counts().items()
    out.print("Companies: " + ", ".join(f"{count:,} {status}" for status, count in statuses))
    n = len(report.companies)
    if n > COMPANIES_TOLD:
        out.print(f"{COMPANIES_TOLD} of {n:,} companies; all are in manifest.parquet", style="dim")
    rows, kept = int(report.files["rows_in"].sum()), int(report.files["rows_kept"].sum())
    refused = int(report.files["rows_refused"].sum())
    out.print(f"\n{rows:,} rows in = {kept:,} kept + {refused:,} refused")
    if refused:
        out.print(frame_table(report.refused))
        out.print("Each is in the dataset's refused.parquet, with file, line and reason.")
    if report.naive_timestamps:
        out.print(
            f"{report.naive_timestamps:,} timestamps named no time zone; "
            f"they were taken as {report.timezone}."
        )
    out.print(f"Dataset: {report.dataset.store.root}", soft_wrap=True)


def _with_config(config: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Options from the file, overridden by those given on the command line."""
    given = {name: value for name, value in options.items() if value not in (None, (), {})}
    if config is None:
        return given
    try:
        read = tomllib.loads(Path(config).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{config} is not TOML: {error}") from error
    for key, value in read.items():
        if key not in CONFIG:
            near = difflib.get_close_matches(key, CONFIG, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(CONFIG)}"
            raise ValueError(f"{config}: unknown key {key!r}; {meant}")
        kind, wanted = CONFIG[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{config}: {key} = {value!r}; write {wanted}")
    return {**{key: value for key, value in read.items() if key in options}, **given}


@contextmanager
def _told_errors() -> Iterator[None]:
    """What goes wrong, in a sentence and an exit code instead of a traceback."""
    try:
        yield
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (KeyboardInterrupt, click.Abort):
        err.print("\nInterrupted. What is done is on disk; the same command goes on from there.")
        sys.exit(UNFINISHED)
    except ClusterLost as error:
        err.print(Text(f"Not finished: {error}"), soft_wrap=True)
        sys.exit(UNFINISHED)
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNFINISHED)
    except OSError as error:
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            err.print("What is done is on disk; make room, then run the same command again.")
            sys.exit(UNFINISHED)
        sys.exit(USAGE)
    except (ValueError, StoreLocked, KeyError) as error:
        err.print(Text(f"Error: {error}"), soft_wrap=True)
        sys.exit(USAGE)
    except Exception:
        err.print_exception()
        err.print("This is a defect of scale_eval; what is done is on disk.")
        sys.exit(UNFINISHED)


if __name__ == "__main__":
    main()
