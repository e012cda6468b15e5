"""The influence of groups of customers on the metrics of one evaluation, compiled."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.built_in import STANDARD_ERRORS
from scale_eval.metrics.compiled.values import (
    AUC,
    BRIER,
    DEFINED,
    LOG_LOSS,
    LOG_RATIO_SE,
    SLOPE,
)
from scale_eval.metrics.uncertainty import N_GROUPS

N_BY_CUSTOMER = len(STANDARD_ERRORS)
"""Number of influences that have a value for each customer; they come first."""


@compiled
def influence_into(
    keys: np.ndarray,
    ends: np.ndarray,
    cumulative: np.ndarray,
    block_probability: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    logit: np.ndarray,
    likely: np.ndarray,
    unlikely: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    expected: float,
    centre: float,
    information: float,
    influence: np.ndarray,
) -> None:
    """Sum `influence_values` over the groups of customers, into the first rows of `influence`."""
    n, m = ends[-1], cumulative[-1]
    k = n - m
    log_loss, brier = values[LOG_LOSS], values[BRIER]
    has_auc = reasons[AUC] == DEFINED
    auc, per_buyer, per_other = 0.0, 0.0, 0.0
    if has_auc:
        auc, per_buyer, per_other = values[AUC], 1 / m, 1 / k
    has_ratio = reasons[LOG_RATIO_SE] == DEFINED
    per_observed, per_expected = (1 / m, 1 / expected) if has_ratio else (0.0, 0.0)
    has_slope = reasons[SLOPE] == DEFINED
    per_information = 1 / information if has_slope else 0.0
    sums = np.zeros((N_GROUPS, N_BY_CUSTOMER))
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        p = block_probability[i]
        leverage = (logit[i] - centre) * per_information if has_slope else 0.0
        v10 = (2 * k - (ends[i] - cumulative[i]) - (above - bought_above)) * (per_other / 2) - auc
        v01 = (cumulative[i] + bought_above) * (per_buyer / 2) - auc
        for j in range(above, ends[i]):
            bought = (keys[j] & 1) == 1
            group = (keys[j] >> 1) & (N_GROUPS - 1)
            sums[group, 0] -= (log_p[i] if bought else log_q[i]) + log_loss
            sums[group, 1] += ((p - 1) * (p - 1) if bought else p * p) - brier
            sums[group, 2] += v10 * per_buyer if bought else v01 * per_other
            sums[group, 3] += (per_observed if bought else 0.0) - p * per_expected
            sums[group, 4] += (unlikely[i] if bought else -likely[i]) * leverage
        above, bought_above = ends[i], cumulative[i]
    for group in range(N_GROUPS):
        influence[0, group] = sums[group, 0] / n
        influence[1, group] = sums[group, 1] / n
        influence[2, group] = sums[group, 2] if has_auc else np.nan
        influence[3, group] = sums[group, 3] if has_ratio else np.nan
        influence[4, group] = sums[group, 4] if has_slope else np.nan
