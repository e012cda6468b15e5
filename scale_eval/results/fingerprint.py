"""Hash the results of a run; two runs with equal results, bit for bit, have equal hashes.

Columns are hashed one after another, and few of them are in memory at a time: all evaluations of
100,000 companies take several GB.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.metrics import N_BINS
from scale_eval.results.damaged import MADE_ANEW, naming_damage
from scale_eval.results.directory import RowsMissing, RunDirectory
from scale_eval.results.evaluation_keys import EvaluationKeys
from scale_eval.results.maintenance import parts_without_scores
from scale_eval.results.memory import give_back, system_allocator
from scale_eval.results.merged_scores import CodedRows, coded_counts, merge_by_key, numbered
from scale_eval.results.tables import tables_of
from scale_eval.storage import read_metadata, read_table

UNREPEATABLE_COLUMNS = re.compile(r".*_seconds|.*_at|worker|attempts")
UNREPEATABLE_STATUSES = ("timeout", "killed")

_TOGETHER = 64 * 2**20
"""Bytes of columns that are read together."""


def fingerprint(run: RunDirectory) -> str:
    """Return the SHA-256 of the sorted tables of a run, without what differs from run to run.

    Left out are the columns `*_seconds`, `*_at`, `worker` and `attempts`, and rows whose status is
    ``timeout`` or ``killed``. Raises `RowsMissing` where evaluations or scores were removed.
    """
    digest = hashlib.sha256()
    with system_allocator():
        keys = EvaluationKeys.of(run.evaluation_parts, ["status"])
        _add_evaluations(digest, run, keys)
        if without := next(parts_without_scores(run.store), None):
            raise RowsMissing(
                f"{run.store.root}: the scores of {without} are no longer there. Restore them, or "
                "run the command that began the run again: it evaluates anew what is missing"
            )
        _add_scores(digest, run, keys)
        for made in tables_of(sample="sample" in run.document):
            name = f"{made.name}.parquet"
            with naming_damage(run.store, name, MADE_ANEW):
                metadata = read_metadata(run.store, name)
                digest.update(f"{made.name} {metadata.num_rows}\n".encode())
                schema = metadata.schema.to_arrow_schema()
                for columns in _together(schema, metadata.num_rows):
                    _add(digest, read_table(run.store, name, columns=columns))
    return digest.hexdigest()


def _add_evaluations(digest: hashlib._Hash, run: RunDirectory, keys: EvaluationKeys) -> None:
    """Add the last attempt of each evaluation, sorted by company, cutoff and model."""
    order = keys.order()
    run.require_rows(len(order))
    unrepeatable = [
        code for code, text in enumerate(keys.texts["status"]) if text in UNREPEATABLE_STATUSES
    ]
    rows = pa.array(order[~np.isin(keys.codes["status"][order], unrepeatable)])
    del order
    digest.update(f"evaluations {len(rows)}\n".encode())
    for columns in _together(run.schema, len(rows)):
        table = pa.concat_tables(run.evaluation_parts(columns)).unify_dictionaries()
        for column in columns:
            _add(digest, table.select([column]).combine_chunks().take(rows))
        del table
        give_back()


def _add_scores(digest: hashlib._Hash, run: RunDirectory, keys: EvaluationKeys) -> None:
    """Add the counts of scores by model, cutoff, group of companies and bin."""
    number = {model: i for i, model in enumerate([*keys.models, None])}
    n_instants = len(keys.instants)

    def coded(part: pa.Table) -> CodedRows:
        model = numbered(part["model"], number.__getitem__)
        cutoff = np.searchsorted(keys.instants, part["cutoff"].cast(pa.int64()).to_numpy())
        cell = part["company_group"].to_numpy().astype(np.int64) * len(number) + model
        key = (cell * n_instants + cutoff) * N_BINS + part["bin"].to_numpy()
        return key, *coded_counts(part)

    merged = merge_by_key(map(coded, run.score_parts()))
    digest.update(f"scores {len(merged[0])}\n".encode())
    for column in merged:
        digest.update(column.astype(f"{column.dtype.kind}8").tobytes())
    give_back()


def _together(schema: pa.Schema, n_rows: int) -> Iterator[list[str]]:
    """Yield the columns of a table, a few at a time, without what differs from run to run."""
    columns: list[str] = []
    size = 0
    for field in schema:
        if UNREPEATABLE_COLUMNS.fullmatch(field.name):
            continue
        is_wide = pa.types.is_fixed_size_list(field.type) or pa.types.is_fixed_size_binary(
            field.type
        )
        own = n_rows * (64 if is_wide else 8)
        if columns and size + own > _TOGETHER:
            yield columns
            columns, size = [], 0
        columns.append(field.name)
        size += own
    if columns:
        yield columns


def _add(digest: hashlib._Hash, table: pa.Table) -> None:
    """Add the columns of a table, one after another."""
    for name in table.column_names:
        column = table[name].combine_chunks()
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        digest.update(f"{name} {kind}\n".encode())
        _add_column(digest, column)


def _add_column(digest: hashlib._Hash, column: pa.Array) -> None:
    """Add a column's values; the bytes under a null are left out."""
    digest.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
    column = column.drop_null()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_string(column.type):
        digest.update(pc.binary_length(column).to_numpy().tobytes())
        bounds = np.frombuffer(column.buffers()[1], np.int32)[column.offset :]
        content = column.buffers()[2]
        first, last = (int(bounds[i]) for i in (0, len(column)))
        digest.update(b"" if content is None else memoryview(content)[first:last])
    else:
        digest.update(np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).tobytes())
