"""A Dataset: companies' transactions as partitioned Parquet, and the manifest that finds them.

The manifest is the truth: a file is named after its content, and becomes part of the dataset when
the manifest that names it takes the place of the one before. A file that many companies share (see
`datasets.file_layout`) stays for as long as one of them is read from it; a company that is
replaced or appended to is written anew elsewhere, and its old rows are nobody's.
"""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.decoding import DecodedRows, decode
from scale_eval.datasets.manifest import MANIFEST_SCHEMA, TIMESTAMP, TRANSACTIONS_SCHEMA, describe
from scale_eval.datasets.row_locations import Places
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import (
    ROWS_PER_ROW_GROUP,
    Store,
    open_store,
    read_row_groups,
    read_table,
    write_row_groups,
    write_table,
)

MANIFEST = "manifest.parquet"
REFUSED = "refused.parquet"

_AS_READ = [pa.dictionary(pa.int32(), pa.string()), *TRANSACTIONS_SCHEMA.types[2:]]


class Dataset:
    """Companies' transactions, read by explicit path and row group.

    Open one with `open_dataset`; make one with ``scale-eval ingest`` or ``scale-eval synth``.
    Pickles to its path: workers read the manifest themselves.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"Dataset({str(self.store.root)!r}, {len(self.company_ids)} companies)"

    def __reduce__(self) -> tuple[type[Dataset], tuple[Store]]:
        return Dataset, (self.store,)

    @cached_property
    def manifest_table(self) -> pa.Table:
        """One row a company, sorted by `company_id`, by MANIFEST_SCHEMA."""
        return _read_manifest(self.store)

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """The `manifest_table` as a DataFrame."""
        return self.manifest_table.to_pandas()

    @cached_property
    def company_ids(self) -> list[str]:
        """Every company, sorted."""
        return _read_manifest(self.store, ["company_id"])["company_id"].to_pylist()

    @property
    def refused(self) -> pd.DataFrame:
        """Rows that ingest refused: file, line, reason."""
        if not self.store.exists(REFUSED):
            return pd.DataFrame(columns=["file", "line", "reason"])
        return read_table(self.store, REFUSED).to_pandas()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all companies' ids and contents: what a run's results depend on."""
        digest = hashlib.sha256()
        table = _read_manifest(self.store, ["company_id", "content_hash", "dates_only"])
        columns = (table[name].to_pylist() for name in ("company_id", "content_hash", "dates_only"))
        for company_id, content, dates in zip(*columns, strict=True):
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
        _, company = next(self.read_many([company_id]))
        if isinstance(company, Exception):
            raise company
        return company.copy()

    def read_many(
        self, company_ids: Iterable[str]
    ) -> Iterator[tuple[str, Transactions | OSError | ValueError]]:
        """Companies in the order given, each with what `read` gives or the error that it raises.

        A row group is read once for all companies in it that follow one another, as they do where
        they are asked for in the order of `reading_order`. What is yielded are views of it.

        Raises
        ------
        KeyError
            There is no such company; nothing is read then.
        """
        names = list(company_ids)
        positions = np.array([self._position(name) for name in names], dtype=np.int64)
        places = self._places[positions]
        for start, stop in pairwise(places.runs().tolist()):
            yield from self._read_together(names[start:stop], places[start:stop])

    def reading_order(self, company_ids: Sequence[str]) -> list[str]:
        """These companies in the order in which their rows lie on disk.

        Raises `KeyError` where there is no such company.
        """
        positions = np.array([self._position(name) for name in company_ids], dtype=np.int64)
        return [company_ids[i] for i in self._places[positions].order().tolist()]

    def place(self, company_id: str) -> tuple[str, int]:
        """The file that holds a company, and the first of its row groups there.

        Raises `KeyError` where there is no such company.
        """
        i = self._position(company_id)
        return self._places.names[self._places.file[i]], int(self._places.first_row_group[i])

    def n_bytes(self, company_ids: Sequence[str]) -> int:
        """About how much is read from disk for these companies: the row groups that hold them.

        Raises `KeyError` where there is no such company.
        """
        positions = [self._position(name) for name in company_ids]
        every, these = self._places, self._places[np.array(positions, dtype=np.int64)]
        n_bytes = 0.0
        for file in np.unique(these.file).tolist():
            held = every.file == file
            n_groups = int((every.first_row_group + every.n_row_groups)[held].max())
            read = np.unique(these.first_row_group[these.file == file]).size
            read += int((these.n_row_groups[these.file == file] - 1).sum())
            n_bytes += self.store.size(every.names[file]) * min(read / n_groups, 1.0)
        return round(n_bytes)

    def _read_together(
        self, names: Sequence[str], places: Places
    ) -> Iterator[tuple[str, Transactions | OSError | ValueError]]:
        """Companies that lie in the same row groups."""
        path = places.names[places.file[0]]
        starts, stops = places.row_offset, places.row_offset + places.n_rows
        try:
            rows = self._read_rows(path, places, starts, stops)
        except (OSError, ValueError) as error:
            for name in names:
                yield name, error
            return
        customers = rows.first_customer
        sound = np.diff(customers) == places.n_customers
        for name, start, stop, first, last, is_sound in zip(
            names,
            starts.tolist(),
            stops.tolist(),
            customers[:-1].tolist(),
            customers[1:].tolist(),
            sound.tolist(),
            strict=True,
        ):
            if not is_sound:
                yield (
                    name,
                    ValueError(
                        f"{self.store.root}/{path} is damaged: {last - first} customers of "
                        f"{name!r} where the manifest has another number"
                    ),
                )
                continue
            yield (
                name,
                Transactions(
                    name,
                    rows.ids.slice(first, last),
                    rows.codes[start:stop],
                    rows.timestamps[start:stop],
                    rows.values[start:stop],
                ),
            )

    def _read_rows(
        self, path: str, places: Places, starts: np.ndarray, stops: np.ndarray
    ) -> DecodedRows:
        first, n = int(places.first_row_group[0]), int(places.n_row_groups[0])
        wanted = TRANSACTIONS_SCHEMA.names[1:]
        table = read_row_groups(
            self.store, path, range(first, first + n), columns=wanted, dictionaries=["customer_id"]
        )
        try:
            # Pages have checksums, but their headers and the footer have none.
            if table.schema.names != wanted or table.schema.types != _AS_READ:
                raise ValueError(f"its columns are {table.schema.names}")
            return decode(table, starts, stops)
        except ValueError as error:
            raise ValueError(f"{self.store.root}/{path} is damaged: {error}") from error

    def _position(self, company_id: str) -> int:
        """Of a company in the manifest; raises `KeyError` where there is none."""
        try:
            return self._positions[company_id]
        except KeyError:
            raise KeyError(f"{company_id!r} is not a company of {self.store.root}") from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {company_id: i for i, company_id in enumerate(self.company_ids)}

    @cached_property
    def _places(self) -> Places:
        return Places.of(_read_manifest(self.store, Places.COLUMNS))


def open_dataset(place: str | os.PathLike[str] | Store) -> Dataset:
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
    store: Store,
    company: Transactions,
    *,
    dates_only: bool,
    sources: Sequence[str],
    beneath: str = "transactions",
) -> dict[str, Any]:
    """Write one company's rows to a file of their own; returns its row for `commit`.

    The file goes into a directory of the company's `beneath` the one named. It is named after its
    content, so that writing the same rows again changes nothing, and nobody reads it before a
    manifest names it.
    """
    row = describe(company, dates_only=dates_only, sources=list(sources))
    directory = f"{beneath}/{_directory(company.company_id)}"
    name = f"{row['content_hash'][:16]}.parquet"
    starts = range(0, len(company), ROWS_PER_ROW_GROUP)
    if not store.exists(f"{directory}/{name}"):
        table = rows_of(company)
        write_rows(
            store,
            directory,
            (table.slice(start, ROWS_PER_ROW_GROUP) for start in starts),
            name=lambda: name,
        )
    row["path"] = f"{directory}/{name}"
    row["first_row_group"], row["n_row_groups"], row["row_offset"] = 0, len(starts), 0
    return row


def rows_of(company: Transactions) -> pa.Table:
    """A company's rows by TRANSACTIONS_SCHEMA."""
    columns = [
        pa.repeat(company.company_id, len(company)),
        company.customers.take(pa.array(company.codes)),
        pa.array(company.timestamps).cast(TIMESTAMP),
        pa.array(company.values),
    ]
    return pa.table(columns, schema=TRANSACTIONS_SCHEMA)


def write_rows(
    store: Store, directory: str, row_groups: Iterable[pa.Table], *, name: Callable[[], str]
) -> str | None:
    """Write a file of transactions; see `storage.write_row_groups`."""
    return write_row_groups(
        store,
        directory,
        TRANSACTIONS_SCHEMA,
        row_groups,
        name=name,
        repeating=["company_id", "customer_id", "value"],
        ascending=["timestamp"],
    )


def commit(store: Store, rows: Iterable[dict[str, Any]]) -> None:
    """Make `rows` (from `write_company` or `write_pack`, one a company) the dataset, at once."""
    commit_manifest(store, pa.Table.from_pylist(list(rows), schema=MANIFEST_SCHEMA))


def commit_manifest(store: Store, manifest: pa.Table) -> None:
    """Make `manifest` (by MANIFEST_SCHEMA, in any order) the dataset, at once.

    Files that the new manifest does not name are removed afterwards. A manifest that would not
    differ from the present one is left untouched.
    """
    manifest = manifest.sort_by("company_id")
    unchanged = store.exists(MANIFEST) and read_table(store, MANIFEST).equals(manifest)
    if not unchanged:
        write_table(store, MANIFEST, manifest)
    remove_unnamed(store, set(manifest["path"].unique().to_pylist()))


def remove_unnamed(store: Store, named: set[str]) -> None:
    """Remove the files of transactions that are not among `named`."""
    for name in store.names("transactions/**/*.parquet"):
        if name not in named:
            store.delete(name)


def read_manifest_rows(store: Store) -> dict[str, dict[str, Any]]:
    """The manifest's rows by company id, as `write_company` makes them; empty for a new dataset."""
    if not store.exists(MANIFEST):
        return {}
    table = _read_manifest(store)
    for i, field in enumerate(MANIFEST_SCHEMA):
        if field.type == TIMESTAMP:
            table = table.set_column(i, field.name, pc.cast(table[field.name], pa.int64()))
    return {row["company_id"]: row for row in table.to_pylist()}


def _read_manifest(store: Store, columns: Sequence[str] | None = None) -> pa.Table:
    """The manifest, or some of its columns, by MANIFEST_SCHEMA.

    Datasets of the first version have no `row_offset`: each company has a file of its own there.
    """
    schema = MANIFEST_SCHEMA
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    table = read_table(store, MANIFEST, columns=columns)
    if "row_offset" in schema.names and "row_offset" not in table.column_names:
        table = table.append_column("row_offset", pa.array(np.zeros(len(table), dtype=np.int64)))
    return table.select(schema.names).cast(schema)


def _directory(company_id: str) -> str:
    """A company's directory: without ``/``, ``key=value`` and leading dots, and not too long."""
    quoted = urllib.parse.quote(company_id, safe=" ")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) > 200:
        quoted = f"{quoted[:180]}~{hashlib.sha256(company_id.encode()).hexdigest()[:16]}"
    return quoted
