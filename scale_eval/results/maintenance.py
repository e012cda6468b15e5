"""Remove parts of a run that do not count; only while holding the lock of the whole run.

What looks unfinished may be what another process is writing: a share of a run removes nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from scale_eval.evaluation.schema import KEY
from scale_eval.results.directory import FOLDERS
from scale_eval.results.evaluation_parts import (
    CODED,
    evaluation_files,
    row_hashes,
    score_files,
    scores_beside,
)
from scale_eval.storage import Store, read_table


def remove_unfinished(store: Store) -> None:
    """Remove what an interrupted run left behind: half-written files and half parts."""
    store.delete_unfinished(FOLDERS)
    whole = {scores_beside(name) for name in evaluation_files(store)}
    for name in score_files(store):
        if name not in whole:
            store.delete(name)


def remove_without_scores(store: Store) -> int:
    """Remove parts whose scores are missing; return their number.

    A worker of an interrupted run can still be between the two files of a part while the run is
    resumed: `remove_unfinished` then removed the first of them.
    """
    evaluations, n_removed = evaluation_files(store), 0
    scores = set(score_files(store))  # listed second, since a part's scores are written first
    for name in evaluations:
        if scores_beside(name) not in scores:
            status = read_table(store, name, columns=["status"])["status"]
            if pc.any(pc.equal(status, "ok")).as_py():
                store.delete(name)
                n_removed += 1
    return n_removed


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
        row_hashes(read_table(store, name, columns=columns, dictionaries=CODED), columns)
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
