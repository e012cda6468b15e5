"""The ranking of customers without each group of companies, or of customers, in turn.

Of companies, two arrays of shape (n_groups, n_blocks) hold the customers who bought and those who
did not, by group, in blocks of equal probability from the lowest to the highest. One compiled pass
for each group gives what `ranking` gives for the customers of all others.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.histogram import GroupedHistograms
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import N_GROUPS
from scale_eval.statistics.undefined import Undefined
from scale_eval.statistics.weighted_blocks import TOP

NOTHING_LEFT = 1e-9
"""The part of a total below which no share of it is read off."""


def auc_without_each(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return `roc_auc` without each group; NaN where one class is left; shape (n_groups,).

    It is exact, as `auc_of_blocks` is: pairs are counted in integers, and divided as integers.
    """
    counted = _pairs(positives, negatives, positives.sum(axis=0), negatives.sum(axis=0)).tolist()
    return np.array([won / (2 * p * n) if p and n else np.nan for won, p, n in counted])


def average_precision_without_each(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return `average_precision` without each group; NaN where no buyer is left."""
    return np.asarray(
        _precisions(positives, negatives, positives.sum(axis=0), negatives.sum(axis=0))
    )


def captured_without_each(grouped: GroupedHistograms, count: str, depth: float = TOP) -> np.ndarray:
    """Return the share of a count at a depth of customers without each group in turn.

    The depth is a share of the customers, those ranked highest; the top tenth by default. The
    change is taken to first order, because the exact one jumps from bin to bin. A group takes away
    what it adds to the top, and moves the end of the top along the slope of the gain curve, taken
    a fifth of the depth to both sides: between 8 and 12 % of customers for the top tenth. NaN where
    nothing is left to capture; shape (n_groups,).
    """
    rows, captured = grouped.total.n_rows[::-1], getattr(grouped.total, count)[::-1]
    total, n = captured.sum(), rows.sum()
    if not total:
        return np.full(len(grouped.group), np.nan)
    ends = np.append(0, np.cumsum(rows) / n)  # highest scores first
    shares = np.append(0, np.cumsum(captured) / total)
    aside = min(0.2, 1 / depth - 1)  # the curve ends at 1
    at, low, high = np.interp([depth, (1 - aside) * depth, (1 + aside) * depth], ends, shares)
    slope = (high - low) / (2 * aside * depth) if aside else 0.0
    line = int(np.searchsorted(ends, depth))  # the block in which the top ends
    inside = (depth - ends[line - 1]) / (ends[line] - ends[line - 1])

    def top_and_all(count: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the count of each group in the top, and its whole count."""
        counts, first = getattr(grouped, count), len(rows) - line
        top = counts[:, first + 1 :].sum(axis=1) + inside * counts[:, first]
        return top, grouped.by_group[count]

    top, whole = top_and_all(count)
    top_rows, whole_rows = np.add(top_and_all("n_positive"), top_and_all("n_negative"))
    adds = (top - at * whole) / total
    moves = (top_rows - depth * whole_rows) / n
    share = whole / total
    without = np.full(len(share), np.nan)
    np.divide(adds - slope * moves, 1 - share, out=without, where=share < 1)
    return np.asarray(at - without)


def captured_without_each_group(
    scores: Scores, amounts: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the share of `amounts` in the top tenth without each group of customers in turn.

    Where the tenth ends moves along the slope of the gain curve, as in `captured_without_each`: one
    customer decides where the exact curve of the others ends, which would make variances a fifth
    too large with 200 buyers among 1,000 customers.

    Parameters
    ----------
    amounts, groups : ndarray of float64 and of int, shape (n,)

    Returns
    -------
    ndarray of shape (N_GROUPS,)

    Raises
    ------
    Undefined
        ``one_group_of_customers`` where one group holds all of the amounts, but for `NOTHING_LEFT`.
    """

    def of_others(values: np.ndarray | None = None) -> np.ndarray:
        sums = np.bincount(groups, values, minlength=N_GROUPS)
        return np.where(np.eye(len(sums)), 0, sums).sum(axis=1)  # a difference would cancel

    n, total = scores.n_customers, amounts.sum()
    others = of_others(amounts)
    if others.min() <= NOTHING_LEFT * total:
        raise Undefined("one_group_of_customers")
    ends = np.append(0, scores.block_ends)
    held = np.append(0, np.cumsum(scores.sum_by_block(amounts)))
    low, high = np.interp(np.array([0.8 * TOP, 1.2 * TOP]) * n, ends, held)
    a_customer = (high - low) / (0.4 * TOP * n)  # held by one where the tenth ends
    of_block = np.clip((TOP * n - ends[:-1]) / scores.block_rows, 0, 1)
    is_top = of_block[scores.block_of_customer]
    missing = TOP * of_others() - of_others(is_top)  # customers, to a tenth of the others
    captured = of_others(amounts * is_top) + a_customer * missing
    return np.clip(captured / others, 0, 1)


@compiled
def _pairs(
    positives: np.ndarray,
    negatives: np.ndarray,
    all_positives: np.ndarray,
    all_negatives: np.ndarray,
) -> np.ndarray:
    """Return twice the pairs ranked right, ties once; buyers; others; shape (n_groups, 3)."""
    counted = np.empty((len(positives), 3), dtype=np.int64)
    for g in range(len(positives)):
        won_twice, bought, below = 0, 0, 0
        for i in range(len(all_positives)):
            p, n = all_positives[i] - positives[g, i], all_negatives[i] - negatives[g, i]
            won_twice += p * (2 * below + n)
            bought += p
            below += n
        counted[g, 0], counted[g, 1], counted[g, 2] = won_twice, bought, below
    return counted


@compiled
def _precisions(
    positives: np.ndarray,
    negatives: np.ndarray,
    all_positives: np.ndarray,
    all_negatives: np.ndarray,
) -> np.ndarray:
    without = np.empty(len(positives))
    for g in range(len(positives)):
        precision_sum, bought, rows = 0.0, 0, 0
        for i in range(len(all_positives) - 1, -1, -1):
            p = all_positives[i] - positives[g, i]
            bought += p
            rows += p + all_negatives[i] - negatives[g, i]
            precision_sum += p * (bought / max(rows, 1))
        without[g] = precision_sum / bought  # NaN where there is none
    return without
