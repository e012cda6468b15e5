"""Write and read the evaluations and scores of a run, part by part.

A part is two files of one name: first the scores are written, then the evaluations, which make both
count. Any process can write parts at any time; the files are the only record.
"""

from __future__ import annotations

import functools
import hashlib
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import INFLUENCE_TYPE, SCORE_KEYS, SCORES_SCHEMA
from scale_eval.metrics.histogram import COUNTS
from scale_eval.results.damaged import EVALUATED_ANEW, DamagedPart, naming_damage, read_part
from scale_eval.storage import Store, read_metadata, read_table, write_table
from scale_eval.storage.prefetch import prefetch

READERS = 2
"""Threads that read files of a run: most of reading is decompression."""

CODED = ("company_id", "model")
"""The texts of a key, which files hold as dictionary codes."""

_DIGITS = 24
_PART = re.compile(rf"(evaluations|scores)/[0-9a-f]{{{_DIGITS}}}\.parquet")
"""The names of the files of parts; what else lies beside them is not the run's."""

_ODD = np.uint64(0x9E3779B97F4A7C15)  # the multiplier that mixes hashes


def write_part(store: Store, evaluations: pa.Table, scores: pa.Table) -> None:
    """Write evaluations, and the merged scores of those that are ok, so that both count.

    The name is a function of what is evaluated: if the same part is written again, it replaces the
    first.
    """
    digest = hashlib.sha256()
    for column in ("company_id", "model"):
        digest.update("\n".join(evaluations[column].to_pylist()).encode())
    for column in ("cutoff", "attempts"):
        numbers = pc.fill_null(evaluations[column].cast(pa.int64()), -1)
        digest.update(numbers.to_numpy().tobytes())
    name = digest.hexdigest()[:_DIGITS]
    if len(scores):
        write_table(store, f"scores/{name}.parquet", scores)
    write_table(store, f"evaluations/{name}.parquet", evaluations)


def prediction_file(company_id: str, cutoff: datetime, model: str) -> str:
    """Return the name of the file that keeps the probabilities of one evaluation."""
    key = repr((company_id, cutoff.isoformat(), model))
    return f"predictions/{uuid.uuid5(uuid.NAMESPACE_OID, key).hex}.parquet"


def evaluation_files(store: Store) -> list[str]:
    """Return the names of the files of evaluations."""
    return [name for name in store.names("evaluations/*.parquet") if _PART.fullmatch(name)]


def score_files(store: Store) -> list[str]:
    """Return the names of the files of scores, unfinished parts included."""
    return [name for name in store.names("scores/*.parquet") if _PART.fullmatch(name)]


def other_half(name: str) -> str:
    """Return the name of the scores of a file of evaluations, or the other way round."""
    folder, _, file = name.partition("/")
    return f"{'scores' if folder == 'evaluations' else 'evaluations'}/{file}"


def scores_beside(name: str) -> str:
    """Return the name of the scores of the part whose evaluations have this name."""
    return name.replace("evaluations/", "scores/", 1)


def read_evaluations(store: Store, schema: pa.Schema, known: Collection[str]) -> Iterator[pa.Table]:
    """Yield the evaluations file by file, with the columns and types of `schema`.

    `known` names all columns that a file may have. Raises `DamagedPart` where one has another.
    """
    read = functools.partial(_read_file, store, schema=schema, known=known)
    return prefetch(read, evaluation_files(store), READERS)


def read_scores(store: Store, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the scores of whole parts file by file, not merged, with the types of `schema`.

    Raises `DamagedPart` where they are not those of the customers of the part's evaluations.
    """
    files = score_files(store)
    whole = {scores_beside(name) for name in evaluation_files(store)}  # listed after the scores
    names = [name for name in files if name in whole]
    return prefetch(lambda name: _read_scores(store, name, schema), names, READERS)


def merge_scores(tables: Iterable[pa.Table], keys: Sequence[str] = SCORE_KEYS) -> pa.Table:
    """Return histograms added up where `keys` are the same, sorted by `keys`.

    A merged bin has one score where each of its parts has it.
    """
    table = pa.concat_tables([SCORES_SCHEMA.empty_table(), *tables])
    unknown = pc.CountOptions(mode="only_null")
    merged = table.group_by(list(keys), use_threads=False).aggregate(
        [(count, "sum") for count in COUNTS]
        + [("score", "min"), ("score", "max"), ("score", "count", unknown)]
    )
    *columns, least, greatest, n_unknown = merged.columns
    is_one = pc.and_(pc.equal(least, greatest), pc.equal(n_unknown, 0))
    score = pc.if_else(is_one, least, pa.scalar(None, pa.float64()))
    merged = pa.table([*columns, score], names=[*keys, *COUNTS, "score"])
    schema = pa.schema([SCORES_SCHEMA.field(name) for name in merged.column_names])
    return merged.cast(schema).sort_by([(key, "ascending") for key in keys])


def row_hashes(table: pa.Table, columns: Sequence[str]) -> np.ndarray:
    """Return a hash of each row's values in `columns`; uint64 of shape (n_rows,)."""
    hashes = np.zeros(len(table), np.uint64)
    for name in columns:
        column = table[name].combine_chunks()
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            codes = column.dictionary_encode()
            texts = codes.dictionary.to_numpy(zero_copy_only=False)
            values = pd.util.hash_array(texts, categorize=False)[codes.indices.to_numpy()]
        else:
            numbers = pc.fill_null(column.cast(pa.int64()), -1).to_numpy()
            values = pd.util.hash_array(numbers)
        hashes = hashes * _ODD + values
    return hashes


def damaged_parts(store: Store, evaluations: pa.Schema) -> list[DamagedPart]:
    """Read every file of evaluations and scores whole, and return what is damaged."""
    scores = set(score_files(store))

    def damage(name: str) -> DamagedPart | None:
        try:
            if name in scores:
                _read_scores(store, name, SCORES_SCHEMA)
            else:
                _read_file(store, name, evaluations, evaluations.names)
        except DamagedPart as damaged:
            return damaged
        return None

    files = [*evaluation_files(store), *sorted(scores)]
    found = [damaged for damaged in prefetch(damage, files, READERS) if damaged is not None]
    return list({damaged.name: damaged for damaged in reversed(found)}.values())


def _read_scores(store: Store, name: str, schema: pa.Schema) -> pa.Table:
    """Read a file of scores, and raise `DamagedPart` where its evaluations have other customers."""
    scores = _read_file(store, name, schema, SCORES_SCHEMA.names)
    beside = other_half(name)
    if not store.exists(beside):  # a part that is being written
        return scores
    columns = ["model", "status", "n_positive", "n_customers"]
    rows = read_part(store, beside, columns=columns, dictionaries=columns[:2])
    rows = rows.filter(pc.equal(rows["status"], "ok"))
    negative = pc.subtract(rows["n_customers"], rows["n_positive"])
    with naming_damage(store, name, EVALUATED_ANEW, DamagedPart):
        counted = _by_model(scores["model"], scores["n_positive"], scores["n_negative"])
        expected = _by_model(rows["model"], rows["n_positive"], negative)
        for model in counted | expected:
            found, meant = counted.get(model, (0, 0)), expected.get(model, (0, 0))
            if found != meant:
                raise ValueError(
                    f"for {model} it counts {found[0]:,} buyers and {found[1]:,} other customers, "
                    f"and {beside} {meant[0]:,} and {meant[1]:,}"
                )
    return scores


def _by_model(
    models: pa.ChunkedArray, positive: pa.ChunkedArray, negative: pa.ChunkedArray
) -> dict[str, tuple[int, int]]:
    """Return the sums of two columns of counts by model, exact up to 2 ** 53."""
    codes = models.combine_chunks().dictionary_encode()
    number = codes.indices.to_numpy()
    starts = np.flatnonzero(np.diff(number, prepend=-1))  # few: files are sorted by model
    sums = (np.add.reduceat(each.to_numpy(), starts) for each in (positive, negative))
    totals = (np.bincount(number[starts], each).astype(np.int64).tolist() for each in sums)
    return dict(zip(codes.dictionary.to_pylist(), zip(*totals, strict=True), strict=False))


def _read_file(store: Store, name: str, schema: pa.Schema, known: Collection[str]) -> pa.Table:
    """Read a file with the columns and types of `schema`; raise `DamagedPart` where that fails.

    Earlier versions wrote no column `score`, and no sums of influence of users' metrics and of the
    top tenth: these are then null.
    """
    codes = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with naming_damage(store, name, EVALUATED_ANEW, DamagedPart):
        table = read_table(store, name, columns=schema.names, dictionaries=codes)
        missing = [field for field in schema if field.name not in table.column_names]
        if missing:
            # No checksum covers the names of columns: a changed one would be taken for a missing.
            _require_known(read_metadata(store, name).schema.names, known)
        for field in missing:
            if field.name != "score" and field.type != INFLUENCE_TYPE:
                raise KeyError(field.name)
            table = table.append_column(field.name, pa.nulls(len(table), field.type))
        for field in schema:
            found = table.schema.field(field.name).type
            if pa.types.is_timestamp(found) and found != field.type:
                raise TypeError(f"its column {field.name} is {found} rather than {field.type}")
        chosen = table.select(schema.names)
        return chosen if chosen.schema.equals(schema) else chosen.cast(schema)


def _require_known(names: Iterable[str], known: Collection[str]) -> None:
    """Raise `ValueError` for the first column that no file of a run has."""
    for name in names:
        if name not in known:
            raise ValueError(f"it has a column {name!r}, which a run does not have")
