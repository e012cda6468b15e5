"""One company's transactions in memory: sorted arrays, with customers as codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa


@dataclass(frozen=True)
class Transactions:
    """What a company sold, sorted by customer, timestamp and value.

    Attributes
    ----------
    company_id : str
    customers : pyarrow.StringArray, shape (n_customers,)
        Customer ids, sorted, each once.
    codes : ndarray of int32, shape (n_rows,)
        The customer of each row, as a position in `customers`; never decreasing.
    timestamps : ndarray of int64, shape (n_rows,)
        Microseconds since 1970-01-01 UTC.
    values : ndarray of float64, shape (n_rows,)
        Money in the company's currency; negative for a refund.
    """

    company_id: str
    customers: pa.StringArray
    codes: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.codes, self.timestamps, self.values):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_bytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        arrays = self.codes.nbytes + self.timestamps.nbytes + self.values.nbytes
        return arrays + int(self.customers.nbytes)

    @classmethod
    def from_arrow(cls, company_id: str, table: pa.Table) -> Transactions:
        """From a table sorted as in a Dataset, `customer_id` as strings or dictionary codes."""
        ids = table["customer_id"].combine_chunks()
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        if isinstance(ids, pa.ChunkedArray):
            ids = ids.unify_dictionaries().combine_chunks()
        codes = ids.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        customers = ids.dictionary.cast(pa.string())
        return cls._with_customers_present(
            company_id,
            customers,
            codes,
            table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy().copy(),
            table["value"].to_numpy().copy(),
        )

    @classmethod
    def from_frame(cls, company_id: str, frame: pd.DataFrame) -> Transactions:
        """From a DataFrame with `customer_id`, `timestamp` (naive: UTC), `value`; any order."""
        ordered = pd.DataFrame(
            {
                "customer_id": frame["customer_id"].astype(str),
                "timestamp": pd.to_datetime(frame["timestamp"], utc=True).dt.as_unit("us"),
                "value": frame["value"].astype("float64"),
            }
        )
        # Sorted as Arrow sorts, by code point: what a Dataset on disk holds.
        table = pa.Table.from_pandas(ordered, preserve_index=False)
        order = [(name, "ascending") for name in ("customer_id", "timestamp", "value")]
        table = table.set_column(0, "customer_id", table["customer_id"].cast(pa.string()))
        return cls.from_arrow(company_id, table.sort_by(order))

    def before(self, instant: int) -> Transactions:
        """A copy of the rows strictly before `instant` (microseconds since 1970, UTC).

        Nothing of the rest is left behind in it: the arrays own their memory and customers who only
        come later are gone.
        """
        rows = self.timestamps < instant
        return self._with_customers_present(
            self.company_id,
            self.customers,
            self.codes[rows],
            self.timestamps[rows],
            self.values[rows],
        )

    @classmethod
    def _with_customers_present(
        cls, company_id: str, customers: pa.StringArray, codes: np.ndarray,
        timestamps: np.ndarray, values: np.ndarray,
    ) -> Transactions:  # fmt: skip
        present, compact = compact_codes(codes, len(customers))
        return cls(company_id, customers.take(pa.array(present)), compact, timestamps, values)


def compact_codes(codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the codes 0..n-1 occur, and `codes` renumbered among these, order kept."""
    present = np.zeros(n, dtype=bool)
    present[codes] = True
    renumbered = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(present), renumbered[codes]
