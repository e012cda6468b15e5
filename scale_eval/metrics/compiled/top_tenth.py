"""What the top tenth of the customers holds, and the influence of groups on it, compiled.

The twin of `metrics.gain` and `leaving_out.captured_without_each_group`: the gain curve is read at
8, 10 and 12 % of the customers, and what each group holds is counted beside.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import (
    BUYERS,
    CUMULATIVE,
    ENDS,
    OTHER_BUYERS,
    OTHER_SPEND,
    PROBABILITY,
    ROWS,
    SPEND,
    SUMS,
    TOP_BUYERS,
    TOP_ROWS,
    TOP_SPEND,
)
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.metrics.compiled.values import (
    DEFINED,
    FUTURE_SPEND,
    GAIN,
    LIFT,
    NO_POSITIVES,
    NO_SPEND,
    VALUE_CAPTURED,
)
from scale_eval.metrics.compiled.windows import has_others, sums_of_others_into
from scale_eval.metrics.influence import INFLUENCED
from scale_eval.metrics.uncertainty import N_GROUPS, ROUNDING
from scale_eval.statistics.weighted_blocks import TOP

LIMIT, SHARE, HELD = 0, 3, 6
"""Places, each of three numbers, for the points at which the curve is read: the probability of the
block in which the point is, the share of the block inside, and the amount that is held above."""

BETWEEN = 0.04
"""The distance of the last point from the first, as a share of the customers."""

ON_GAIN, ON_VALUE = INFLUENCED.index("gain_at_10"), INFLUENCED.index("value_captured_at_10")


@compiled(internal=True)
def top_tenth_into(
    keys: np.ndarray,
    blocks: np.ndarray,
    stride: int,
    n_blocks: int,
    n: float,
    probabilities: np.ndarray,
    spenders: np.ndarray,
    spent: np.ndarray,
    n_spenders: int,
    by_group: np.ndarray,
    scratch: np.ndarray,
    values: np.ndarray,
    reasons: np.ndarray,
    influence: np.ndarray,
) -> None:
    """Compute gain, lift and the value captured, and the influence of groups on gain and value.

    `scratch`, shape (9,), is overwritten.
    """
    ends, cumulative = ENDS * stride, CUMULATIVE * stride
    block = middle = np.int64(0)
    for i in range(3):
        counted = n * (8 + 2 * i) / 100
        while blocks[ends + block] < counted:
            block += 1
        middle = block if i == 1 else middle
        begin, bought = blocks[ends + block - 1], blocks[cumulative + block - 1]
        share = (counted - begin) / (blocks[ends + block] - begin)
        scratch[LIMIT + i] = blocks[PROBABILITY * stride + block]
        scratch[SHARE + i] = share
        scratch[HELD + i] = bought + share * (blocks[cumulative + block] - bought)
    _customers_in_top_into(keys, blocks, stride, n_blocks, middle, scratch[SHARE + 1], by_group)
    n_positive = blocks[cumulative + n_blocks - 1]
    if n_positive:
        values[GAIN] = scratch[HELD + 1] / n_positive
        values[LIFT] = 10 * values[GAIN]
    else:
        reasons[GAIN] = reasons[LIFT] = NO_POSITIVES
    a_customer = (scratch[HELD + 2] - scratch[HELD]) / (BETWEEN * n)
    _sums_into(
        n,
        values[GAIN],
        reasons[GAIN] == DEFINED,
        a_customer,
        by_group,
        np.int64(BUYERS * N_GROUPS),
        np.int64(OTHER_BUYERS * N_GROUPS),
        np.int64(TOP_BUYERS * N_GROUPS),
        influence[ON_GAIN],
    )
    all_spend = _spend_in_top_into(probabilities, spenders, spent, n_spenders, by_group, scratch)
    values[FUTURE_SPEND] = all_spend
    if all_spend:
        values[VALUE_CAPTURED] = scratch[HELD + 1] / all_spend
    else:
        reasons[VALUE_CAPTURED] = NO_SPEND
    a_customer = (scratch[HELD + 2] - scratch[HELD]) / (BETWEEN * n)
    _sums_into(
        n,
        values[VALUE_CAPTURED],
        reasons[VALUE_CAPTURED] == DEFINED,
        a_customer,
        by_group,
        np.int64(SPEND * N_GROUPS),
        np.int64(OTHER_SPEND * N_GROUPS),
        np.int64(TOP_SPEND * N_GROUPS),
        influence[ON_VALUE],
    )


@compiled(internal=True)
def _customers_in_top_into(
    keys: np.ndarray,
    blocks: np.ndarray,
    stride: int,
    n_blocks: int,
    last: int,
    share: float,
    by_group: np.ndarray,
) -> None:
    """Count the customers and buyers of each group in the top tenth, with a share of `last`."""
    rows, buyers = TOP_ROWS * N_GROUPS, TOP_BUYERS * N_GROUPS
    if n_blocks == 1:
        for group in range(N_GROUPS):
            by_group[rows + group] = share * by_group[ROWS * N_GROUPS + group]
            by_group[buyers + group] = share * by_group[BUYERS * N_GROUPS + group]
        return
    for group in range(N_GROUPS):
        by_group[rows + group] = by_group[buyers + group] = 0.0
    for j in range(int(blocks[ENDS * stride + last])):
        key = keys[j]
        group = (key >> 1) & (N_GROUPS - 1)
        inside = 1.0 if key >> 5 < last else share
        by_group[rows + group] += inside
        by_group[buyers + group] += inside * (key & 1)


@compiled(internal=True)
def _spend_in_top_into(
    probabilities: np.ndarray,
    spenders: np.ndarray,
    spent: np.ndarray,
    n_spenders: int,
    by_group: np.ndarray,
    scratch: np.ndarray,
) -> float:
    """Sum the spend of each group in the top tenth, and that at the three points; return all."""
    top, all_spend = TOP_SPEND * N_GROUPS, 0.0
    for group in range(N_GROUPS):
        by_group[top + group] = 0.0
    for i in range(3):
        scratch[HELD + i] = 0.0
    for j in range(n_spenders):
        amount, p = spent[j], probabilities[spenders[j] >> 4]
        all_spend += amount
        if p >= scratch[LIMIT + 2]:
            for i in range(3):
                if p >= scratch[LIMIT + i]:
                    inside = amount if p > scratch[LIMIT + i] else scratch[SHARE + i] * amount
                    scratch[HELD + i] += inside
                    if i == 1:
                        by_group[top + (spenders[j] & (N_GROUPS - 1))] += inside
    return all_spend


@compiled(internal=True)
def _sums_into(
    n: float,
    value: float,
    is_defined: bool,
    a_customer: float,
    by_group: np.ndarray,
    amounts: int,
    others: int,
    top: int,
    sums: np.ndarray,
) -> None:
    """Write `jackknifed_sums` of the share of an amount that the top tenth holds.

    `amounts`, `others` and `top` are where the columns of the amount, of the amount of the other
    groups and of that in the top tenth begin.
    """
    if not is_defined or not has_others(by_group, amounts, others):
        for group in range(N_GROUPS):
            sums[group] = np.nan
        return
    sums_of_others_into(by_group, top, SUMS * N_GROUPS)
    tops = lanes_of(0.0)
    for g in range(0, N_GROUPS, LANES):
        tops += load(by_group, TOP_ROWS * N_GROUPS + g)
    all_top, changes = total(tops), lanes_of(0.0)
    nothing, rounding = changes, ROUNDING * abs(value)
    for g in range(0, N_GROUPS, LANES):
        rows = load(by_group, ROWS * N_GROUPS + g)
        missing = TOP * (n - rows) - (all_top - load(by_group, TOP_ROWS * N_GROUPS + g))
        captured = load(by_group, SUMS * N_GROUPS + g)
        without = (captured + a_customer * missing) / load(by_group, others + g)
        changed = value - min(max(without, 0.0), 1.0)
        moved = (1.0 - rows / n) * where(
            max(changed, nothing - changed) > rounding, changed, nothing
        )
        store(by_group, SUMS * N_GROUPS + g, moved)
        changes += moved
    change = total(changes)
    for g in range(N_GROUPS):
        sums[g] = by_group[SUMS * N_GROUPS + g] - by_group[ROWS * N_GROUPS + g] / n * change
