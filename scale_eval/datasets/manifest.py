"""The manifest has one row per company: where its transactions lie, and a summary of them.

A file of transactions becomes part of the dataset when a manifest that names it replaces the one
before. The manifest's metadata hold the format number of the dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.customer_ids import string_buffers
from scale_eval.datasets.gaps import Gaps, find_gaps
from scale_eval.datasets.instants import DAY
from scale_eval.datasets.purchases import MIN_CUSTOMERS, PURCHASE_RULES, is_purchase
from scale_eval.datasets.transactions import Transactions
from scale_eval.datasets.uncommitted import UNCOMMITTED, note, noted, remove_uncommitted
from scale_eval.storage import Store, read_metadata, read_table, require_free_place, write_table
from scale_eval.storage.columns import TIME
from scale_eval.storage.formats import require_format

MANIFEST = "manifest.parquet"
REFUSED = "refused.parquet"

TRANSACTIONS = "transactions"
"""The folder that holds companies' rows."""

FORMAT = 3
"""The number of the format in which this version writes datasets, and the only one it reads."""

_FORMAT_KEY, _VERSION_KEY = b"scale_eval.format", b"scale_eval.version"


TRANSACTIONS_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("customer_id", pa.string()),
        ("timestamp", TIME),
        ("value", pa.float64()),
    ]
)
"""The columns of every file under `transactions/`, which is sorted by all four."""

MANIFEST_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("path", pa.string()),  # relative to the dataset
        ("first_row_group", pa.int32()),
        ("n_row_groups", pa.int32()),
        ("row_offset", pa.int64()),  # rows before the company's in its first row group
        ("n_rows", pa.int64()),
        ("n_customers", pa.int64()),
        ("first_timestamp", TIME),
        ("last_timestamp", TIME),
        ("dates_only", pa.bool_()),  # all timestamps are midnight: the last day counts whole
        ("gap_starts", pa.list_(TIME)),  # silences that are probably missing data
        ("gap_ends", pa.list_(TIME)),
        ("silent_from", TIME),  # the end of the last day with a sale
        ("overdue_from", TIME),  # the silence after it is a gap, too, if it lasts until then
        ("n_refunds", pa.int64()),  # value < 0
        ("n_zero_values", pa.int64()),
        ("n_duplicates", pa.int64()),  # rows equal to an earlier row; they are kept
        ("n_one_time_buyers", pa.int64()),  # customers with one transaction of value >= 0
        *[(f"first_customer_at_{rule}", TIME) for rule in PURCHASE_RULES],
        *[(f"tenth_customer_at_{rule}", TIME) for rule in PURCHASE_RULES],
        ("content_hash", pa.string()),
        ("sources", pa.list_(pa.string())),  # files that the rows came from
    ]
)


def content_hash(company: Transactions) -> str:
    """Return the SHA-256 of a company's rows, which does not depend on how they are stored."""
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
    """Return the manifest's row of `company`, without the location of its transactions."""
    codes, times, values = company.codes, company.timestamps, company.values
    duplicate = (np.diff(codes) == 0) & (np.diff(times) == 0) & (np.diff(values) == 0)
    purchases = np.bincount(codes[values >= 0], minlength=company.n_customers)
    gaps = _gaps_in_sales(times, values)
    row: dict[str, Any] = {
        "company_id": company.company_id,
        "n_rows": len(company),
        "n_customers": company.n_customers,
        "first_timestamp": int(times.min()),
        "last_timestamp": int(times.max()),
        "dates_only": dates_only,
        "gap_starts": [start for start, _ in gaps.spans],
        "gap_ends": [end for _, end in gaps.spans],
        "silent_from": gaps.silent_from,
        "overdue_from": gaps.overdue_from,
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


def _gaps_in_sales(times: np.ndarray, values: np.ndarray) -> Gaps:
    """Return the gaps of a company, whose refunds may go on where its sales are missing."""
    is_sale = values >= 0
    if is_sale.all() or not is_sale.any():
        return find_gaps(times)
    gaps = find_gaps(times[is_sale])
    last = int(times.max())
    end = last - last % DAY + DAY
    if gaps.overdue_from is not None and gaps.overdue_from <= end:
        return gaps._replace(spans=[*gaps.spans, (gaps.silent_from, end)])
    return gaps


def require_readable(store: Store) -> None:
    """Raise `OtherFormat` where the dataset is of another format than this version reads.

    Raises `OSError` or `pyarrow.ArrowInvalid` where its manifest is missing or damaged.
    """
    metadata = read_metadata(store, MANIFEST).metadata or {}
    number = metadata.get(_FORMAT_KEY)
    require_format(
        store.root,
        {} if number is None else {"format": int(number)},
        FORMAT,
        metadata.get(_VERSION_KEY, b"").decode(),
        "Ingest or synthesize the data again with this version, or use the version that wrote it.",
    )


def manifest_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows, one per company, as a table by MANIFEST_SCHEMA."""
    return pa.Table.from_pylist(list(rows), schema=MANIFEST_SCHEMA)


def read_manifest(store: Store, columns: Sequence[str] = MANIFEST_SCHEMA.names) -> pa.Table:
    """Read the manifest, or some of its columns, by MANIFEST_SCHEMA."""
    schema = pa.schema([MANIFEST_SCHEMA.field(name) for name in columns])
    return read_table(store, MANIFEST, columns=columns, schema=schema)


def require_inside(store: Store, name: str, *, links: bool = True) -> None:
    """Raise `ValueError` where a file that a manifest names does not lie in the dataset.

    Without `links`, only the name is looked at, not where links on the way lead.
    """
    is_inside = name.startswith(f"{TRANSACTIONS}/") and ".." not in name.split("/")
    if is_inside and links:
        is_inside = store.is_inside(name)
    if not is_inside:
        raise ValueError(
            f"{store.root}/{MANIFEST} names the file {name!r}, which does not lie in the dataset; "
            "ingest the data again into another place"
        )


def read_manifest_rows(store: Store) -> dict[str, dict[str, Any]]:
    """Read the manifest's rows by company id, as `manifest_table` takes them.

    Times are integers, in microseconds since 1970-01-01 UTC. A new dataset has no rows.
    """
    if not store.exists(MANIFEST):
        return {}
    table = read_manifest(store)
    for name in table["path"].unique().to_pylist():
        require_inside(store, name, links=False)
    for i, field in enumerate(MANIFEST_SCHEMA):
        if field.type in (TIME, pa.list_(TIME)):
            integers = pa.int64() if field.type == TIME else pa.list_(pa.int64())
            table = table.set_column(i, field.name, pc.cast(table[field.name], integers))
    return {row["company_id"]: row for row in table.to_pylist()}


def commit(store: Store, manifest: pa.Table) -> None:
    """Replace the dataset's manifest by `manifest` (MANIFEST_SCHEMA, in any order), atomically.

    Then delete the files that only the manifest before named, and those of writers that did not
    come to their end. A manifest with the same rows as the present one is not written.
    """
    manifest = manifest.sort_by("company_id")
    before = read_table(store, MANIFEST) if store.exists(MANIFEST) else None
    named = set(manifest["path"].unique().to_pylist())
    if before is None or not before.equals(manifest):
        if before is not None:
            note(store, sorted(set(before["path"].unique().to_pylist()) - named))
        metadata = {_FORMAT_KEY: str(FORMAT), _VERSION_KEY: version("scale_eval")}
        write_table(store, MANIFEST, manifest.replace_schema_metadata(metadata))
    remove_uncommitted(store, {*named, REFUSED})


def named_files(store: Store) -> set[str]:
    """Return the files that the manifest names, and that of refused rows; none without one."""
    if not store.exists(MANIFEST):
        return set()
    return {*read_manifest(store, ["path"])["path"].unique().to_pylist(), REFUSED}


def require_place(store: Store) -> None:
    """Raise `FileExistsError` where there is no dataset, but files of something else.

    What a writer left behind that was killed before its first manifest is not in the way. Raises
    `OSError` where the folder of transactions is a link.
    """
    store.require_no_link(TRANSACTIONS)
    if not store.exists(MANIFEST):
        ours = {*noted(store), UNCOMMITTED}
        require_free_place(store, "a dataset", ours.__contains__)


def _nth(ordered: np.ndarray, n: int) -> int | None:
    return int(ordered[n - 1]) if len(ordered) >= n else None
