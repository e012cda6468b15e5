"""Predictions made elsewhere, read from a file and evaluated like those of any model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.instants import as_utc, microseconds
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.storage import open_store, read_metadata, read_row_groups

_IDS = ("company_id", "customer_id")
_COLUMNS = (*_IDS, "cutoff", "probability")
_ROWS = pa.schema([("customer_id", pa.string()), ("probability", pa.float64())])


class Predictions:
    """A Parquet file of predictions, under the name ``predictions:FILE.parquet``.

    Its columns are company_id and customer_id (strings), cutoff (a timestamp, a date or ISO text;
    without a zone it is UTC) and probability. Sort a large file by company_id: a few row groups
    stay in memory, and each is then read once.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    FileNotFoundError, ValueError
        The file does not exist; it is not Parquet, or lacks a column, or its ids are no strings.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = f"predictions:{os.fspath(path)}"
        self.path = Path(path).expanduser().absolute()
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: there is no such file of predictions")
        try:
            schema = _read(self.path, [], _COLUMNS).schema
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self.path} is not a Parquet file: {error}") from error
        missing = [column for column in _COLUMNS if column not in schema.names]
        if missing:
            raise ValueError(
                f"{self.path} has no column {', '.join(missing)}; predictions need "
                + ", ".join(_COLUMNS)
            )
        for column in _IDS:
            if not _is_text(schema.field(column).type):
                raise ValueError(
                    f"{self.path}: column {column} is {schema.field(column).type}, but ids are "
                    "strings (0012 is not 12); write it as text"
                )

    def fit(self, history: History) -> Predictions:
        """Learn nothing from the history."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the file's probabilities for this company and cutoff; shape (n_customers,).

        Raises
        ------
        Skipped
            ``no_predictions``: the file has no row for this company and cutoff.
        ValueError
            Customers are missing, or have more than one prediction.
        """
        rows = self._rows(history)
        if len(rows) == 0:
            raise Skipped("no_predictions", f"{self.path.name} has none at this cutoff")
        ids = rows["customer_id"]
        counted = pc.value_counts(ids)
        repeated = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
        if len(repeated):
            raise ValueError(
                f"{self.path.name}: {len(repeated)} of the customers of {history.company_id} have "
                f"more than one prediction at {history.cutoff:%Y-%m-%d}, such as "
                f"{str(repeated[0])!r}"
            )
        customers = pa.array(history.customers, pa.string())
        positions = pc.index_in(customers, value_set=ids)
        if positions.null_count:
            missing = customers.filter(positions.is_null())
            raise ValueError(
                f"{self.path.name}: {len(missing)} of the {history.n_customers} customers of "
                f"{history.company_id} have no prediction at {history.cutoff:%Y-%m-%d}, such as "
                f"{str(missing[0])!r}"
            )
        n_left_out = len(rows) - history.n_customers
        self.note_ = f"{n_left_out} predictions left out: not its customers" if n_left_out else ""
        return rows["probability"].take(positions).to_numpy()

    def content_hash(self) -> str:
        """Return the SHA-256 of the file, on which the results depend."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _rows(self, history: History) -> pa.Table:
        """Return customer_id and probability of the rows for this company and cutoff."""
        status = self.path.stat()
        file = _Version(str(self.path), status.st_mtime_ns, status.st_size)
        parts = [_ROWS.empty_table()]
        for index in _row_groups(file).get(history.company_id, []):
            group = _row_group(file, index)
            matches = pc.and_(
                pc.equal(group["company_id"], history.company_id),
                pc.equal(group["cutoff"], microseconds(history.cutoff)),
            )
            parts.append(group.select(_ROWS.names).filter(matches))
        return pa.concat_tables(parts)


class _Version(NamedTuple):
    """The version of a file, under which its content is cached."""

    path: str
    modified_ns: int
    size: int


@lru_cache(maxsize=4)
def _row_groups(file: _Version) -> dict[str, list[int]]:
    """Return the row groups in which each company has rows."""
    path = Path(file.path)
    by_company: dict[str, list[int]] = {}
    for index in range(read_metadata(open_store(path.parent), path.name).num_row_groups):
        for company in _read(path, [index], ["company_id"])["company_id"].unique().to_pylist():
            by_company.setdefault(company, []).append(index)
    return by_company


@lru_cache(maxsize=8)
def _row_group(file: _Version, index: int) -> pa.Table:
    """Read one row group: ids as strings, cutoffs as microseconds since 1970 UTC."""
    table = _read(Path(file.path), [index], _COLUMNS)
    cutoffs = table["cutoff"].combine_chunks().dictionary_encode()
    instants = [microseconds(as_utc(cutoff)) for cutoff in cutoffs.dictionary.to_pylist()]
    return pa.table(
        {
            "company_id": table["company_id"].cast(pa.string()),
            "customer_id": table["customer_id"].cast(pa.string()),
            "cutoff": pa.array(instants, pa.int64()).take(cutoffs.indices),
            "probability": table["probability"].cast(pa.float64()),
        }
    )


def _read(path: Path, row_groups: list[int], columns: Sequence[str]) -> pa.Table:
    return read_row_groups(open_store(path.parent), path.name, row_groups, columns=columns)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
