"""The influence of groups of customers on the gain and the value captured, compiled.

The twin of `leaving_out.captured_without_each_group`: the gain curve is read at 8, 10 and 12 % of
the customers, and what each group holds is counted beside.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.values import DEFINED, GAIN, VALUE_CAPTURED
from scale_eval.metrics.leaving_out import NOTHING_LEFT
from scale_eval.metrics.uncertainty import N_GROUPS, ROUNDING
from scale_eval.statistics.weighted_blocks import TOP

POINTS = np.array([0.8 * TOP, TOP, 1.2 * TOP])
"""The shares of the customers at which the curve is read."""


@compiled
def top_tenth_influence_into(
    keys: np.ndarray,
    ends: np.ndarray,
    block_probability: np.ndarray,
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    groups: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    of_gain: np.ndarray,
    of_value: np.ndarray,
) -> None:
    """Write the sums of influence on both metrics, each of shape (N_GROUPS,); NaN where undefined.

    `keys`, `ends` and `block_probability` are those of `blocks_into`.
    """
    rows, buyers = np.zeros(N_GROUPS), np.zeros(N_GROUPS)
    for key in keys:
        group = (key >> 1) & (N_GROUPS - 1)
        rows[group] += 1.0
        buyers[group] += key & 1
    last, share = _ends_of(POINTS, ends)
    top_rows, top_buyers, bought = _in_top(keys, ends, last, share)
    _sums_into(
        values[GAIN], bought, buyers, top_buyers, rows, top_rows, reasons[GAIN] == DEFINED, of_gain
    )
    spend, top_spend, spent = _spend_in_top(
        block_probability[last], share, probabilities, future_spend, groups
    )
    _sums_into(
        values[VALUE_CAPTURED],
        spent,
        spend,
        top_spend,
        rows,
        top_rows,
        reasons[VALUE_CAPTURED] == DEFINED,
        of_value,
    )


@compiled
def _ends_of(points: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the block in which each share of the customers ends, and how much of it lies inside.

    `points` ascend.
    """
    last, share = np.zeros(len(points), np.int64), np.zeros(len(points))
    block, begin = 0, 0
    for i in range(len(points)):
        counted = points[i] * ends[-1]
        while ends[block] < counted:
            begin = ends[block]
            block += 1
        last[i], share[i] = block, (counted - begin) / (ends[block] - begin)
    return last, share


@compiled
def _in_top(
    keys: np.ndarray, ends: np.ndarray, last: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the customers and buyers of each group in the top tenth, and the buyers at `POINTS`.

    Shapes (N_GROUPS,), (N_GROUPS,), (3,).
    """
    rows, buyers, bought = np.zeros(N_GROUPS), np.zeros(N_GROUPS), np.zeros(3)
    begin = np.int64(0)
    for block in range(last[2] + 1):
        inside = _inside(block, last[1], share[1])
        n_buyers = 0
        for key in keys[begin : ends[block]]:
            group, is_buyer = (key >> 1) & (N_GROUPS - 1), key & 1
            rows[group] += inside
            buyers[group] += inside * is_buyer
            n_buyers += is_buyer
        for i in range(3):
            bought[i] += n_buyers * _inside(block, last[i], share[i])
        begin = ends[block]
    return rows, buyers, bought


@compiled
def _inside(block: int, last: int, share: float) -> float:
    """Return how much of a block lies inside, where the last block has `share` inside."""
    if block < last:
        return 1.0
    return share if block == last else 0.0


@compiled
def _spend_in_top(
    limits: np.ndarray,
    share: np.ndarray,
    probabilities: np.ndarray,
    future_spend: np.ndarray,
    groups: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the spend of each group, that in the top tenth, and the spend at `POINTS`."""
    spend, top, spent = np.zeros(N_GROUPS), np.zeros(N_GROUPS), np.zeros(3)
    for i in range(len(future_spend)):
        amount = future_spend[i]
        if amount == 0:
            continue
        p, group = probabilities[i], groups[i]
        spend[group] += amount
        if p < limits[2]:
            continue
        for j in range(3):
            if p >= limits[j]:
                inside = amount if p > limits[j] else share[j] * amount
                spent[j] += inside
                if j == 1:
                    top[group] += inside
    return spend, top, spent


@compiled
def _sums_into(
    value: float,
    held: np.ndarray,
    amounts: np.ndarray,
    top_amounts: np.ndarray,
    rows: np.ndarray,
    top_rows: np.ndarray,
    is_defined: bool,
    sums: np.ndarray,
) -> None:
    """Write `jackknifed_sums` of the share of an amount that the top tenth holds."""
    sums[:] = np.nan
    n, others = rows.sum(), _of_others(amounts)
    if not is_defined or others.min() <= NOTHING_LEFT * amounts.sum():
        return
    a_customer = (held[2] - held[0]) / ((POINTS[2] - POINTS[0]) * n)
    captured, all_top = _of_others(top_amounts), top_rows.sum()
    moved = np.zeros(N_GROUPS)
    for g in range(N_GROUPS):
        missing = TOP * (n - rows[g]) - (all_top - top_rows[g])
        without = (captured[g] + a_customer * missing) / others[g]
        changed = value - min(max(without, 0.0), 1.0)
        if abs(changed) > ROUNDING * abs(value):
            moved[g] = (1 - rows[g] / n) * changed
    change = moved.sum()
    for g in range(N_GROUPS):
        sums[g] = moved[g] - rows[g] / n * change


@compiled
def _of_others(amounts: np.ndarray) -> np.ndarray:
    """Return the sum over the other groups for each; a difference would cancel."""
    others = np.zeros(N_GROUPS)
    before = after = 0.0
    for g in range(N_GROUPS):
        others[g] += before
        before += amounts[g]
        others[N_GROUPS - 1 - g] += after
        after += amounts[N_GROUPS - 1 - g]
    return others
