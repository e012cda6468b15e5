"""Read the tables of a run: whole as a DataFrame, or the rows and columns that are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from scale_eval.evaluation.schema import coded
from scale_eval.printable import as_typed
from scale_eval.results.damaged import MADE_ANEW, naming_damage
from scale_eval.results.evaluation_keys import EvaluationKeys
from scale_eval.results.tables import TABLES
from scale_eval.storage import Store, read_metadata, read_table, rows_that_have, scan_rows


class TableReader(ABC):
    """The tables of a run's directory; `RunDirectory` has the rest of it."""

    store: Store

    @property
    @abstractmethod
    def document(self) -> dict[str, Any]:
        """Return what `run.json` says."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return the schema of the table `evaluations`."""

    @abstractmethod
    def evaluation_parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns of the table `evaluations` file by file."""

    @abstractmethod
    def require_rows(self, n: int) -> None:
        """Raise `RowsMissing` where `n` is less than the number of evaluations that were done."""

    def table(self, name: str) -> pd.DataFrame:
        """Return a whole result table.

        Raises `FileNotFoundError` before the run is reduced, and where an earlier version made its
        tables, without this one or some of its columns.
        """
        self._require(name)
        with naming_damage(self.store, f"{name}.parquet", MADE_ANEW):
            table = read_table(self.store, f"{name}.parquet")
        self._require_columns(name, table.column_names)
        return table.to_pandas()

    def rows(
        self,
        name: str,
        where: Mapping[tuple[str, ...], str],
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the rows of a result table that have certain texts, and some of its columns.

        See `scale_eval.storage.scan_rows`; texts come as dictionary codes. Raises as `table` does.
        """
        schema = coded(chosen_fields(TABLES[name].schema, columns or TABLES[name].schema.names))
        parts = self.row_parts(name, where, schema.names)
        return pa.concat_tables([schema.empty_table(), *parts]).unify_dictionaries()

    def row_parts(
        self, name: str, where: Mapping[tuple[str, ...], str], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows that `rows` returns, as they lie in the file."""
        self._require(name)
        file = f"{name}.parquet"
        schema = coded(chosen_fields(TABLES[name].schema, columns or TABLES[name].schema.names))
        with naming_damage(self.store, file, MADE_ANEW):
            found = read_metadata(self.store, file).schema.to_arrow_schema().names
        self._require_columns(name, found)
        with naming_damage(self.store, file, MADE_ANEW):
            for part in scan_rows(self.store, file, where, columns=schema.names):
                yield part.cast(schema)

    def arrow(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        where: Mapping[tuple[str, ...], str] | None = None,
    ) -> pa.Table:
        """Return a table, or some of its rows and columns; `evaluations` sorted by company.

        Texts come as dictionary codes. Raises as `table` and `evaluations` do.
        """
        where = where or {}
        if name != "evaluations":
            return self.rows(name, where, columns)
        chosen = self.schema.names if columns is None else list(columns)
        empty = coded(chosen_fields(self.schema, chosen)).empty_table()
        blocks = self.sorted_evaluations(chosen, where, together=2**62)
        return pa.concat_tables([empty, *blocks]).unify_dictionaries()

    def sorted_evaluations(
        self, columns: Sequence[str], where: Mapping[tuple[str, ...], str], together: int
    ) -> Iterator[pa.Table]:
        """Yield the last attempts that have certain texts, by KEY, at most `together` in a table.

        For each table the files are read once. Texts come as dictionary codes.
        """
        order = EvaluationKeys.of(self.evaluation_parts).order()
        self.require_rows(len(order))
        looked_at = [*dict.fromkeys(column for each in where for column in each)]
        if where:
            parts = self.evaluation_parts(looked_at)
            masks = [rows_that_have(part, where).to_numpy(zero_copy_only=False) for part in parts]
            order = order[np.concatenate(masks)[order]]
        for begin in range(0, len(order), together):
            wanted = order[begin : begin + together]
            ascending = np.argsort(wanted)
            positions, found, at = wanted[ascending], [], 0
            for part in self.evaluation_parts(columns):
                first, last = np.searchsorted(positions, [at, at + len(part)])
                found.append(part.take(pa.array(positions[first:last] - at)))
                at += len(part)
            rank = np.empty(len(wanted), np.int64)
            rank[ascending] = np.arange(len(wanted))
            yield pa.concat_tables(found).unify_dictionaries().take(pa.array(rank))

    def company(self, company_id: str) -> pd.DataFrame:
        """Return the rows of `companies` for one company."""
        rows = self.rows("companies", {("company_id",): company_id})
        return rows.cast(TABLES["companies"].schema).to_pandas()

    def _require(self, name: str) -> None:
        """Raise `FileNotFoundError` where the run has no such table."""
        if self.store.exists(f"{name}.parquet"):
            return
        if self.document.get("status") == "finished":
            raise self._made_earlier(f"the table '{name}'")
        raise FileNotFoundError(
            f"{self.store.root} is not finished and has no table '{name}' yet; run the command "
            "that began it again, or 'scale-eval reduce' for what is there so far"
        )

    def _require_columns(self, name: str, found: Sequence[str]) -> None:
        """Raise `FileNotFoundError` where a column of a table did not exist yet."""
        missing = [c for c in TABLES[name].schema.names if c not in found]
        if missing:
            raise self._made_earlier(f"the column '{missing[0]}' of '{name}'")

    def _made_earlier(self, what: str) -> FileNotFoundError:
        root = self.store.root
        return FileNotFoundError(
            f"the tables of {root} were made by an earlier version, without {what}; make them "
            f"again: scale-eval reduce {as_typed(str(root))}"
        )


def chosen_fields(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of these columns."""
    return pa.schema([schema.field(name) for name in columns])
