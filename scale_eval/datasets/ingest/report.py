"""Report what an ingest read, kept and refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scale_eval.datasets.dataset import Dataset
from scale_eval.datasets.ingest.copies import COPY
from scale_eval.datasets.ingest.merge import CompanyUpdate
from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.instants import from_microseconds

_SHOWN = 3


@dataclass(frozen=True)
class IngestReport:
    """An ingest report says what was read, kept and refused.

    Attributes
    ----------
    dataset : Dataset
    files : DataFrame
        One row a file or table: `file, rows_in, rows_kept, rows_refused, n_naive_timestamps,
        status`; `status` is ``ingested``, or ``unchanged`` where the dataset already had its rows.
    companies : DataFrame
        One row a company of these files: `company_id, status, rows, customers, first, last,
        refunds, zero_values, duplicates, one_time_buyers`, as the dataset now has it; `status` is
        ``new``, ``appended``, ``replaced`` or ``unchanged``.
    gaps : DataFrame
        One row a silence of these companies that is probably missing data: `company_id, start,
        end` (UTC; the end is exclusive). No window that touches one is evaluated, unless the option
        `observed` says that nobody bought then.
    refused : DataFrame
        One row a reason for which rows of these files were refused: `reason, count, first_file,
        first_line`.
    naive_timestamps : int
        Timestamps of kept rows that were written without a time zone; taken to be in `timezone`.
    timezone : str
    remarks : tuple of str
        What is odd about the files, in sentences.
    """

    dataset: Dataset
    files: pd.DataFrame
    companies: pd.DataFrame
    gaps: pd.DataFrame
    refused: pd.DataFrame
    naive_timestamps: int
    timezone: str
    remarks: tuple[str, ...] = ()


def summarize_files(
    parsed: Sequence[ParsedInput], refused: pd.DataFrame, updates: Sequence[CompanyUpdate]
) -> pd.DataFrame:
    """Return one row a file; raise `IngestError` where no row of a file is kept nor a copy."""
    n_refused = refused["position"].value_counts()
    with_copies = set(refused.loc[refused["reason"] == COPY, "position"])
    feeding = {i for update in updates if update.status != "unchanged" for i in update.files}
    summary = []
    for i, file in enumerate(parsed):
        rows_in = file.n_rows + len(file.refused)
        rows_refused = int(n_refused.get(i, 0))
        if rows_in and rows_refused == rows_in and i not in with_copies:
            replace = option("replace", in_python=file.input.in_python)
            raise IngestError(
                f"{file.input.label}: every row is refused or overlaps the rows that its company "
                f"has; append what is later, or replace the company ({replace})"
            )
        summary.append(
            {
                "file": file.input.label,
                "rows_in": rows_in,
                "rows_kept": rows_in - rows_refused,
                "rows_refused": rows_refused,
                "n_naive_timestamps": file.n_naive_timestamps,
                "status": "ingested" if i in feeding else "unchanged",
            }
        )
    return pd.DataFrame(summary)


def summarize_companies(
    updates: Sequence[CompanyUpdate], manifest: Mapping[str, dict[str, Any]]
) -> pd.DataFrame:
    """Return one row a company, by its row of the new manifest."""
    summary = []
    for update in sorted(updates, key=lambda update: update.company_id):
        row = manifest[update.company_id]
        summary.append(
            {
                "company_id": update.company_id,
                "status": update.status,
                "rows": row["n_rows"],
                "customers": row["n_customers"],
                "first": from_microseconds(row["first_timestamp"]),
                "last": from_microseconds(row["last_timestamp"]),
                "refunds": row["n_refunds"],
                "zero_values": row["n_zero_values"],
                "duplicates": row["n_duplicates"],
                "one_time_buyers": row["n_one_time_buyers"],
            }
        )
    return pd.DataFrame(summary)


def replacement_remarks(
    updates: Sequence[CompanyUpdate],
    before: Mapping[str, dict[str, Any]],
    now: Mapping[str, dict[str, Any]],
) -> list[str]:
    """Return, in a sentence, companies that lost rows because fewer files were given than before.

    `before` and `now` are the dataset's rows of the manifest, by company.
    """
    found = []
    for update in updates:
        old, new = before.get(update.company_id), now[update.company_id]
        if old is None or update.status != "replaced":
            continue
        is_less = (
            new["n_rows"] < old["n_rows"]
            or new["first_timestamp"] > old["first_timestamp"]
            or new["last_timestamp"] < old["last_timestamp"]
        )
        if is_less and _names_of(old) - _names_of(new):
            found.append(
                f"{update.company_id} had {_described(old)}, and now has {_described(new)}"
            )
    if not found:
        return []
    more = f"; and so it is with {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [
        f"Rows of other files were replaced, too: {'; '.join(found[:_SHOWN])}{more}. To have all "
        "of them, ingest all files of the company together."
    ]


def _names_of(row: Mapping[str, Any]) -> Counter[str]:
    """Count the names of the files of which a company has rows."""
    return Counter(source.rpartition("#")[0] for source in row["sources"])


def _described(row: Mapping[str, Any]) -> str:
    names = sorted(_names_of(row).elements())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    first, last = (from_microseconds(row[f"{end}_timestamp"]) for end in ("first", "last"))
    return (
        f"{row['n_rows']:,} rows of {', '.join(names[:_SHOWN])}{more} ({first:%Y-%m-%d} to "
        f"{last:%Y-%m-%d})"
    )


def summarize_gaps(
    updates: Sequence[CompanyUpdate], manifest: Mapping[str, dict[str, Any]]
) -> pd.DataFrame:
    """Return one row a gap, sorted by company and time."""
    gaps = [
        (update.company_id, from_microseconds(start), from_microseconds(end))
        for update in sorted(updates, key=lambda update: update.company_id)
        for start, end in zip(
            manifest[update.company_id]["gap_starts"],
            manifest[update.company_id]["gap_ends"],
            strict=True,
        )
    ]
    return pd.DataFrame(gaps, columns=["company_id", "start", "end"])


def summarize_refused(refused: pd.DataFrame) -> pd.DataFrame:
    """Return one row a reason, the most frequent first."""
    summary = refused.groupby("reason", as_index=False).agg(
        count=("line", "size"), first_file=("file", "first"), first_line=("line", "first")
    )
    return summary.sort_values("count", ascending=False, kind="stable", ignore_index=True)
