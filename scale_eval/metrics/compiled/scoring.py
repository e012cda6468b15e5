"""All metrics of one evaluation, compiled: `score` and `influence_sums` in microseconds.

The plain version, one expression for each metric, defines these figures; this one computes them
together, in a few passes over one sort. What is exact in the plain version (the pairs of the AUC)
is exact here, and every null has the same reason.
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics import score
from scale_eval.metrics.compiled.calibration import calibration_into
from scale_eval.metrics.compiled.elementary import log_of
from scale_eval.metrics.compiled.influence import influence_into
from scale_eval.metrics.compiled.losses import losses_into
from scale_eval.metrics.compiled.ranking import ranking_into, spend_into
from scale_eval.metrics.compiled.simd import LANES, load, store
from scale_eval.metrics.compiled.tied_blocks import blocks_into
from scale_eval.metrics.compiled.top_tenth import top_tenth_influence_into
from scale_eval.metrics.compiled.values import (
    COUNTS,
    DEFINED,
    FUTURE_SPEND,
    KNOWN_RATE,
    N_SCORED,
    NO_CUSTOMERS,
    NO_REFERENCE,
    REASONS,
    REFERENCE_BRIER,
    REFERENCE_LOG_LOSS,
    VALUES,
    undefined,
)
from scale_eval.metrics.influence import INFLUENCED
from scale_eval.metrics.scores import CLIP, Scores
from scale_eval.metrics.uncertainty import N_GROUPS

ON_GAIN, ON_VALUE = INFLUENCED.index("gain_at_10"), INFLUENCED.index("value_captured_at_10")


@compiled
def score_into(
    outcomes: np.ndarray,
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    reference: float,
    groups: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    counts: np.ndarray,
    influence: np.ndarray,
) -> None:
    """Score one evaluation.

    Parameters
    ----------
    outcomes, probabilities, future_spend : ndarray of bool, float64, float64, shape (n,)
        As `Scores` takes them, contiguous; they are not checked.
    reference : float
        Prediction of the base rate known at the cutoff; NaN where there is none.
    groups : ndarray of uint8, shape (n,)
        From `customer_groups`.
    values : ndarray of float64, shape (len(VALUES),)
        Output, like all that follow; NaN where undefined.
    reasons : ndarray of uint8, shape (len(VALUES),)
        Indices into `REASONS`.
    counts : ndarray of int64, shape (len(COUNTS),)
    influence : ndarray of float32, shape (len(INFLUENCED), N_GROUPS)
        As `influence_sums`; NaN where a metric has none.
    """
    n = len(outcomes)
    reasons[:] = DEFINED
    counts[:] = 0
    if n == 0:
        _score_nobody(reference, values, reasons, influence)
        return
    integers = np.empty(5 * n + 1, dtype=np.int64)
    keys, spare = integers[:n], integers[n : 3 * n + 1]
    ends, cumulative = integers[3 * n + 1 : 4 * n + 1], integers[4 * n + 1 :]
    size = _padded(n)
    floats = np.empty(10 * size)
    block_probability = floats[:size]
    n_blocks = blocks_into(
        outcomes, probabilities, groups, keys, spare, block_probability, ends, cumulative
    )
    ends, cumulative = ends[:n_blocks], cumulative[:n_blocks]
    k = _padded(n_blocks)
    block_probability = block_probability[:k]
    p, q = floats[size:][:k], floats[2 * size :][:k]
    log_p, log_q, logit = floats[3 * size :][:k], floats[4 * size :][:k], floats[5 * size :][:k]
    positives, negatives = floats[6 * size :][:k], floats[7 * size :][:k]
    likely, unlikely = floats[8 * size :][:k], floats[9 * size :][:k]
    _blocks_as_floats(ends, cumulative, block_probability, positives, negatives)
    _logs_into(block_probability, p, q, log_p, log_q, logit)

    counts[0] = cumulative[-1]
    counts[1] = _n_clipped(block_probability, positives, negatives)
    counts[2] = n_blocks
    expected = losses_into(
        block_probability,
        log_p,
        log_q,
        positives,
        negatives,
        n,
        cumulative[-1],
        reference,
        values,
        reasons,
    )
    ranking_into(ends, cumulative, values, reasons)
    spend_into(probabilities, future_spend, block_probability, ends, values, reasons)
    centre, information = calibration_into(
        p, q, logit, positives, negatives, likely, unlikely, values, reasons
    )
    influence_into(
        keys,
        ends,
        cumulative,
        block_probability,
        log_p,
        log_q,
        logit,
        likely,
        unlikely,
        values,
        reasons,
        expected,
        centre,
        information,
        influence,
    )
    top_tenth_influence_into(
        keys,
        ends,
        block_probability,
        probabilities,
        future_spend,
        groups,
        values,
        reasons,
        influence[ON_GAIN],
        influence[ON_VALUE],
    )
    for i in range(len(values)):
        if reasons[i] != DEFINED:
            values[i] = np.nan


_, _UNDEFINED_FOR_NOBODY = score(Scores([], [], []))
_REASONS_FOR_NOBODY = np.array(
    [REASONS.index(_UNDEFINED_FOR_NOBODY[name]) for name in VALUES[:N_SCORED]], np.uint8
)
"""Codes of the reasons for which each value is undefined where there are no customers."""


@compiled
def _score_nobody(
    reference: float, values: np.ndarray, reasons: np.ndarray, influence: np.ndarray
) -> None:
    values[:] = np.nan
    influence[:] = np.nan
    reasons[:] = NO_CUSTOMERS
    reasons[:N_SCORED] = _REASONS_FOR_NOBODY
    values[FUTURE_SPEND], reasons[FUTURE_SPEND] = 0.0, DEFINED
    if math.isnan(reference):
        reasons[REFERENCE_LOG_LOSS] = reasons[REFERENCE_BRIER] = NO_REFERENCE
        reasons[KNOWN_RATE] = NO_REFERENCE


@compiled
def _padded(n: int) -> int:
    """Return `n` rounded up to a multiple of two `LANES`; empty blocks fill the rest."""
    return (n + 2 * LANES - 1) // (2 * LANES) * (2 * LANES)


@compiled
def _blocks_as_floats(
    ends: np.ndarray,
    cumulative: np.ndarray,
    block_probability: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
) -> None:
    """Count the buyers and the others of each block; the padding holds empty blocks."""
    above, bought_above = 0, 0
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        positives[i] = bought
        negatives[i] = ends[i] - above - bought
        above, bought_above = ends[i], cumulative[i]
    for i in range(len(ends), len(block_probability)):
        positives[i] = negatives[i] = 0.0
        block_probability[i] = block_probability[len(ends) - 1]


@compiled
def _logs_into(
    block_probability: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    logit: np.ndarray,
) -> None:
    """Compute each block's clipped p, 1 - p, their logarithms and the logit."""
    for i in range(0, len(block_probability), LANES):
        clipped = min(max(load(block_probability, i), CLIP), 1 - CLIP)
        others = 1.0 - clipped
        store(p, i, clipped)
        store(q, i, others)
        log_clipped, log_others = log_of(clipped), log_of(others)
        store(log_p, i, log_clipped)
        store(log_q, i, log_others)
        store(logit, i, log_clipped - log_others)


@compiled
def _n_clipped(block_probability: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> int:
    """Count clipped customers, who are in the first and last blocks, since probabilities fall."""
    clipped, first, last = 0.0, 0, len(block_probability)
    while first < last and block_probability[first] > 1 - CLIP:
        clipped += positives[first] + negatives[first]
        first += 1
    while first < last and block_probability[last - 1] < CLIP:
        last -= 1
        clipped += positives[last] + negatives[last]
    return int(clipped)


def score_compiled(
    scores: Scores, groups: np.ndarray
) -> tuple[dict[str, float | None], dict[str, str], dict[str, np.ndarray | None]]:
    """Return what `score` and `influence_sums` return, by `score_into`; groups: int, shape (n,)."""
    values = np.empty(len(VALUES))
    reasons = np.empty(len(VALUES), dtype=np.uint8)
    counts = np.empty(len(COUNTS), dtype=np.int64)
    influence = np.empty((len(INFLUENCED), N_GROUPS), dtype=np.float32)
    reference = math.nan if scores.reference is None else float(scores.reference)
    score_into(  # copies: read-only arrays would be another type, compiled for anew
        scores.outcomes.copy(),
        scores.probabilities.copy(),
        scores.future_spend.copy(),
        reference,
        np.array(groups, dtype=np.uint8),
        values,
        reasons,
        counts,
        influence,
    )
    named = {
        name: None if code else value
        for name, value, code in zip(VALUES[:N_SCORED], values.tolist(), reasons, strict=False)
    }
    sums = {
        name: None if np.isnan(row).any() else row
        for name, row in zip(INFLUENCED, influence, strict=True)
    }
    return named, undefined(reasons.tobytes()), sums
