"""Commands that make a dataset: ingest and synth."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

import scale_eval as se
from scale_eval.cli.app import LISTED_COMPANIES, cli, out
from scale_eval.datasets.ingest.default_columns import DEFAULT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from scale_eval.datasets.ingest.ingest import IngestReport


def _share(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """Return a share that is written as ``5%`` or ``0.05``."""
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{text!r} is no share; write 5% or 0.05")
    return share


def _listed(context: click.Context, parameter: click.Parameter, text: str | None) -> list[str]:
    """Return what a list divided by commas holds; an empty text is one that holds nothing."""
    return [] if text is None or (text == "" and parameter.name == "ids") else text.split(",")


@cli.command(
    name="ingest",
    examples="""
    scale-eval ingest Shop1.csv Shop2.csv.gz --into datasets/shops
    scale-eval ingest 2024-*.csv --company-column shop --into datasets/shops
    scale-eval ingest orders/ --company-from 'shop={company}/' --into datasets/s
    scale-eval ingest a.csv --into datasets/a \\
      --columns customer_id=id,timestamp=date,value=amount
    scale-eval ingest Shop1-june.csv --append --into datasets/shops \\
      --company-from '{company}-june.csv'
    """,
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--into", required=True, metavar="DATASET", help="The dataset's directory.")
@click.option(
    "--columns",
    default=",".join(f"{ours}={theirs}" for ours, theirs in DEFAULT_COLUMNS.items()),
    show_default=True,
    help="The names of the columns in the files.",
)
@click.option(
    "--company-column",
    metavar="NAME",
    help="The files are parts of one table, and this column names the company of each row. "
    "Otherwise a file is a company, named by its stem.",
)
@click.option("--append", is_flag=True, help="Add later rows to companies in the dataset.")
@click.option("--replace", is_flag=True, help="Replace the rows of companies in the dataset.")
@click.option(
    "--timezone", default="UTC", show_default=True, help="The zone of timestamps without one."
)
@click.option("--timestamp-format", metavar="FORMAT", help="As for strptime; ISO 8601 by default.")
@click.option(
    "--timestamp-unit",
    type=click.Choice(["s", "ms", "us", "ns", "excel"]),
    help="Timestamps are unix time in this unit, or days of a spreadsheet.",
)
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    default=".",
    show_default=True,
    help="The decimal mark of values.",
)
@click.option(
    "--thousands",
    type=click.Choice([",", ".", "'", "space", "none"]),
    help="The mark that divides thousands; by default any that leaves no doubt.",
)
@click.option(
    "--plausible",
    metavar="FROM..TO",
    help="Refuse rows outside, such as 2015-01-01..2024-12-31. By default those over five years "
    "away from ten times as many others of the company; '..' refuses none.",
)
@click.option(
    "--separator",
    metavar="CHARACTER",
    help="Between the fields of text, such as ';' or tab; found by the header by default.",
)
@click.option(
    "--skip-lines",
    type=click.IntRange(min=0),
    metavar="N",
    help="Lines above the header; by default it is the first line with all columns.",
)
@click.option(
    "--encoding",
    metavar="NAME",
    help="Of text, such as cp1252 or big5; UTF-8 or UTF-16 by default.",
)
@click.option(
    "--company-from",
    metavar="PATTERN",
    help="Where the path names the company, such as 'shop={company}/' or "
    "'{company}-????-??.csv'. The files are parts of companies then.",
)
@click.option(
    "--max-refused",
    default="1%",
    show_default=True,
    metavar="SHARE",
    callback=_share,
    help="The share of a file's rows that may be refused, such as 5%.",
)
@click.option(
    "--ids",
    default="",
    metavar="LIST",
    callback=_listed,
    help="Differences between ids to ignore: any of blanks,case,zeros,unicode,invisible.",
)
@click.option(
    "--not-customers",
    metavar="LIST",
    callback=_listed,
    help="Ids of guests or sums, such as 0,Total: their rows are refused. '' means no id.",
)
@click.option(
    "--drop-copies",
    is_flag=True,
    help="Refuse rows that another file of their company has too. By default they are kept, and "
    "the report counts them.",
)
def ingest_command(paths: tuple[str, ...], columns: str, **options: Any) -> None:
    """Read files of transactions into a dataset.

    CSV may be separated by comma, semicolon, tab or '|', and compressed with gzip or zip. A folder
    stands for the files in it, and a quoted pattern such as '*.csv' for those that match. Rows that
    cannot be read are kept in the dataset's refused.parquet, with file, line and reason.
    """
    _print_ingest(se.ingest(paths, columns=_names_of(columns), **options))


@cli.command(
    examples="""
    scale-eval synth --companies 100 --seed 1 --into datasets/hundred
    scale-eval synth --companies 100000 --observed-whole --into datasets/all
    scale-eval synth --companies 500 --corrupt 3 --empty 5 --into datasets/trouble
    """,
)
@click.option(
    "--companies", type=click.IntRange(min=1), required=True, help="The number of companies."
)
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
    help="Damage N companies on disk.",
)
@click.option(
    "--empty",
    "empty_companies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make N companies with a few customers and no whole window.",
)
@click.option(
    "--one-class",
    "one_class_companies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Make N companies where nobody or everybody buys again.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; one per core by default.")
def synth(companies: int, into: str, workers: int | None, **options: Any) -> None:
    """Make synthetic companies.

    Their customers arrive, buy with the season, and drop out. The number of workers changes only
    the time that it takes.
    """
    import pyarrow.compute as pc

    workers = workers or os.cpu_count() or 1
    dataset = se.synthesize(into, companies=companies, workers=workers, progress=True, **options)
    rows = pc.sum(dataset.manifest_table["n_rows"]).as_py()
    noun = "company" if companies == 1 else "companies"
    out.print(f"{companies:,} {noun}, {rows:,} transactions in {into}", soft_wrap=True)


def _names_of(columns: str) -> dict[str, str]:
    """Return the name of each column by its role; a name may hold commas."""
    roles = "|".join(DEFAULT_COLUMNS)
    pairs = [pair.partition("=") for pair in re.split(rf",(?=\s*(?:{roles})\s*=)", columns)]
    names = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    if len(pairs) != len(names) or set(names) != set(DEFAULT_COLUMNS) or not all(names.values()):
        raise click.BadParameter(
            "name all three: customer_id=...,timestamp=...,value=...", param_hint="--columns"
        )
    return names


def _print_ingest(report: IngestReport) -> None:
    import pandas as pd

    from scale_eval.report.frame_table import frame_table

    listed = report.companies.head(LISTED_COMPANIES)
    columns = {
        "company": listed["company_id"],
        "rows": listed["rows"],
        "customers": listed["customers"],
        "span": [
            f"{a:%Y-%m-%d} to\n{b:%Y-%m-%d}"
            for a, b in zip(listed["first"], listed["last"], strict=True)
        ],
        "refunds": listed["refunds"],
        "zero values": listed["zero_values"],
        "exact copies": listed["duplicates"],
        "one-time buyers": listed["one_time_buyers"],
    }
    out.print(frame_table(pd.DataFrame(columns)))
    statuses = report.companies["status"].value_counts().items()
    out.print("Companies: " + ", ".join(f"{count:,} {status}" for status, count in statuses))
    n = len(report.companies)
    if n > LISTED_COMPANIES:
        out.print(
            f"{LISTED_COMPANIES} of {n:,} companies; all are in manifest.parquet", style="dim"
        )
    _print_gaps(report.gaps)
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
    for remark in report.remarks:
        out.print(remark)
    out.print(f"Dataset: {report.dataset.store.root}", soft_wrap=True)


def _print_gaps(gaps: pd.DataFrame) -> None:
    """Print the silences that are probably missing data, and what to do where they are not."""
    import pandas as pd

    from scale_eval.report.frame_table import frame_table
    from scale_eval.report.wording import companies, count

    if not len(gaps):
        return
    listed = gaps.head(LISTED_COMPANIES)
    columns = {
        "company": listed["company_id"],
        "few or no sales from": listed["start"].dt.strftime("%Y-%m-%d"),
        "to": listed["end"].dt.strftime("%Y-%m-%d"),
        "days": (listed["end"] - listed["start"]).dt.days,
    }
    n_companies = gaps["company_id"].nunique()
    out.print(
        f"\n{count(len(gaps), 'silence').capitalize()} at {companies(n_companies)} "
        f"{'is' if len(gaps) == 1 else 'are'} probably missing data:"
    )
    out.print(frame_table(pd.DataFrame(columns)))
    if len(gaps) > LISTED_COMPANIES:
        out.print(f"{LISTED_COMPANIES} of {len(gaps):,}; all are in manifest.parquet", style="dim")
    out.print(
        "No window that touches one is evaluated (gap_in_data). Ingest all files of the company "
        "again together with what is missing (--replace); or, if nobody bought then, say so: "
        "scale-eval run --observed FROM..TO."
    )
