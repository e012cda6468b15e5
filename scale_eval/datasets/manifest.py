"""The manifest: one row a company, saying where its rows lie and what they are like."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from scale_eval.datasets.customer_ids import string_buffers
from scale_eval.datasets.purchases import MIN_CUSTOMERS, PURCHASE_RULES, is_purchase
from scale_eval.datasets.transactions import Transactions

TIMESTAMP = pa.timestamp("us", "UTC")

TRANSACTIONS_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("customer_id", pa.string()),
        ("timestamp", TIMESTAMP),
        ("value", pa.float64()),
    ]
)
"""What every file under `transactions/` holds, sorted by these four columns."""

MANIFEST_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("path", pa.string()),  # relative to the dataset
        ("first_row_group", pa.int32()),
        ("n_row_groups", pa.int32()),
        ("row_offset", pa.int64()),  # rows before the company's in its first row group
        ("n_rows", pa.int64()),
        ("n_customers", pa.int64()),
        ("first_timestamp", TIMESTAMP),
        ("last_timestamp", TIMESTAMP),
        ("dates_only", pa.bool_()),  # all timestamps are midnight: the last day counts whole
        ("n_refunds", pa.int64()),  # value < 0
        ("n_zero_values", pa.int64()),
        ("n_duplicates", pa.int64()),  # rows equal to an earlier row; they are kept
        ("n_one_time_buyers", pa.int64()),  # customers with one transaction of value >= 0
        *[(f"first_customer_at_{rule}", TIMESTAMP) for rule in PURCHASE_RULES],
        *[(f"tenth_customer_at_{rule}", TIMESTAMP) for rule in PURCHASE_RULES],
        ("content_hash", pa.string()),
        ("sources", pa.list_(pa.string())),  # files that the rows came from
    ]
)


def content_hash(company: Transactions) -> str:
    """SHA-256 of a company's rows: the same for the same rows, however they are stored."""
    digest = hashlib.sha256()
    bounds, text = string_buffers(company.customers)
    digest.update(np.diff(bounds).astype("<i4").tobytes())
    digest.update(text[bounds[0] : bounds[-1]].tobytes())
    for array, kind in (
        (company.codes, "<i4"),
        (company.timestamps, "<i8"),
        (company.values, "<f8"),
    ):
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return digest.hexdigest()


def describe(company: Transactions, *, dates_only: bool, sources: list[str]) -> dict[str, Any]:
    """The manifest's row of `company`, but for where its rows lie."""
    codes, times, values = company.codes, company.timestamps, company.values
    duplicate = (np.diff(codes) == 0) & (np.diff(times) == 0) & (np.diff(values) == 0)
    purchases = np.bincount(codes[values >= 0], minlength=company.n_customers)
    row: dict[str, Any] = {
        "company_id": company.company_id,
        "n_rows": len(company),
        "n_customers": company.n_customers,
        "first_timestamp": int(times.min()),
        "last_timestamp": int(times.max()),
        "dates_only": dates_only,
        "n_refunds": int((values < 0).sum()),
        "n_zero_values": int((values == 0).sum()),
        "n_duplicates": int(duplicate.sum()),
        "n_one_time_buyers": int((purchases == 1).sum()),
        "content_hash": content_hash(company),
        "sources": sorted(sources),
    }
    for rule in PURCHASE_RULES:
        bought = np.flatnonzero(is_purchase(values, rule))
        first_rows = bought[np.diff(codes[bought], prepend=-1) > 0]  # rows are sorted
        joined = np.sort(times[first_rows])
        row[f"first_customer_at_{rule}"] = _nth(joined, 1)
        row[f"tenth_customer_at_{rule}"] = _nth(joined, MIN_CUSTOMERS)
    return row


def _nth(ordered: np.ndarray, n: int) -> int | None:
    return int(ordered[n - 1]) if len(ordered) >= n else None
