"""What the models of a window share: its customers and spend by group, compiled."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import (
    BUYERS,
    OTHER_BUYERS,
    OTHER_SPEND,
    ROWS,
    SPEND,
)
from scale_eval.metrics.leaving_out import NOTHING_LEFT
from scale_eval.metrics.uncertainty import N_GROUPS


@compiled(internal=True)
def window_into(
    bought: np.ndarray,
    future_spend: np.ndarray,
    groups: np.ndarray,
    tags: np.ndarray,
    spenders: np.ndarray,
    spent: np.ndarray,
    by_group: np.ndarray,
) -> int:
    """Describe the n customers of a window, and return the number of those who spend.

    Parameters
    ----------
    bought, future_spend, groups : ndarray of bool, float64, uint8, shape (n,)
    tags : ndarray of int64, shape (n,)
        Output, like all that follow: 2 group + outcome.
    spenders : ndarray of int64, shape (n,)
        16 times the customer, + the group, of those who spend; from the start.
    spent : ndarray of float64, shape (n,)
        What these spend.
    by_group : ndarray of float64
        The columns `ROWS` to `OTHER_SPEND` of groups.
    """
    for i in range(3 * N_GROUPS):
        by_group[i] = 0.0
    n_spenders = 0
    for i in range(len(bought)):
        group, outcome, amount = np.int64(groups[i]), np.int64(bought[i]), future_spend[i]
        tags[i] = group << 1 | outcome
        by_group[ROWS * N_GROUPS + group] += 1.0
        by_group[BUYERS * N_GROUPS + group] += outcome
        by_group[SPEND * N_GROUPS + group] += amount
        spenders[n_spenders] = i << 4 | group
        spent[n_spenders] = amount
        n_spenders += amount != 0
    sums_of_others_into(by_group, BUYERS * N_GROUPS, OTHER_BUYERS * N_GROUPS)
    sums_of_others_into(by_group, SPEND * N_GROUPS, OTHER_SPEND * N_GROUPS)
    return n_spenders


@compiled(internal=True)
def sums_of_others_into(by_group: np.ndarray, column: int, into: int) -> None:
    """Write the sum over the other groups for each; a difference would cancel."""
    before = after = 0.0
    for g in range(N_GROUPS):
        by_group[into + g] = before
        before += by_group[column + g]
    for g in range(N_GROUPS - 1, -1, -1):
        by_group[into + g] += after
        after += by_group[column + g]


@compiled(internal=True)
def has_others(by_group: np.ndarray, column: int, others: int) -> bool:
    """Return whether no group holds all of an amount, but for `NOTHING_LEFT`."""
    total, least = 0.0, np.inf
    for g in range(N_GROUPS):
        total += by_group[column + g]
        least = by_group[others + g] if by_group[others + g] < least else least
    return least > NOTHING_LEFT * total
