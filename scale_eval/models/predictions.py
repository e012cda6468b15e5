"""Predictions made elsewhere, read from a file and evaluated like those of any model."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.timestamps import TimestampReader
from scale_eval.datasets.ingest.typed_records import is_text, typed_timestamps
from scale_eval.datasets.instants import as_utc, from_microseconds, microseconds
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.storage import Store, open_store, read_metadata, read_row_groups

if TYPE_CHECKING:
    import pandas as pd

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
        The file does not exist; it is not Parquet, or lacks a column, or one has an unusable type;
        a cutoff that is text is not ISO 8601.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = f"predictions:{os.fspath(path)}"
        self.path = Path(path).expanduser().absolute()
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: there is no such file of predictions")
        try:
            schema = _read(self.path, [], _COLUMNS).schema
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{self.path} is not a Parquet file, or a damaged one; write the predictions as "
                "Parquet, as frame.to_parquet does"
            ) from error
        missing = [column for column in _COLUMNS if column not in schema.names]
        if missing:
            raise ValueError(
                f"{self.path} has no column {', '.join(missing)}; predictions need "
                + ", ".join(_COLUMNS)
            )
        for column in _COLUMNS:
            _check_type(self.path, column, schema.field(column).type)
        if is_text(_plain(schema.field("cutoff").type)):
            for index in range(read_metadata(*_place(self.path)).num_row_groups):
                _cutoffs(self.path, _read(self.path, [index], ["cutoff"])["cutoff"])

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
        rows = self._rows(history.company_id, history.cutoff)
        if len(rows) == 0:
            what_it_has = self._what_it_has(history.company_id, history.cutoff)
            raise Skipped("no_predictions", what_it_has)
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
            others = ids.filter(pc.invert(pc.is_in(ids, value_set=customers))).to_pylist()
            raise ValueError(
                f"{self.path.name}: {len(missing)} of the {history.n_customers} customers of "
                f"{history.company_id} have no prediction at {history.cutoff:%Y-%m-%d}, such as "
                f"{str(missing[0])!r}; "
                + (
                    f"it has predictions for {len(others)} others, such as "
                    f"{_nearest(str(missing[0]), others)!r}"
                    if others
                    else "it has none for anybody else"
                )
            )
        n_left_out = len(rows) - history.n_customers
        self.note_ = f"{n_left_out} predictions left out: not its customers" if n_left_out else ""
        return rows["probability"].take(positions).to_numpy()

    def without_match(self, windows: Iterable[tuple[str, pd.Timestamp]]) -> str:
        """Say what the file has if it has rows for none of some companies and cutoffs.

        Returns an empty string where it has some for one of them.
        """
        message = ""
        for company_id, cutoff in windows:
            if len(self._rows(company_id, cutoff)):
                return ""
            message = message or self._what_it_has(company_id, cutoff)
        return message

    def content_hash(self) -> str:
        """Return the SHA-256 of the file, on which the results depend."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _version(self) -> _Version:
        status = self.path.stat()
        return _Version(str(self.path), status.st_mtime_ns, status.st_size)

    def _what_it_has(self, company: str, cutoff: pd.Timestamp) -> str:
        """Say what the file has where it has nothing for a company and cutoff."""
        by_company = _row_groups(self._version())
        name = self.path.name
        if not by_company:
            return f"{name} has no rows"
        if company not in by_company:
            companies = "1 company" if len(by_company) == 1 else f"{len(by_company)} companies"
            return (
                f"{name} has no row of company {company!r}; it has {companies}, such as "
                f"{_nearest(company, list(by_company))!r}"
            )
        cutoffs = pa.chunked_array(
            [self._of_company(index, company)["cutoff"] for index in by_company[company]]
        )
        instants = sorted(cutoffs.unique().drop_null().to_pylist())
        shown = [from_microseconds(i).tz_localize(None).isoformat(" ") for i in instants[:5]]
        more = f" and {len(instants) - 5} more" if len(instants) > 5 else ""
        return (
            f"{name} has rows of {company} at {', '.join(shown) or 'no cutoff'}{more} (UTC), and "
            f"none at {cutoff.tz_localize(None).isoformat(' ')}"
        )

    def _of_company(self, index: int, company_id: str) -> pa.Table:
        group = _row_group(self._version(), index)
        return group.filter(pc.equal(group["company_id"], company_id))

    def _rows(self, company_id: str, cutoff: pd.Timestamp) -> pa.Table:
        """Return customer_id and probability of the rows for a company and cutoff."""
        file = self._version()
        parts = [_ROWS.empty_table()]
        for index in _row_groups(file).get(company_id, []):
            group = _row_group(file, index)
            matches = pc.and_(
                pc.equal(group["company_id"], company_id),
                pc.equal(group["cutoff"], microseconds(cutoff)),
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
    for index in range(read_metadata(*_place(path)).num_row_groups):
        companies = _strings(_read(path, [index], ["company_id"])["company_id"])
        for company in companies.unique().drop_null().to_pylist():
            by_company.setdefault(company, []).append(index)
    return by_company


@lru_cache(maxsize=8)
def _row_group(file: _Version, index: int) -> pa.Table:
    """Read one row group: ids as strings, cutoffs as microseconds since 1970 UTC."""
    path = Path(file.path)
    table = _read(path, [index], _COLUMNS)
    columns = [_strings(table[name]) for name in _IDS]
    columns += [_cutoffs(path, table["cutoff"]), table["probability"].cast(pa.float64())]
    rows = pa.table(columns, names=list(_COLUMNS))
    return rows.filter(pc.is_valid(rows["customer_id"]))


def _cutoffs(path: Path, column: pa.ChunkedArray) -> pa.Array:
    """Return cutoffs as microseconds since 1970 UTC, null where they are out of range.

    Raises `ValueError` where one is text that is not ISO 8601, or in a time zone nobody knows.
    """
    encoded = column.cast(_plain(column.type)).combine_chunks().dictionary_encode()
    cutoffs = encoded.dictionary
    if is_text(cutoffs.type):
        cutoffs = cutoffs.cast(pa.large_string())
    else:
        cutoffs = typed_timestamps(path, "cutoff", cutoffs)
    read = TimestampReader().read(cutoffs)
    for i in np.flatnonzero(read.unparsable & pc.is_valid(cutoffs).to_numpy(zero_copy_only=False)):
        try:
            as_utc(cutoffs[i].as_py())
        except ValueError as error:
            raise ValueError(f"{path}: column cutoff: {error}") from None
    none = read.unparsable | read.out_of_range
    return pa.array(read.microseconds, mask=none).take(encoded.indices)


def _check_type(path: Path, column: str, kind: pa.DataType) -> None:
    """Raise `ValueError` where a column has a type that cannot be meant."""
    plain = _plain(kind)
    types = pa.types
    if column in _IDS:
        if not is_text(plain):
            raise ValueError(
                f"{path}: column {column} is {kind}, but ids are strings (0012 is not 12); write "
                "it as text"
            )
    elif column == "cutoff":
        if not (is_text(plain) or types.is_timestamp(plain) or types.is_date(plain)):
            raise ValueError(
                f"{path}: column cutoff is {kind}, which does not say its unit; write it as a "
                "timestamp, a date, or text such as 2017-12-01"
            )
    elif not (types.is_floating(plain) or types.is_integer(plain) or types.is_decimal(plain)):
        to_number = ".str.replace(',', '.').astype(float)" if is_text(plain) else ".astype(float)"
        raise ValueError(
            f"{path}: column probability is {kind}; write numbers from 0 to 1, as "
            f"frame['probability']{to_number} makes them"
        )


def _nearest(name: str, names: Sequence[str]) -> str:
    """Return the one of `names` that is most like `name`, of the first thousand."""
    folded = {each.casefold(): each for each in reversed(names[:1000])}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[near[0]] if near else names[0]


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(_plain(column.type)).cast(pa.string())


def _place(path: Path) -> tuple[Store, str]:
    return open_store(path.parent), path.name


def _read(path: Path, row_groups: list[int], columns: Sequence[str]) -> pa.Table:
    return read_row_groups(*_place(path), row_groups, columns=columns)
