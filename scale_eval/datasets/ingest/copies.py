"""Find what an ingest would count twice: rows that several files have, and equal companies.

Copies within one file are kept, because two equal orders are possible. The same row in two files of
a company is rather an export that overlaps another, such as a year and its December.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.records import IngestError, option

COPY = "in_another_file"
"""The reason for which rows are refused that another file of their company has too."""

_SHOWN = 3


def check_no_copies(parsed: Sequence[ParsedInput]) -> None:
    """Raise `IngestError` where two parts of a table are the same bytes."""
    by_content: dict[tuple[str | None, str], ParsedInput] = {}
    for file in parsed:
        if not file.n_rows or (file.company_id is not None and not file.input.is_part):
            continue
        other = by_content.setdefault((file.company_id, file.source.rpartition("#")[2]), file)
        if other is not file:
            raise IngestError(
                f"{other.input.label} and {file.input.label} are the same rows; give one of them"
            )


def other_files(rows: pa.Table, bounds: np.ndarray, n_files: Sequence[int]) -> np.ndarray:
    """Return for each row the other file of its company that has it too; -1 where none has.

    Of equal rows, those of the file that has most of them are no copies; of several such files, the
    first.

    Parameters
    ----------
    rows : pyarrow.Table
        By BUFFERED_SCHEMA, sorted by company, customer, timestamp, value and file.
    bounds : ndarray of int64, shape (n_companies + 1,)
        The first row of each company, and the number of rows.
    n_files : sequence of int, shape (n_companies,)
        The number of files of each company.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
    """
    other = np.full(len(rows), -1, dtype=np.int64)
    several = np.array(n_files) > 1
    if not several.any():
        return other
    times, values = rows["timestamp"].cast(pa.int64()).to_numpy(), rows["value"].to_numpy()
    is_equal = (np.diff(times) == 0) & (np.diff(values) == 0)  # a row and the next one
    is_equal &= np.repeat(several, np.diff(bounds))[1:]
    is_equal[bounds[1:-1] - 1] = False
    pairs = np.flatnonzero(is_equal)
    ids = rows["customer_id"]
    same = pc.equal(ids.take(pa.array(pairs)), ids.take(pa.array(pairs + 1)))
    is_equal[pairs] = same.to_numpy()
    in_group = np.flatnonzero(np.append(is_equal, False) | np.append(False, is_equal))
    starts_group = ~np.append(False, is_equal)[in_group]
    file = rows["file"].to_numpy()[in_group].astype(np.int64)
    runs = np.flatnonzero(starts_group | (np.diff(file, prepend=-1) != 0))
    n_rows = np.diff(np.append(runs, len(file)))
    group = np.cumsum(starts_group)[runs]
    by_size = np.lexsort([np.arange(len(runs)), -n_rows, group])
    firsts = by_size[np.diff(group[by_size], prepend=0) > 0]  # one run of each group, in order
    original = firsts[group - 1]
    is_copy = original != np.arange(len(runs))
    found = np.where(is_copy, file[runs][original], -1)
    other[in_group] = np.repeat(found, n_rows)
    return other


def count_copies(file: np.ndarray, other: np.ndarray) -> Counter[tuple[int, int]]:
    """Count copies by their file and the other one; both arrays have the shape (n_copies,)."""
    pairs, counts = np.unique((file.astype(np.int64) << 32) | other, return_counts=True)
    return Counter(
        {
            (pair >> 32, pair & 0xFFFFFFFF): count
            for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
        }
    )


def copy_remarks(
    copies: Counter[tuple[int, int]],
    parsed: Sequence[ParsedInput],
    manifest: Mapping[str, Mapping[str, Any]],
    changed: Iterable[str],
) -> list[str]:
    """Return, in a sentence each, which files have rows of others, and which companies are equal.

    Parameters
    ----------
    copies : Counter
        As counted by `count_copies`.
    parsed : sequence of ParsedInput
        The files, by position.
    manifest : mapping
        The dataset's rows of the manifest, by company.
    changed : iterable of str
        The companies that an ingest has written; others alone are not told.
    """
    return _of_files(copies, parsed) + _of_companies(manifest, set(changed))


def _of_files(copies: Counter[tuple[int, int]], parsed: Sequence[ParsedInput]) -> list[str]:
    if not copies:
        return []
    shown = "; ".join(
        f"{n_copies:,} of the {parsed[file].n_rows:,} rows of {parsed[file].input.label} are in "
        f"{parsed[other].input.label} too"
        for (file, other), n_copies in copies.most_common(_SHOWN)
    )
    more = f"; and so it is with {len(copies) - _SHOWN} more pairs" if len(copies) > _SHOWN else ""
    drop = option("drop_copies", in_python=parsed[0].input.in_python)
    return [
        f"Files of a company overlap: {shown}{more}. Such rows count twice, unless you say {drop}."
    ]


def _of_companies(manifest: Mapping[str, Mapping[str, Any]], changed: set[str]) -> list[str]:
    by_content = defaultdict(list)
    for company_id, row in manifest.items():
        if row["n_customers"] == 1:  # a row or two can be equal by chance
            continue
        by_content[row["content_hash"]].append(company_id)
    several = [sorted(names) for names in by_content.values() if len(names) > 1]
    several = [names for names in several if changed & set(names)]
    if not several:
        return []
    shown = "; ".join(
        f"{_listed(names)} ({manifest[names[0]]['n_rows']:,} rows each)"
        for names in several[:_SHOWN]
    )
    more = f"; and {len(several) - _SHOWN} more such groups" if len(several) > _SHOWN else ""
    return [
        f"Companies that have the same rows count as different ones: {shown}{more}. If one is a "
        "copy, ingest the others into a new dataset."
    ]


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        return f"{', '.join(shown)} and {len(names) - _SHOWN} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
