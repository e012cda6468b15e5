"""A Dataset: companies' transactions as partitioned Parquet, and the manifest that finds them.

The manifest is the truth: a company's file is named after its content, and becomes part of the
dataset when the manifest that names it takes the place of the one before.
"""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.manifest import MANIFEST_SCHEMA, TIMESTAMP, TRANSACTIONS_SCHEMA, describe
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import LocalStore, open_store
from scale_eval.windows import Observed

MANIFEST = "manifest.parquet"
REFUSED = "refused.parquet"


class Dataset:
    """Companies' transactions, read by explicit path and row group.

    Open one with `open_dataset`; make one with ``scale-eval ingest`` or ``scale-eval synth``.
    Pickles to its path: workers read the manifest themselves.
    """

    def __init__(self, store: LocalStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"Dataset({str(self.store.root)!r}, {len(self.company_ids)} companies)"

    def __reduce__(self) -> tuple[type[Dataset], tuple[LocalStore]]:
        return Dataset, (self.store,)

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """One row a company, sorted by `company_id`; the columns are those of MANIFEST_SCHEMA."""
        return self.store.read_table(MANIFEST, schema=MANIFEST_SCHEMA).to_pandas()

    @cached_property
    def company_ids(self) -> list[str]:
        """Every company, sorted."""
        return self.manifest["company_id"].tolist()

    @property
    def refused(self) -> pd.DataFrame:
        """Rows that ingest refused: file, line, reason."""
        if not self.store.exists(REFUSED):
            return pd.DataFrame(columns=["file", "line", "reason"])
        return self.store.read_table(REFUSED).to_pandas()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all companies' ids and contents: what a run's results depend on."""
        digest = hashlib.sha256()
        columns = ["company_id", "content_hash", "dates_only"]
        for company_id, content, dates in self.manifest[columns].itertuples(index=False):
            digest.update(f"{len(company_id)}:{company_id}:{content}:{dates}\n".encode())
        return digest.hexdigest()

    def read(self, company_id: str) -> Transactions:
        """One company's transactions.

        Raises
        ------
        KeyError
            There is no such company.
        OSError, ValueError
            Its file is missing or damaged (pages carry checksums), or has another number of rows
            than the manifest says; the message names it.
        """
        try:
            entry = self._by_company[company_id]
        except KeyError:
            raise KeyError(f"{company_id!r} is not a company of {self.store.root}") from None
        groups = range(entry["first_row_group"], entry["first_row_group"] + entry["n_row_groups"])
        table = self.store.read_row_groups(
            entry["path"], groups, columns=TRANSACTIONS_SCHEMA.names[1:],
            dictionaries=["customer_id"],
        )  # fmt: skip
        if len(table) != entry["n_rows"]:
            raise ValueError(
                f"{entry['path']}: {len(table)} rows where the manifest says {entry['n_rows']}; "
                "ingest the company again"
            )
        return Transactions.from_arrow(company_id, table)

    def observed(
        self, company_id: str, *, purchase_rule: str, observed_until: pd.Timestamp | None
    ) -> Observed:
        """What the company's data can bear: see `scale_eval.windows`.

        Data are complete between a company's first and last row (to the end of the last day where
        all timestamps are dates), or until `observed_until` where that is given.
        """
        entry = self._by_company[company_id]
        until = observed_until
        if until is None:
            until = entry["last_timestamp"]
            if entry["dates_only"]:
                until += pd.Timedelta(days=1)

        def instant(column: str) -> pd.Timestamp | None:
            value = entry[f"{column}_{purchase_rule}"]
            return None if value is pd.NaT else value

        return Observed(
            first_timestamp=entry["first_timestamp"],
            until=until,
            first_customer_at=instant("first_customer_at"),
            tenth_customer_at=instant("tenth_customer_at"),
        )

    @cached_property
    def _by_company(self) -> dict[str, dict[str, Any]]:
        records: list[dict[str, Any]] = self.manifest.to_dict("records")
        return {record["company_id"]: record for record in records}


def open_dataset(place: str | os.PathLike[str] | LocalStore) -> Dataset:
    """The dataset at `place`, a directory made by ``scale-eval ingest`` or ``synth``.

    Raises
    ------
    FileNotFoundError
        There is no dataset.
    """
    store = open_store(place)
    if not store.exists(MANIFEST):
        raise FileNotFoundError(
            f"{store.root} is not a dataset (it has no {MANIFEST}); make one with "
            f"'scale-eval ingest FILE... --into {store.root}'"
        )
    return Dataset(store)


def write_company(
    store: LocalStore, company: Transactions, *, dates_only: bool, sources: Sequence[str]
) -> dict[str, Any]:
    """Write one company's rows to a file of their own; returns its row for `commit`.

    The file is named after its content, so that writing the same rows again changes nothing, and
    nobody reads it before a manifest names it.
    """
    row = describe(company, dates_only=dates_only, sources=list(sources))
    row["path"] = (
        f"transactions/{_directory(company.company_id)}/{row['content_hash'][:16]}.parquet"
    )
    n_rows = len(company)
    if not store.exists(row["path"]):
        columns = [
            pa.repeat(company.company_id, n_rows),
            company.customers.take(pa.array(company.codes)),
            pa.array(company.timestamps).cast(TIMESTAMP),
            pa.array(company.values),
        ]
        store.write_table(row["path"], pa.table(columns, schema=TRANSACTIONS_SCHEMA))
    row["first_row_group"], row["n_row_groups"] = 0, store.n_row_groups(row["path"])
    return row


def commit(store: LocalStore, rows: Iterable[dict[str, Any]]) -> None:
    """Make `rows` (from `write_company`, one a company) the dataset, at once.

    Files that the new manifest does not name are removed afterwards. A manifest that would not
    differ from the present one is left untouched.
    """
    manifest = pa.Table.from_pylist(list(rows), schema=MANIFEST_SCHEMA).sort_by("company_id")
    unchanged = store.exists(MANIFEST) and store.read_table(MANIFEST).equals(manifest)
    if not unchanged:
        store.write_table(MANIFEST, manifest)
    named = set(manifest["path"].to_pylist())
    for name in store.names("transactions/**/*.parquet"):
        if name not in named:
            store.remove(name)


def read_manifest_rows(store: LocalStore) -> dict[str, dict[str, Any]]:
    """The manifest's rows by company id, as `write_company` makes them; empty for a new dataset."""
    if not store.exists(MANIFEST):
        return {}
    table = store.read_table(MANIFEST, schema=MANIFEST_SCHEMA)
    for i, field in enumerate(MANIFEST_SCHEMA):
        if field.type == TIMESTAMP:
            table = table.set_column(i, field.name, pc.cast(table[field.name], pa.int64()))
    return {row["company_id"]: row for row in table.to_pylist()}


def _directory(company_id: str) -> str:
    """A company's directory: without ``/``, ``key=value`` and leading dots, and not too long."""
    quoted = urllib.parse.quote(company_id, safe=" ")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) > 200:
        quoted = f"{quoted[:180]}~{hashlib.sha256(company_id.encode()).hexdigest()[:16]}"
    return quoted
