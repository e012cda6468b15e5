"""The influence of groups of customers on the metrics of one evaluation, compiled."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled.values import (
    AUC,
    BRIER,
    DEFINED,
    LOG_LOSS,
    LOG_RATIO_SE,
    SLOPE,
)
from scale_eval.metrics.influence import INFLUENCED, N_GROUPS


@numba.njit(nogil=True, cache=True, error_model="numpy")
def influence_into(
    keys: np.ndarray,
    ends: np.ndarray,
    cumulative: np.ndarray,
    shared: np.ndarray,
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
    """Sum `influence_values` over the groups of customers."""
    n, m = ends[-1], cumulative[-1]
    k = n - m
    log_loss, brier = values[LOG_LOSS], values[BRIER]
    ranked = reasons[AUC] == DEFINED
    auc, of_bought, of_other = 0.0, 0.0, 0.0
    if ranked:
        auc, of_bought, of_other = values[AUC], 1 / m, 1 / k
    related = reasons[LOG_RATIO_SE] == DEFINED
    of_observed, of_expected = (1 / m, 1 / expected) if related else (0.0, 0.0)
    fitted = reasons[SLOPE] == DEFINED
    of_slope = 1 / information if fitted else 0.0
    sums = np.zeros((N_GROUPS, len(INFLUENCED)))
    above, bought_above = np.int64(0), np.int64(0)
    for i in range(len(ends)):
        p = shared[i]
        lever = (logit[i] - centre) * of_slope if fitted else 0.0
        v10 = (2 * k - (ends[i] - cumulative[i]) - (above - bought_above)) * (of_other / 2) - auc
        v01 = (cumulative[i] + bought_above) * (of_bought / 2) - auc
        for j in range(above, ends[i]):
            bought = (keys[j] & 1) == 1
            group = (keys[j] >> 1) & (N_GROUPS - 1)
            sums[group, 0] -= (log_p[i] if bought else log_q[i]) + log_loss
            sums[group, 1] += ((p - 1) * (p - 1) if bought else p * p) - brier
            sums[group, 2] += v10 * of_bought if bought else v01 * of_other
            sums[group, 3] += (of_observed if bought else 0.0) - p * of_expected
            sums[group, 4] += (unlikely[i] if bought else -likely[i]) * lever
        above, bought_above = ends[i], cumulative[i]
    for group in range(N_GROUPS):
        influence[0, group] = sums[group, 0] / n
        influence[1, group] = sums[group, 1] / n
        influence[2, group] = sums[group, 2] if ranked else np.nan
        influence[3, group] = sums[group, 3] if related else np.nan
        influence[4, group] = sums[group, 4] if fitted else np.nan
