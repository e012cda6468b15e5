"""Decode Arrow tables of rows into arrays, with each company's customers numbered from 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scale_eval.compiling import compiled
from scale_eval.datasets.customer_ids import CustomerIds, customer_groups


@dataclass(frozen=True)
class DecodedRows:
    """Decoded rows of one or many companies.

    Attributes
    ----------
    codes : ndarray of int32, shape (n_rows,)
        The customer of each row, from 0 in each company; meaningless outside the companies.
    timestamps : ndarray of int64, shape (n_rows,)
        Microseconds since 1970-01-01 UTC.
    values : ndarray of float64, shape (n_rows,)
    ids : CustomerIds
        The customers of all the companies, one company after the other.
    first_customer : ndarray of int64, shape (n_companies + 1,)
        Position in `ids` at which the customers of each company begin.
    """

    codes: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray
    ids: CustomerIds
    first_customer: np.ndarray


def decode(table: pa.Table, starts: np.ndarray, stops: np.ndarray) -> DecodedRows:
    """Decode rows that are sorted as in a Dataset.

    Parameters
    ----------
    table : pyarrow.Table
        `customer_id` as strings or dictionary codes, `timestamp`, `value`.
    starts, stops : ndarray of int64, shape (n_companies,)
        The rows of each company.

    Raises
    ------
    ValueError
        The table cannot have been written by a Dataset: nulls, ids that are not UTF-8, or fewer
        rows than the companies have.
    """
    if any(table[name].null_count for name in ("customer_id", "timestamp", "value")):
        raise ValueError("some rows have no customer, timestamp or value")
    if len(stops) and stops.max() > len(table):
        raise ValueError(f"{len(table)} rows where there should be {stops.max()}")
    dictionary, id_codes = _dictionary(table["customer_id"])
    instants = table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    codes, positions, first_customer = _number_customers(id_codes, starts, stops)
    return DecodedRows(
        codes,
        _array(instants),
        _array(table["value"]),
        CustomerIds(dictionary, positions, customer_groups(dictionary)[positions]),
        first_customer,
    )


def _dictionary(ids: pa.ChunkedArray) -> tuple[pa.StringArray, np.ndarray]:
    """Return the distinct ids, and the position of each row's id; int32, shape (n_rows,)."""
    if not pa.types.is_dictionary(ids.type):
        ids = ids.combine_chunks().dictionary_encode()
    if isinstance(ids, pa.ChunkedArray):  # chunks may have dictionaries of their own
        ids = ids.chunk(0) if ids.num_chunks == 1 else ids.unify_dictionaries().combine_chunks()
    if isinstance(ids, pa.ChunkedArray):  # Arrow gives one chunk, or none
        ids = ids.chunk(0)
    ids.validate(full=True)  # compiled code does not check bounds
    codes = ids.indices.cast(pa.int32()).to_numpy(zero_copy_only=False)
    return ids.dictionary.cast(pa.string()), codes


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """Convert to NumPy, without copying a column that is in one piece."""
    return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()


@compiled
def _number_customers(id_codes, starts, stops):  # type: ignore[no-untyped-def]
    """Return codes within each company, the position of each customer's id, and their bounds.

    The rows of a customer are neighbours: where the id changes, another customer begins.
    """
    codes = np.empty(len(id_codes), dtype=np.int32)
    positions = np.empty(len(id_codes), dtype=np.int32)
    first_customer = np.empty(len(starts) + 1, dtype=np.int64)
    n = 0
    for i in range(len(starts)):
        first_customer[i] = n
        code = previous = np.int32(-1)
        for row in range(starts[i], stops[i]):
            position = id_codes[row]
            if position != previous:
                code += np.int32(1)
                positions[n] = position
                n += 1
                previous = position
            codes[row] = code
    first_customer[len(starts)] = n
    return codes, positions[:n].copy(), first_customer
