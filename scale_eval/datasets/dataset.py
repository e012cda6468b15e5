"""A dataset: companies' transactions as partitioned Parquet, read by way of the manifest.

A file of transactions is named after its content. A file that many companies share (see
`datasets.file_layout`) stays as long as the manifest names it for one of them. A company that is
replaced or appended to is written to another file, and its old rows are no longer read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property, partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.decoding import DecodedRows, decode
from scale_eval.datasets.manifest import (
    MANIFEST,
    REFUSED,
    TRANSACTIONS_SCHEMA,
    read_manifest,
    require_inside,
    require_readable,
)
from scale_eval.datasets.row_locations import RowLocations
from scale_eval.datasets.transactions import Transactions
from scale_eval.html_repr import SHOWN_ROWS, facts_and_table, first_rows
from scale_eval.places import require_dataset
from scale_eval.storage import Store, open_store, read_row_groups, read_table

_AS_READ = [pa.dictionary(pa.int32(), pa.string()), *TRANSACTIONS_SCHEMA.types[2:]]


class Dataset:
    """A dataset holds companies' transactions and reads them by path and row group.

    Open one with `open_dataset`; make one with ``scale-eval ingest`` or ``scale-eval synth``.
    A pickled dataset is its store alone: workers read the manifest themselves.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"Dataset({str(self.store.root)!r}, {len(self.company_ids)} companies)"

    def _repr_html_(self) -> str:
        """Return what it holds, and its first companies."""
        columns = ["company_id", "n_rows", "n_customers", "first_timestamp", "last_timestamp"]
        facts = read_manifest(self.store, columns).to_pandas()
        first = facts.head(SHOWN_ROWS)
        counts = {name: facts[f"n_{name}"].sum() for name in ("rows", "customers")}
        told = [f"{len(facts):,} companies", *(f"{n:,} {name}" for name, n in counts.items())]
        if len(facts):
            ends = facts["first_timestamp"].min(), facts["last_timestamp"].max()
            told.append(" to ".join(f"{end:%Y-%m-%d}" for end in ends))
        table = pd.DataFrame(
            {
                "company": first["company_id"],
                **{name: first[f"n_{name}"].map("{:,}".format) for name in counts},
                **{
                    end: first[f"{end}_timestamp"].dt.strftime("%Y-%m-%d")
                    for end in ("first", "last")
                },
            }
        )
        return facts_and_table(
            f"Dataset {self.store.root}",
            told,
            table,
            first_rows(len(first), len(facts), "companies"),
        )

    def __reduce__(self) -> tuple[type[Dataset], tuple[Store]]:
        return Dataset, (self.store,)

    @cached_property
    def manifest_table(self) -> pa.Table:
        """Return one row a company, sorted by `company_id`, by MANIFEST_SCHEMA."""
        return read_manifest(self.store)

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """Return the `manifest_table` as a DataFrame."""
        return self.manifest_table.to_pandas()

    @cached_property
    def company_ids(self) -> list[str]:
        """Return the id of every company, sorted."""
        return read_manifest(self.store, ["company_id"])["company_id"].to_pylist()

    @property
    def period(self) -> tuple[str, str] | None:
        """Return the days of the first and the last transaction, ``YYYY-MM-DD`` in UTC.

        None for a dataset without transactions.
        """
        table = read_manifest(self.store, ["first_timestamp", "last_timestamp"])
        ends = pc.min(table["first_timestamp"]).as_py(), pc.max(table["last_timestamp"]).as_py()
        if None in ends:
            return None
        return f"{ends[0]:%Y-%m-%d}", f"{ends[1]:%Y-%m-%d}"

    @property
    def refused(self) -> pd.DataFrame:
        """Return the rows that ingest refused: file, line, reason."""
        if not self.store.exists(REFUSED):
            return pd.DataFrame(columns=["file", "line", "reason"])
        return read_table(self.store, REFUSED).to_pandas()

    @cached_property
    def content_hash(self) -> str:
        """Return the SHA-256 of all companies' ids and rows, on which a run's results depend."""
        digest = hashlib.sha256()
        table = read_manifest(self.store, ["company_id", "content_hash", "dates_only"])
        columns = (table[name].to_pylist() for name in ("company_id", "content_hash", "dates_only"))
        for company_id, content, dates in zip(*columns, strict=True):
            digest.update(f"{len(company_id)}:{company_id}:{content}:{dates}\n".encode())
        return digest.hexdigest()

    def read(self, company_id: str) -> Transactions:
        """Read one company's transactions.

        Raises
        ------
        KeyError
            There is no such company.
        OSError, ValueError
            Its file is missing or damaged (pages carry checksums), or does not agree with the
            manifest; the message names it.
        """
        _, company = next(self.read_many([company_id]))
        if isinstance(company, Exception):
            raise company
        return company.copy()

    def read_many(
        self, company_ids: Iterable[str]
    ) -> Iterator[tuple[str, Transactions | OSError | ValueError]]:
        """Read companies in the order given: each with its transactions, or with the error.

        The error is the one that `read` raises. A row group is read once for all companies in it
        that follow one another, as they do in the order of `reading_order`. The transactions are
        views of the row group.

        Raises
        ------
        KeyError
            There is no such company; nothing is read then.
        """
        names = list(company_ids)
        positions = np.array([self._position(name) for name in names], dtype=np.int64)
        locations = self._locations[positions]
        for start, stop in pairwise(locations.row_group_bounds().tolist()):
            yield from self._read_together(names[start:stop], locations[start:stop])

    def reading_order(self, company_ids: Sequence[str]) -> list[str]:
        """Return these companies in the order in which their rows lie on disk.

        Raises `KeyError` where there is no such company.
        """
        positions = np.array([self._position(name) for name in company_ids], dtype=np.int64)
        return [company_ids[i] for i in self._locations[positions].disk_order().tolist()]

    def place(self, company_id: str) -> tuple[str, int]:
        """Return the file that holds a company, and the first of its row groups there.

        Raises `KeyError` where there is no such company.
        """
        i = self._position(company_id)
        return self._locations.names[self._locations.file[i]], int(
            self._locations.first_row_group[i]
        )

    def n_bytes(self, company_ids: Sequence[str]) -> int:
        """Estimate the bytes that are read from disk for these companies, in whole row groups.

        Raises `KeyError` where there is no such company.
        """
        positions = [self._position(name) for name in company_ids]
        locations = self._locations
        chosen = locations[np.array(positions, dtype=np.int64)]
        n_bytes = 0.0
        for file in np.unique(chosen.file).tolist():
            in_file = locations.file == file
            n_groups = int((locations.first_row_group + locations.n_row_groups)[in_file].max())
            n_read = np.unique(chosen.first_row_group[chosen.file == file]).size
            n_read += int((chosen.n_row_groups[chosen.file == file] - 1).sum())
            n_bytes += self.store.size(locations.names[file]) * min(n_read / n_groups, 1.0)
        return round(n_bytes)

    def _read_together(
        self, names: Sequence[str], locations: RowLocations
    ) -> Iterator[tuple[str, Transactions | OSError | ValueError]]:
        """Read companies that lie in the same row groups."""
        path = locations.names[locations.file[0]]
        starts, stops = locations.row_offset, locations.row_offset + locations.n_rows
        try:
            rows = self._read_rows(path, locations, starts, stops)
        except (OSError, ValueError) as error:
            for name in names:
                yield name, error
            return
        customers = rows.first_customer
        sound = np.diff(customers) == locations.n_customers
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
        self, path: str, locations: RowLocations, starts: np.ndarray, stops: np.ndarray
    ) -> DecodedRows:
        first, n = int(locations.first_row_group[0]), int(locations.n_row_groups[0])
        names = TRANSACTIONS_SCHEMA.names[1:]
        self._require_inside(path)
        table = read_row_groups(
            self.store, path, range(first, first + n), columns=names, dictionaries=["customer_id"]
        )
        try:
            # Pages have checksums, but their headers and the footer have none.
            if table.schema.names != names or table.schema.types != _AS_READ:
                raise ValueError(f"its columns are {table.schema.names}")
            return decode(table, starts, stops)
        except ValueError as error:
            raise ValueError(f"{self.store.root}/{path} is damaged: {error}") from error

    @cached_property
    def _require_inside(self) -> Callable[[str], None]:
        """Return `require_inside` of this dataset, which looks at each file once."""
        return cache(partial(require_inside, self.store))

    def _position(self, company_id: str) -> int:
        """Return a company's position in the manifest; raise `KeyError` where it has none."""
        try:
            return self._positions[company_id]
        except KeyError:
            raise KeyError(f"{company_id!r} is not a company of {self.store.root}") from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {company_id: i for i, company_id in enumerate(self.company_ids)}

    @cached_property
    def _locations(self) -> RowLocations:
        locations = RowLocations.from_manifest(read_manifest(self.store, RowLocations.COLUMNS))
        for name in locations.names:
            require_inside(self.store, name, links=False)
        return locations


def open_dataset(place: str | os.PathLike[str] | Store | Dataset) -> Dataset:
    """Open the dataset at `place`, which ``scale-eval ingest`` or ``synth`` made.

    A dataset that is open is returned as it is.

    Raises
    ------
    FileNotFoundError
        There is no dataset.
    OSError, ValueError
        Its manifest is damaged, or it is of another format than the one this version reads; or
        `place` is no path.
    """
    if isinstance(place, Dataset):
        return place
    try:
        store = open_store(place)
    except ValueError as error:
        if isinstance(place, str | os.PathLike):
            raise
        raise ValueError(
            f"a dataset is a path, or what se.open_dataset returns, not a {type(place).__name__}; "
            "se.ingest(files_or_tables, into='datasets/shops') makes one"
        ) from error
    if not store.exists(MANIFEST):
        require_dataset(store.root)
    require_readable(store)
    return Dataset(store)
