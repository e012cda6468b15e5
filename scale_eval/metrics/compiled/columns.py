"""Where an evaluation's figures are kept while it is scored: by block, by group and in total.

Figures of blocks are columns of one array of float64. Number `i` of a column is at
``column * stride + i``; a stride is `stride_of` customers, so that numbers are processed in `LANES`
and something can stand before the first number of a column. Figures of groups of customers are
columns of another array, `N_GROUPS` long.

A compiled function is compiled once more with each function that calls it, and each array that it
takes, or cuts from another one, costs as much as some lines of arithmetic: so there are few arrays.
"""

from __future__ import annotations

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.simd import LANES

PROBABILITY, ENDS, CUMULATIVE, POSITIVES, NEGATIVES, CLIPPED, LOGIT = range(7)
"""Columns of blocks: probability; customers, and buyers, of this block and all above it, both 0
before the first; buyers and others; probability clipped as in `metrics.scores`, and its logit."""

INFLUENCES = 7
"""The first column of influence: of one other customer, then of one buyer, on the log loss."""

ON_LOSS, ON_BRIER, ON_AUC, ON_RATIO, ON_SLOPE = (INFLUENCES + 2 * i for i in range(5))

LOG_Q, LOG_P = ON_LOSS, ON_LOSS + 1
"""Logarithms of 1 - p and p; influence takes their place."""

LIKELY, UNLIKELY = ON_SLOPE, ON_SLOPE + 1
"""Recalibrated probabilities and 1 minus these; influence takes their place."""

N_COLUMNS = ON_SLOPE + 2

ROWS, BUYERS, SPEND, OTHER_BUYERS, OTHER_SPEND, TOP_ROWS, TOP_BUYERS, TOP_SPEND, SUMS = range(9)
"""Columns of groups: customers; buyers and spend, and those of all other groups; customers, buyers
and spend in the top tenth; and eight columns in which influence is summed, by group."""

N_GROUP_COLUMNS = SUMS + 8


@compiled(internal=True)
def padded(n: int) -> int:
    """Return `n` rounded up to a multiple of `LANES`; empty blocks fill the rest."""
    return (n + LANES - 1) // LANES * LANES


@compiled(internal=True)
def stride_of(n: int) -> int:
    """Return the distance between the columns of `n` customers."""
    return padded(n) + LANES
