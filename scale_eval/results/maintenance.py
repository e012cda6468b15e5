"""Remove parts of a run that do not count, and set aside those that are damaged.

What looks unfinished may be what another process is writing: parts are removed only while holding
the lock of the whole run, and a share of a run removes nothing. Damaged files are not removed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.evaluation.schema import KEY
from scale_eval.results.damaged import DamagedPart, read_part
from scale_eval.results.directory import FOLDERS
from scale_eval.results.evaluation_parts import (
    CODED,
    damaged_parts,
    evaluation_files,
    other_half,
    row_hashes,
    score_files,
    scores_beside,
)
from scale_eval.storage import Store


def remove_unfinished(store: Store) -> None:
    """Remove what an interrupted run left behind: half-written files and half parts."""
    store.delete_unfinished(FOLDERS)
    whole = {scores_beside(name) for name in evaluation_files(store)}
    for name in score_files(store):
        if name not in whole:
            try:
                store.delete(name)
            except IsADirectoryError:
                store.set_aside(name)


def set_aside_damaged(
    store: Store, evaluations: pa.Schema, found: DamagedPart | None = None
) -> list[DamagedPart]:
    """Set aside every part of a run of which a file is damaged, and return these files.

    They keep their content under another name, and so does the other half of each part, which
    counts for nothing alone. A share may do this too: nobody writes a file in place.

    Parameters
    ----------
    store : Store
    evaluations : pyarrow.Schema
        That of the table `evaluations`.
    found : DamagedPart, optional
        One that is known to be damaged, even if it can be read now.
    """
    all_damaged = {each.name: each for each in damaged_parts(store, evaluations)}
    if found is not None:
        all_damaged.setdefault(found.name, found)
    for name in all_damaged:
        store.set_aside(name)
        store.set_aside(other_half(name))
    return list(all_damaged.values())


def parts_without_scores(store: Store) -> Iterator[str]:
    """Yield the files of evaluations that are ``ok`` and whose scores are missing."""
    evaluations = evaluation_files(store)
    scores = set(score_files(store))  # listed second, since a part's scores are written first
    for name in evaluations:
        if scores_beside(name) not in scores:
            status = read_part(store, name, columns=["status"])["status"]
            if pc.any(pc.equal(status, "ok")).as_py():
                yield name


def remove_without_scores(store: Store) -> int:
    """Remove parts whose scores are missing; return their number.

    A worker of an interrupted run can still be between the two files of a part while the run is
    resumed: `remove_unfinished` then removed the first of them.
    """
    names = list(parts_without_scores(store))
    for name in names:
        store.delete(name)
    return len(names)


def remove_repeats(store: Store) -> int:
    """Remove parts that repeat the evaluations of others; return their number.

    A worker that was thought dead, or whose coordinator died, can still write evaluations that were
    meanwhile given to others. Scores are counted by part, so a part stays or goes as a whole: of
    two that hold the same attempt of an evaluation, the larger stays. The evaluations that only the
    other one held are then made again.
    """
    names = evaluation_files(store)
    columns = [*KEY, "attempts"]
    held = [
        row_hashes(read_part(store, name, columns=columns, dictionaries=CODED), columns)
        for name in names
    ]
    by_size = sorted(range(len(names)), key=lambda i: (-len(held[i]), names[i]))
    hashes, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *held]), return_counts=True)
    repeated = hashes[counts > 1]
    taken, n_removed = np.zeros(len(repeated), bool), 0
    for i in by_size if len(repeated) else ():
        mine = np.isin(repeated, held[i])
        if (taken & mine).any():
            store.delete(names[i])
            store.delete(scores_beside(names[i]))
            n_removed += 1
        else:
            taken |= mine
    return n_removed
