"""The compiled metrics of one evaluation, in the form of the plain ones."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.metrics.compiled.batch import APART, score_windows_into
from scale_eval.metrics.compiled.values import COUNTS, N_SCORED, VALUES, undefined
from scale_eval.metrics.histogram import N_BINS
from scale_eval.metrics.influence import INFLUENCED
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import N_GROUPS


def score_compiled(
    scores: Scores, groups: np.ndarray
) -> tuple[dict[str, float | None], dict[str, str], dict[str, np.ndarray | None]]:
    """Return what `score` and `influence_sums` return, compiled; groups: int, shape (n,).

    There is at least one customer.
    """
    values = np.empty((1, len(VALUES)))
    reasons = np.empty((1, len(VALUES)), dtype=np.uint8)
    counts = np.empty((1, len(COUNTS)), dtype=np.int64)
    influence = np.empty((1, len(INFLUENCED), N_GROUPS), dtype=np.float32)
    reference = math.nan if scores.reference is None else float(scores.reference)
    score_windows_into(  # copies: read-only arrays would be another type, compiled for anew
        np.ones((1, 1), np.bool_),
        scores.probabilities[np.newaxis].copy(),
        np.zeros(1, np.int64),
        np.full(1, len(groups), np.int64),
        np.array(groups, dtype=np.uint8),
        scores.outcomes.copy(),
        scores.future_spend.copy(),
        np.full(1, reference),
        np.full((1, 1), APART),
        np.zeros((0, N_BINS, 4), np.int64),
        values,
        reasons,
        counts,
        influence,
    )
    named = {
        name: None if code else value
        for name, value, code in zip(
            VALUES[:N_SCORED], values[0].tolist(), reasons[0], strict=False
        )
    }
    sums = {
        name: None if np.isnan(row).any() else row
        for name, row in zip(INFLUENCED, influence[0], strict=True)
    }
    return named, undefined(reasons[0].tobytes()), sums
