"""Hash the results of a run; two runs with equal results, bit for bit, have equal hashes."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.results.damaged import MADE_ANEW, naming_damage
from scale_eval.results.directory import RowsMissing, RunDirectory
from scale_eval.results.maintenance import parts_without_scores
from scale_eval.results.tables import tables_of
from scale_eval.storage import read_table

UNREPEATABLE_COLUMNS = re.compile(r".*_seconds|.*_at|worker|attempts")
UNREPEATABLE_STATUSES = ("timeout", "killed")


def fingerprint(run: RunDirectory) -> str:
    """Return the SHA-256 of the sorted tables of a run, without what differs from run to run.

    Left out are the columns `*_seconds`, `*_at`, `worker` and `attempts`, and rows whose status is
    ``timeout`` or ``killed``. Raises `RowsMissing` where evaluations or scores were removed.
    """
    evaluations = run.evaluations()
    if without := next(parts_without_scores(run.store), None):
        raise RowsMissing(
            f"{run.store.root}: the scores of {without} are no longer there. Restore them, or run "
            "the command that began the run again: it evaluates anew what is missing"
        )
    repeatable = pc.invert(pc.is_in(evaluations["status"], pa.array(UNREPEATABLE_STATUSES)))
    tables = {"evaluations": evaluations.filter(repeatable), "scores": run.scores()}
    for made in tables_of(sample="sample" in run.document):
        with naming_damage(run.store, f"{made.name}.parquet", MADE_ANEW):
            tables[made.name] = read_table(run.store, f"{made.name}.parquet")
    digest = hashlib.sha256()
    for name, table in tables.items():
        digest.update(f"{name} {len(table)}\n".encode())
        for column in table.column_names:
            if not UNREPEATABLE_COLUMNS.fullmatch(column):
                digest.update(f"{column} {table.schema.field(column).type}\n".encode())
                _update(digest, table[column].combine_chunks())
    return digest.hexdigest()


def _update(digest: hashlib._Hash, column: pa.Array) -> None:
    """Add a column's values to the hash; the bytes under a null are left out."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    digest.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
    column = column.drop_null()
    if pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_string(column.type):
        for text in column.to_pylist():
            digest.update(f"{len(text)}:{text}".encode())
    else:
        digest.update(np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).tobytes())
