"""Say how the evaluations of a run ended and when, without a Python object for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import KEY
from scale_eval.results.panel_columns import Parts

COUNTED = ["model", "status", "reason", "overlaps"]

_FEW = 2**26
"""Number of possible keys up to which each has a place in an array."""


@dataclass(frozen=True)
class Endings:
    """How evaluations ended and when; only the last attempt of each counts.

    Attributes
    ----------
    statuses : DataFrame
        The number `n` of evaluations by `model`, `status`, `reason` and `overlaps`.
    between : dict
        By model, when its first and its last evaluation were made (UTC); without models of which
        nothing was evaluated.
    """

    statuses: pd.DataFrame
    between: dict[str, tuple[pd.Timestamp, pd.Timestamp]]

    @classmethod
    def of(cls, parts: Parts) -> Endings:
        """Read them from the parts of the table `evaluations`."""
        columns = [*KEY, "attempts", *COUNTED[1:], "evaluated_at"]
        read = list(parts(columns))
        if not read:
            return cls(pd.DataFrame(columns=[*COUNTED, "n"]), {})
        table = last_attempts(pa.concat_tables(read).unify_dictionaries())
        made = table.select(["model", "evaluated_at"]).group_by("model", use_threads=False)
        times = made.aggregate([("evaluated_at", "min"), ("evaluated_at", "max")])
        times = times.select(["model", "evaluated_at_min", "evaluated_at_max"]).to_pandas().dropna()
        between = {str(model): (first, last) for model, first, last in times.values.tolist()}
        return cls(_counts(table), dict(sorted(between.items())))


def last_attempts(table: pa.Table) -> pa.Table:
    """Return the last attempt of each evaluation; texts are dictionary codes, unified."""
    key, n_keys = _joined(table, KEY)
    if not _repeats(key, n_keys):
        return table
    order = np.lexsort([pc.fill_null(table["attempts"], 1).to_numpy(), key])
    is_last = np.append(np.diff(key[order]) != 0, True)
    return table.take(pa.array(np.sort(order[is_last])))


def _counts(table: pa.Table) -> pd.DataFrame:
    """Count rows by how they ended."""
    group, n_groups = _joined(table, COUNTED)
    if n_groups > _FEW:
        _, first, counts = np.unique(group, return_index=True, return_counts=True)
    else:
        counts = np.bincount(group)
        row_of = np.zeros(len(counts), np.int64)
        row_of[group] = np.arange(len(group))
        first, counts = row_of[counts > 0], counts[counts > 0]
    frame = table.select(COUNTED).take(pa.array(first)).to_pandas()
    for name in COUNTED[:3]:
        frame[name] = frame[name].astype("str").fillna("")
    return frame.assign(n=counts).sort_values(COUNTED, ignore_index=True)


def _joined(table: pa.Table, columns: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return a number for each row that says what its values in `columns` are, and its bound."""
    number, bound = np.zeros(len(table), np.int64), 1
    for name in columns:
        encoded = table[name].combine_chunks()
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.dictionary_encode()
        n = len(encoded.dictionary) + 1  # the last is null
        number *= n
        number += pc.fill_null(encoded.indices, n - 1).to_numpy()
        bound *= n
    return number, bound


def _repeats(key: np.ndarray, n_keys: int) -> bool:
    """Return whether a key occurs twice."""
    if n_keys > _FEW:
        return len(np.unique(key)) < len(key)
    seen = np.zeros(n_keys, bool)
    seen[key] = True
    return int(np.count_nonzero(seen)) < len(key)
