"""What becomes of the companies that files bring: new, unchanged, replaced or appended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.manifest import TRANSACTIONS_SCHEMA, content_hash
from scale_eval.datasets.packing import Delivery
from scale_eval.datasets.records import IngestError
from scale_eval.datasets.timestamps import DAY
from scale_eval.datasets.transactions import Transactions
from scale_eval.storage import LocalStore
from scale_eval.windows import from_microseconds, microseconds


@dataclass(frozen=True)
class Arrival:
    """A company as the files of one ingest bring it, and what becomes of it.

    Attributes
    ----------
    company_id : str
    status : str
        ``new``, ``replaced``, ``appended`` or ``unchanged``.
    rows : pyarrow.Table
        What is to be written, or is there already: as in ROWS_SCHEMA with the position of the
        `file`, sorted as in a Dataset.
    late : pyarrow.Table
        What could not be appended because it is not later than what is known.
    known : dict or None
        The company's row of the manifest.
    """

    company_id: str
    status: str
    rows: pa.Table
    late: pa.Table
    known: dict[str, Any] | None

    @property
    def files(self) -> list[int]:
        """Positions of the files that `rows` came from."""
        return self.rows["file"].unique().to_pylist()

    def delivery(self, store: LocalStore, sources: Sequence[str]) -> Delivery:
        """The company, to be written. `sources` are by position of file."""
        dates_only = _dates_only(self.rows)
        fed_by = {sources[i] for i in self.files}
        rows = self.rows.select(TRANSACTIONS_SCHEMA.names).cast(TRANSACTIONS_SCHEMA)
        if self.status == "appended":
            assert self.known is not None
            dates_only = dates_only and self.known["dates_only"]
            fed_by.update(self.known["sources"])
            rows = _sorted(pa.concat_tables([_read(store, self.known), rows]))
        return Delivery(
            Transactions.from_arrow(self.company_id, rows),
            dates_only=dates_only,
            sources=sorted(fed_by),
        )


def arrivals(
    store: LocalStore, rows: pa.Table, sources: Sequence[str],
    known: Mapping[str, dict[str, Any]], *, append: bool, replace: bool, timezone: str,
) -> list[Arrival]:  # fmt: skip
    """What becomes of each company in `rows` (ROWS_SCHEMA and the position of the `file`).

    A company whose files are already among its sources is unchanged, and so is one that comes with
    the rows that it has; if its file in the dataset was lost, these take its place.

    Raises
    ------
    IngestError
        A company is known with other rows, and it is said neither to append nor to replace.
    """

    def arrival(company_id: str, rows: pa.Table) -> Arrival:
        row = known.get(company_id)
        none_late = rows.slice(0, 0)
        if row is None:
            return Arrival(company_id, "new", rows, none_late, row)
        files = rows["file"].unique().to_pylist()
        before, now = set(row["sources"]), {sources[i] for i in files}
        if now == before or _is_what_it_has(row, rows):
            status = "unchanged" if store.exists(row["path"]) else "replaced"
            return Arrival(company_id, status, rows, none_late, row)
        if now < before and not replace:
            return Arrival(company_id, "unchanged", rows, none_late, row)
        if replace:
            return Arrival(company_id, "replaced", rows, none_late, row)
        if not append:
            raise IngestError(
                f"company {company_id!r} is known from {_names(before)} and comes with other rows "
                f"from {_names(now - before)}; append later rows (--append), put these in the "
                "place of the old ones (--replace), or give the company another name"
            )
        fresh = [i for i in files if sources[i] not in before]
        rows = rows.filter(pc.is_in(rows["file"], value_set=pa.array(fresh, pa.int32())))
        is_late = pc.less(rows["timestamp"].cast(pa.int64()), _end(row, timezone))
        kept, late = rows.filter(pc.invert(is_late)), rows.filter(is_late)
        status = "appended" if len(kept) else "unchanged"
        return Arrival(company_id, status, kept, late, row)

    return [arrival(company_id, table) for company_id, table in _by_company(rows)]


def _by_company(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    rows = _sorted(rows)
    codes = rows["company_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for start, stop in pairwise(bounds.tolist()):
        company = rows.slice(start, stop - start)
        yield company["company_id"][0].as_py(), company


def _sorted(rows: pa.Table) -> pa.Table:
    """`rows` in the order of a Dataset."""
    keys = [
        _ranks(rows["company_id"]), _ranks(rows["customer_id"]), rows["timestamp"], rows["value"]
    ]  # fmt: skip
    keys = pa.table(keys, names=TRANSACTIONS_SCHEMA.names).combine_chunks()
    order = [(name, "ascending") for name in keys.column_names]
    return rows.take(pc.sort_indices(keys, sort_keys=order))


def _ranks(ids: pa.ChunkedArray) -> pa.Array:
    """Strings as integers of the same order, which sort several times as fast."""
    codes = ids.combine_chunks().dictionary_encode()
    return pc.rank(codes.dictionary).take(codes.indices)


def _is_what_it_has(row: Mapping[str, Any], rows: pa.Table) -> bool:
    if row["n_rows"] != len(rows):
        return False
    return row["content_hash"] == content_hash(Transactions.from_arrow(row["company_id"], rows))


def _end(row: Mapping[str, Any], timezone: str) -> int:
    """The first instant, in microseconds, that is later than a known company's last row."""
    if not row["dates_only"]:
        return row["last_timestamp"] + 1
    last = from_microseconds(row["last_timestamp"]).tz_convert(timezone)
    return microseconds(last + pd.DateOffset(days=1))


def _dates_only(rows: pa.Table) -> bool:
    if pc.all(rows["midnight"]).as_py():
        return True
    return not np.any(rows["timestamp"].cast(pa.int64()).to_numpy() % DAY)


def _read(store: LocalStore, row: Mapping[str, Any]) -> pa.Table:
    groups = range(row["first_row_group"], row["first_row_group"] + row["n_row_groups"])
    try:
        rows = store.read_row_groups(row["path"], groups, columns=TRANSACTIONS_SCHEMA.names)
        return rows.slice(row["row_offset"], row["n_rows"])
    except (OSError, pa.ArrowInvalid) as error:
        raise IngestError(
            f"company {row['company_id']!r}: {row['path']} is damaged ({error}); remove it and "
            "ingest the company's files again"
        ) from error


def _names(sources: Iterable[str]) -> str:
    """The files of some sources, for a message."""
    names = sorted(source.rpartition("#")[0] for source in sources)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
