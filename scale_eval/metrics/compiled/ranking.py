"""AUC, average precision, gain, lift and captured spend, compiled."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, total, where
from scale_eval.metrics.compiled.values import (
    AUC,
    AUC_SE,
    AVERAGE_PRECISION,
    FEWER_THAN_2_NEGATIVES,
    FEWER_THAN_2_POSITIVES,
    FUTURE_SPEND,
    GAIN,
    LIFT,
    NO_NEGATIVES,
    NO_POSITIVES,
    NO_SPEND,
    VALUE_CAPTURED,
)


@compiled
def ranking_into(
    ends: np.ndarray, cumulative: np.ndarray, values: np.ndarray, reasons: np.ndarray
) -> None:
    """Compute the AUC and its standard error, average precision, gain and lift."""
    n, m = ends[-1], cumulative[-1]
    k = n - m
    if m == 0:
        reasons[AVERAGE_PRECISION] = reasons[GAIN] = reasons[LIFT] = NO_POSITIVES
    if m == 0 or k == 0:
        reasons[AUC] = NO_POSITIVES if m == 0 else NO_NEGATIVES
    if m < 2 or k < 2:
        reasons[AUC_SE] = FEWER_THAN_2_POSITIVES if m < 2 else FEWER_THAN_2_NEGATIVES
    if m == 0:
        return
    pairs_twice, precision = np.int64(0), 0.0
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        # Twice the others ranked below: all others, less those above, less half of the tied ones.
        pairs_twice += bought * (2 * k - (ends[i] - cumulative[i]) - (above - bought_above))
        precision += bought * (cumulative[i] / ends[i])
        above, bought_above = ends[i], cumulative[i]
    values[AVERAGE_PRECISION] = precision / m
    block, start = _end_of_top_tenth(ends)
    before = cumulative[block - 1] if block else np.int64(0)
    share = (n / 10 - start) / (ends[block] - start)
    values[GAIN] = (before + share * (cumulative[block] - before)) / m
    values[LIFT] = 10 * values[GAIN]
    if k == 0:
        return
    auc = pairs_twice / (2 * m * k)
    values[AUC] = auc
    if m < 2 or k < 2:
        return
    # Means of v10, twice the others that a buyer outranks, and v01, twice the buyers above another.
    mean_10, mean_01 = 2 * k * auc, 2 * m * auc
    var_10, var_01 = 0.0, 0.0
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        bought = cumulative[i] - bought_above
        others = ends[i] - above - bought
        v10 = (2 * k - (ends[i] - cumulative[i]) - (above - bought_above)) - mean_10
        v01 = (cumulative[i] + bought_above) - mean_01
        var_10 += bought * (v10 * v10)
        var_01 += others * (v01 * v01)
        above, bought_above = ends[i], cumulative[i]
    var_10 /= 4.0 * k * k * (m - 1)
    var_01 /= 4.0 * m * m * (k - 1)
    values[AUC_SE] = math.sqrt(var_10 / m + var_01 / k)


@compiled
def _end_of_top_tenth(ends: np.ndarray) -> tuple[int, int]:
    """Return the block in which the first tenth of the customers ends, and the count above it."""
    tenth = ends[-1] / 10
    block, start = 0, 0
    while ends[block] < tenth:
        start = ends[block]
        block += 1
    return block, start


@compiled
def spend_into(
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    block_probability: np.ndarray,
    ends: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
) -> None:
    """Compute the future spend, and the share of it that the first tenth captures."""
    block, start = _end_of_top_tenth(ends)
    limit = block_probability[block]
    nothing = aboves = ties = belows = lanes_of(0.0)
    whole = len(probabilities) // LANES * LANES
    for i in range(0, whole, LANES):
        p, spends = load(probabilities, i), load(future_spend, i)
        is_above, is_below = p > limit, limit > p
        aboves += where(is_above, spends, nothing)
        belows += where(is_below, spends, nothing)
        ties += where(is_above, nothing, where(is_below, nothing, spends))
    above, tied, below = total(aboves), total(ties), total(belows)
    for i in range(whole, len(probabilities)):
        p, spend = probabilities[i], future_spend[i]
        above += spend if p > limit else 0.0
        tied += spend if p == limit else 0.0
        below += spend if p < limit else 0.0
    all_spend = above + tied + below
    values[FUTURE_SPEND] = all_spend
    if all_spend == 0:
        reasons[VALUE_CAPTURED] = NO_SPEND
        return
    share = (len(probabilities) / 10 - start) / (ends[block] - start)
    values[VALUE_CAPTURED] = (above + share * tied) / all_spend
