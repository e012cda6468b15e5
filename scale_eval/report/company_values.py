"""The figures of each company, one column of the table `companies` at a time.

A large run has 100,000 companies and millions of rows in that table: only the numbers that are
asked for are read, and the names of companies once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

Read = Callable[[str, Sequence[str]], pa.Table]
"""A function that returns columns of the rows of one metric, of the coverage `common`, by model and
then by company."""


class CompanyValues:
    """One column of `companies` by metric: a row for each company, a column for each model."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._values: dict[tuple[str, str], pd.DataFrame] = {}
        self._ids: pd.Index | None = None

    def of(self, metric: str, column: str) -> pd.DataFrame:
        """Return the numbers of a column, NaN where there is none; companies sorted by name."""
        if (metric, column) not in self._values:
            self._values[metric, column] = self._of(metric, column)
        return self._values[metric, column]

    def _of(self, metric: str, column: str) -> pd.DataFrame:
        rows = self._read(metric, ["model", column])
        if not len(rows):
            return pd.DataFrame()
        encoded = rows["model"].combine_chunks()
        names, model = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        values = rows[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
        ids = self._companies_of(metric)
        first = model[:: len(ids)]
        if len(np.unique(first)) == len(first) and np.array_equal(model, first.repeat(len(ids))):
            wide = values.reshape(len(first), len(ids))
        else:  # not every model has a row for every company
            first, of = np.unique(model, return_inverse=True)
            wide = np.full((len(first), len(ids)), np.nan)
            wide[of, ids.get_indexer(self._names(metric))] = values
        return pd.DataFrame(wide.T, index=ids, columns=[names[i] for i in first], copy=False)

    def _companies_of(self, metric: str) -> pd.Index:
        """Return the companies, sorted: the same for every metric."""
        if self._ids is None:
            self._ids = pd.Index(self._names(metric).unique(), name="company_id").sort_values()
        return self._ids

    def _names(self, metric: str) -> pd.Series:
        """Return the company of each row of a metric."""
        return self._read(metric, ["company_id"])["company_id"].cast(pa.string()).to_pandas()
