"""Sort the rows of companies as a Dataset has them: by customer, timestamp and value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.instants import DAY

_SECOND = 1_000_000
_LARGEST = 2**63 - 1


def row_order(rows: pa.Table, company: np.ndarray | None = None) -> np.ndarray:
    """Return the permutation that sorts rows by company, customer, timestamp and value.

    Equal rows stay in the order in which they came.

    Parameters
    ----------
    rows : pyarrow.Table
        With the columns customer_id, timestamp and value.
    company : ndarray of int, shape (n_rows,), optional
        The place of each row's company among the companies, from 0; by default all rows are of one.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
    """
    if not len(rows):
        return np.empty(0, np.int64)
    ids = rows["customer_id"].combine_chunks().dictionary_encode()
    rank = pc.rank(ids.dictionary).take(ids.indices).to_numpy().astype(np.int64)
    times = _counted(rows["timestamp"].cast(pa.int64()).to_numpy())
    customer = rank if company is None else _joined(company, rank)
    key = _joined(customer, times)
    # One integer sorts several times as fast as several.
    order = np.argsort(key)
    _sort_ties(order, key, rows["value"].to_numpy())
    return order


def _counted(times: np.ndarray) -> np.ndarray:
    """Return microseconds from the first on, in days or seconds where they are whole ones."""
    since = times - times.min()
    for unit in (DAY, _SECOND):
        if not (since % unit).any():
            return since // unit
    return since


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return one integer that orders as two do; they are not negative."""
    if (int(first.max()) + 1) * (int(second.max()) + 1) > _LARGEST:
        first, second = (np.unique(each, return_inverse=True)[1] for each in (first, second))
    return first.astype(np.int64) * (int(second.max()) + 1) + second


def _sort_ties(order: np.ndarray, key: np.ndarray, values: np.ndarray) -> None:
    """Sort rows of equal keys, in place, by their values, and equal ones as they came."""
    key = key[order]
    is_same = key[1:] == key[:-1]
    tied = np.flatnonzero(np.append(is_same, False) | np.insert(is_same, 0, False))
    rows = order[tied]
    order[tied] = rows[np.lexsort([rows, values[rows], key[tied]])]
