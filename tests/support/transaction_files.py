"""Files of transactions for the tests of ingest, and what is read back from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from scale_eval.datasets import Dataset
from scale_eval.datasets.ingest.ingest import IngestReport, ingest
from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.timestamps import TimestampReader

HEADER = "CustomerID,Timestamp,PurchaseValue\n"

JANUARY = ["a,2017-01-01 10:00:00Z,1", "b,2017-01-31 12:00:00Z,2"]
FEBRUARY = ["a,2017-02-01 10:00:00Z,3", "c,2017-02-28 12:00:00Z,4"]

TWO_ROWS = "a,2017-01-01 10:00:00,1\nb,2017-01-02 11:00:00,2.5\n"
EXPECTED = [("a", "2017-01-01 10:00:00", 1.0), ("b", "2017-01-02 11:00:00", 2.5)]


def ingest_whatever_is_refused(files: Any, into: Path, **options: Any) -> IngestReport:
    """Ingest files so small that any refused row is a large share of theirs."""
    return ingest(files, into, **{"max_refused": 1.0, **options})


def contents(dataset: Dataset) -> dict[str, list[tuple[str, str, float]]]:
    """Every company's rows as (customer, UTC time, value), in the order of the dataset."""
    return {
        company_id: [
            (company.customers[int(code)].as_py(), str(pd.Timestamp(time, unit="us")), value)
            for code, time, value in zip(
                company.codes, company.timestamps.tolist(), company.values.tolist(), strict=True
            )
        ]
        for company_id in dataset.company_ids
        for company in [dataset.read(company_id)]
    }


def on_disk(into: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and when it was written."""
    return {
        str(path.relative_to(into)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in into.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def statuses(report) -> dict[str, str]:
    """Return the status of each company of an ingest's report."""
    return dict(zip(report.companies["company_id"], report.companies["status"], strict=True))


def instants(texts: Sequence[str] | pa.Array, **options: Any) -> list[str]:
    """Read timestamps; each is an instant in UTC, or why it is none."""
    column = pa.array(texts) if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    times = TimestampReader(**options).read(column)
    return [
        "unparsable"
        if times.unparsable[i]
        else "out of range"
        if times.out_of_range[i]
        else "ambiguous"
        if times.ambiguous[i]
        else str(pd.Timestamp(times.microseconds[i], unit="us"))
        for i in range(len(texts))
    ]


def rows(file: ParsedInput) -> list[tuple[str, str, float]]:
    """(customer, instant, value), the instant as text without its zone."""
    times = [str(time.tz_localize(None)) for time in file.rows["timestamp"].to_pandas()]
    customers, values = file.rows["customer_id"].to_pylist(), file.rows["value"].to_pylist()
    return list(zip(customers, times, values, strict=True))


def refused(file: ParsedInput) -> list[tuple[int, str]]:
    """Return the line and the reason of each refused row."""
    return sorted((refusal.line, refusal.reason) for refusal in file.refused)
