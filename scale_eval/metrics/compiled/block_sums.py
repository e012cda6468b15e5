"""The sums over blocks from which losses and ranks are computed, compiled: two passes.

The first computes means; the second squares about them, and the influence of a customer.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import (
    CLIPPED,
    CUMULATIVE,
    ENDS,
    LOG_P,
    LOG_Q,
    LOGIT,
    NEGATIVES,
    ON_AUC,
    ON_BRIER,
    ON_LOSS,
    ON_RATIO,
    POSITIVES,
    PROBABILITY,
)
from scale_eval.metrics.compiled.elementary import log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total
from scale_eval.metrics.scores import CLIP

(
    SURPRISE,
    SQUARES,
    EXPECTED,
    CLIPPED_EXPECTED,
    OTHERS_EXPECTED,
    PAIRS_TWICE,
    PRECISION,
    LOSS_SPREAD,
    BRIER_SPREAD,
    RATIO_SPREAD,
    BUYERS_SPREAD,
    OTHERS_SPREAD,
) = range(12)
"""Places of the sums; the last five are of squares about a mean."""

N_SUMS = 12


@compiled(internal=True)
def first_sums_into(
    blocks: np.ndarray, stride: int, size: int, n: float, buyers: float, sums: np.ndarray
) -> None:
    """Fill the columns `POSITIVES` to `LOGIT`, and the logarithms, and compute the first sums.

    Parameters
    ----------
    blocks : ndarray of float64
        The columns of `size` blocks, a multiple of `LANES`.
    n, buyers : float
        Customers, and buyers among them.
    sums : ndarray of float64, shape (N_SUMS,)
        Output: surprise, squared errors, expected buyers; expected buyers and others of the clipped
        probabilities; twice the pairs ranked right, ties once; and the sum of precisions.
    """
    for i in range(0, size, LANES):
        clipped = min(max(load(blocks, PROBABILITY * stride + i), CLIP), 1 - CLIP)
        log_p, log_q = log_of(clipped), log_of(1.0 - clipped)
        store(blocks, CLIPPED * stride + i, clipped)
        store(blocks, LOGIT * stride + i, log_p - log_q)
        store(blocks, LOG_Q * stride + i, log_q)
        store(blocks, LOG_P * stride + i, log_p)
    surprise = squares = expected = clipped_expected = others_expected = lanes_of(0.0)
    pairs_twice = precision = lanes_of(0.0)
    all_others_twice = 2.0 * (n - buyers)
    for i in range(0, size, LANES):
        ends, cumulative = load(blocks, ENDS * stride + i), load(blocks, CUMULATIVE * stride + i)
        above = load(blocks, ENDS * stride + i - 1)
        bought_above = load(blocks, CUMULATIVE * stride + i - 1)
        y = cumulative - bought_above
        rows = ends - above
        others = rows - y
        store(blocks, POSITIVES * stride + i, y)
        store(blocks, NEGATIVES * stride + i, others)
        p, clipped = load(blocks, PROBABILITY * stride + i), load(blocks, CLIPPED * stride + i)
        log_p, log_q = load(blocks, LOG_P * stride + i), load(blocks, LOG_Q * stride + i)
        surprise += y * log_p + others * log_q
        squares += y * ((1.0 - p) * (1.0 - p)) + others * (p * p)
        expected += rows * p
        clipped_expected += rows * clipped
        others_expected += rows * (1.0 - clipped)
        # Twice the others ranked below: all others, less those above, less half of the tied ones.
        pairs_twice += y * (all_others_twice - (ends - cumulative) - (above - bought_above))
        precision += y * (cumulative / ends)
    sums[SURPRISE], sums[SQUARES], sums[EXPECTED] = total(surprise), total(squares), total(expected)
    sums[CLIPPED_EXPECTED], sums[OTHERS_EXPECTED] = total(clipped_expected), total(others_expected)
    sums[PAIRS_TWICE], sums[PRECISION] = total(pairs_twice), total(precision)


@compiled(internal=True)
def second_sums_into(
    blocks: np.ndarray, stride: int, size: int, n: float, buyers: float, sums: np.ndarray
) -> None:
    """Fill the columns of influence on losses, AUC and O / E, and compute the last five sums.

    The arguments are those of `first_sums_into`. AUC counts for nothing without buyers or others,
    and O / E without buyers.
    """
    loss, brier, others = -sums[SURPRISE] / n, sums[SQUARES] / n, n - buyers
    ratio = buyers / sums[EXPECTED] if sums[EXPECTED] > 0 else 0.0
    per_buyer = 1 / buyers if buyers else 0.0
    per_other = 1 / others if others else 0.0
    per_expected = 1 / sums[EXPECTED] if ratio else 0.0
    auc = sums[PAIRS_TWICE] / (2 * buyers * others) if per_buyer and per_other else 0.0
    mean_10, mean_01 = 2 * others * auc, 2 * buyers * auc
    all_others_twice = 2.0 * others
    loss_spread = brier_spread = ratio_spread = lanes_of(0.0)
    buyers_spread = others_spread = nothing = lanes_of(0.0)
    for i in range(0, size, LANES):
        p = load(blocks, PROBABILITY * stride + i)
        y, rest = load(blocks, POSITIVES * stride + i), load(blocks, NEGATIVES * stride + i)
        if_bought = load(blocks, LOG_P * stride + i) + loss
        if_not = load(blocks, LOG_Q * stride + i) + loss
        loss_spread += y * (if_bought * if_bought) + rest * (if_not * if_not)
        store(blocks, ON_LOSS * stride + i, nothing - if_not)
        store(blocks, ON_LOSS * stride + stride + i, nothing - if_bought)
        if_bought, if_not = (1.0 - p) * (1.0 - p) - brier, p * p - brier
        brier_spread += y * (if_bought * if_bought) + rest * (if_not * if_not)
        store(blocks, ON_BRIER * stride + i, if_not)
        store(blocks, ON_BRIER * stride + stride + i, if_bought)
        in_expected = ratio * p
        short = 1.0 - in_expected
        ratio_spread += y * (short * short) + rest * (in_expected * in_expected)
        if_not = p * per_expected
        store(blocks, ON_RATIO * stride + i, nothing - if_not)
        store(blocks, ON_RATIO * stride + stride + i, per_buyer - if_not)
        # Twice the others that a buyer outranks, and twice the buyers above another.
        cumulative = load(blocks, CUMULATIVE * stride + i)
        bought_above = load(blocks, CUMULATIVE * stride + i - 1)
        others_above = load(blocks, ENDS * stride + i) + load(blocks, ENDS * stride + i - 1)
        v01 = cumulative + bought_above
        v10 = all_others_twice - (others_above - v01)
        away = v10 - mean_10
        buyers_spread += y * (away * away)
        away = v01 - mean_01
        others_spread += rest * (away * away)
        store(blocks, ON_AUC * stride + i, (v01 * (per_buyer / 2) - auc) * per_other)
        store(blocks, ON_AUC * stride + stride + i, (v10 * (per_other / 2) - auc) * per_buyer)
    sums[LOSS_SPREAD], sums[BRIER_SPREAD] = total(loss_spread), total(brier_spread)
    sums[RATIO_SPREAD] = total(ratio_spread)
    sums[BUYERS_SPREAD], sums[OTHERS_SPREAD] = total(buyers_spread), total(others_spread)
