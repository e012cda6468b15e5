"""Transactions of one company in memory: sorted arrays, with customers as codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.datasets.customer_ids import CustomerIds
from scale_eval.datasets.decoding import decode
from scale_eval.datasets.instants import as_utc_column


@dataclass(frozen=True)
class Transactions:
    """Transactions of a company, sorted by customer, timestamp and value.

    The arrays are read-only. They may be views of a row group that holds other companies too (see
    `Dataset.read_many`); to keep a company for long, keep its `copy`.

    Attributes
    ----------
    company_id : str
    ids : CustomerIds
        The customers, sorted by id, each once.
    codes : ndarray of int32, shape (n_rows,)
        The customer of each row, as a position in `ids`; never decreasing.
    timestamps : ndarray of int64, shape (n_rows,)
        Microseconds since 1970-01-01 UTC.
    values : ndarray of float64, shape (n_rows,)
        Money in the company's currency; negative for a refund.
    """

    company_id: str
    ids: CustomerIds
    codes: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.codes, self.timestamps, self.values):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.timestamps)

    def __reduce__(self) -> tuple[type[Transactions], tuple[Any, ...]]:
        fields = self.company_id, self.ids, self.codes, self.timestamps, self.values
        return Transactions, fields  # unpickled arrays are writeable until __init__ locks them

    @property
    def n_customers(self) -> int:
        """Return the number of customers with at least one row."""
        return len(self.ids)

    @property
    def customers(self) -> pa.StringArray:
        """Return the customer ids, sorted, each once; shape (n_customers,)."""
        return self.ids.array

    @property
    def customer_groups(self) -> np.ndarray:
        """Return CRC-32 of each customer's id modulo 16; uint8, shape (n_customers,)."""
        return self.ids.groups

    @property
    def n_bytes(self) -> int:
        """Return the bytes of memory that the arrays take, a shared dictionary included."""
        rows = self.codes.nbytes + self.timestamps.nbytes + self.values.nbytes
        ids = self.ids.positions.nbytes + self.ids.groups.nbytes + self.ids.dictionary.nbytes
        return rows + int(ids)

    @classmethod
    def from_arrow(cls, company_id: str, table: pa.Table) -> Transactions:
        """Convert a table sorted as in a Dataset; `customer_id` holds strings or codes."""
        rows = decode(table, np.array([0]), np.array([len(table)]))
        return cls(company_id, rows.ids, rows.codes, rows.timestamps, rows.values).copy()

    @classmethod
    def from_frame(cls, company_id: str, frame: pd.DataFrame) -> Transactions:
        """Convert a DataFrame: `customer_id`, `timestamp` (naive: UTC), `value`, in any order.

        Raises `ValueError` where a timestamp is text other than ISO 8601, missing, or not in the
        years 1678 to 2261.
        """
        ordered = pd.DataFrame(
            {
                "customer_id": frame["customer_id"].astype(str),
                "timestamp": as_utc_column(frame["timestamp"]),
                "value": frame["value"].astype("float64"),
            }
        )
        # Sort as Arrow does, by code point, like a Dataset on disk.
        table = pa.Table.from_pandas(ordered, preserve_index=False)
        order = [(name, "ascending") for name in ("customer_id", "timestamp", "value")]
        table = table.set_column(0, "customer_id", table["customer_id"].cast(pa.string()))
        return cls.from_arrow(company_id, table.sort_by(order))

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of `customer_id`, `timestamp` (UTC), `value`, for `from_frame`."""
        return pd.DataFrame(
            {
                "customer_id": self.customers.to_numpy(zero_copy_only=False)[self.codes],
                "timestamp": pd.to_datetime(self.timestamps, unit="us", utc=True),
                "value": self.values,
            }
        )

    def copy(self) -> Transactions:
        """Return a copy whose arrays own their memory."""
        return Transactions(
            self.company_id,
            self.ids.take(np.arange(len(self.ids))),
            self.codes.copy(),
            self.timestamps.copy(),
            self.values.copy(),
        )

    def before(self, instant: int) -> Transactions:
        """Copy the rows strictly before `instant` (microseconds since 1970, UTC).

        The copy holds nothing else: its arrays own their memory, and customers who only come later
        are gone.
        """
        rows = self.timestamps < instant
        present, codes = compact_codes(self.codes[rows], len(self.ids))
        return Transactions(
            self.company_id,
            self.ids.take(present),
            codes,
            self.timestamps[rows],
            self.values[rows],
        )


def compact_codes(codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes in 0..n-1 that occur, and `codes` renumbered among these, order kept."""
    present = np.zeros(n, dtype=bool)
    present[codes] = True
    renumbered = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(present), renumbered[codes]
