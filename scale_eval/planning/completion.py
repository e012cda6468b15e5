"""Find which evaluations of a plan already have a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.instants import NEVER
from scale_eval.evaluation.schema import FAILED, KEY
from scale_eval.planning.plan import Plan

COLUMNS = (*KEY, "status", "attempts")
"""The columns of the table `evaluations` that `completed` reads."""


@dataclass(frozen=True)
class Completion:
    """A completion says how far a plan is done, in arrays of shape (n_windows, n_models).

    Attributes
    ----------
    attempts : ndarray of int32
        How often each evaluation was tried; 0 where it has no row.
    failed : ndarray of bool
        Whether the last attempt failed.
    n_repeated : int
        Rows beyond the first of the same attempt; their batches are to be removed.
    """

    attempts: np.ndarray
    failed: np.ndarray
    n_repeated: int = 0

    @property
    def n_missing(self) -> int:
        """Return the number of evaluations, refused ones included, that have no row yet."""
        return int((self.attempts == 0).sum())

    def missing_by_model(self, plan: Plan) -> dict[str, int]:
        """Return the number of evaluations without a row of each model that has such."""
        counts = (self.attempts == 0).sum(axis=0).tolist()
        return {model: n for model, n in zip(plan.models, counts, strict=True) if n}

    def todo(self, plan: Plan, models: Iterable[str], *, retry: bool) -> np.ndarray:
        """Return which planned evaluations of `models` to do; with `retry`, failed ones too."""
        chosen = np.isin(plan.models, list(models))
        missing = (self.attempts == 0) | (self.failed & retry)
        return np.asarray(missing & plan.is_planned[:, None] & chosen)


def completed(plan: Plan, parts: Iterable[pa.Table]) -> Completion:
    """Find which planned evaluations already have a result.

    `parts` are rows of the table `evaluations` in any order; rows outside the plan are ignored.
    """
    shape = (len(plan.is_planned), len(plan.models))
    attempts, failed, n_repeated = np.zeros(shape, np.int32), np.zeros(shape, bool), 0
    if not shape[0]:  # a share without a company
        return Completion(attempts, failed)
    names = pa.array(plan.company_ids, pa.string())
    models = pa.array(plan.models, pa.string())
    # With the rank of its cutoff one integer names a window, and windows are sorted by it.
    cutoffs = np.unique(plan.windows.cutoff)
    ranks = np.searchsorted(cutoffs, plan.windows.cutoff)
    windows = plan.windows.company * len(cutoffs) + ranks
    for part in parts:
        company = _positions(part["company_id"], names)
        model = _positions(part["model"], models)
        cutoff = pc.fill_null(part["cutoff"].cast(pa.int64()), NEVER).to_numpy()
        rank = np.minimum(np.searchsorted(cutoffs, cutoff), len(cutoffs) - 1)
        named = company * len(cutoffs) + rank
        window = np.minimum(np.searchsorted(windows, named), max(len(windows) - 1, 0))
        planned = (company >= 0) & (model >= 0)
        planned &= (cutoffs[rank] == cutoff) & (windows[window] == named)
        at = window[planned], model[planned]
        tried = part["attempts"].to_numpy()[planned]
        has_failed = (_positions(part["status"], pa.array(FAILED)) >= 0)[planned]
        n_repeated += int((tried == attempts[at]).sum())
        later = tried >= attempts[at]
        at = at[0][later], at[1][later]
        attempts[at], failed[at] = tried[later], has_failed[later]
    return Completion(attempts, failed, n_repeated)


def _positions(column: pa.ChunkedArray, among: pa.Array) -> np.ndarray:
    """Return the position of each text in `among`, -1 if it is absent; distinct texts are few."""
    codes = column.combine_chunks().dictionary_encode()
    positions = pc.fill_null(pc.index_in(codes.dictionary, value_set=among), -1).to_numpy()
    position_by_code = np.append(positions, -1).astype(np.int64)  # the last is for null
    return position_by_code[codes.indices.fill_null(len(positions)).to_numpy()]
