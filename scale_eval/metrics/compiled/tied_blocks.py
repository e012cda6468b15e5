"""Customers of one evaluation in blocks of equal probability, highest first, by one sort.

The sort moves one 64-bit key for each customer: how far the probability's bits are below those of
1, the customer's group (4 bits) and the outcome (1 bit), so that nothing is looked up by customer
afterwards. Floats of one sign are ordered as their bits are, and 59 bits hold 0 and every float
from 2^-127 to 1. Smaller probabilities are rare; an evaluation that has some is ranked by an
ordinary sort.

The keys are distributed over as many buckets as there are customers, of equal width over the range
of the keys, and sorted inside each bucket: two passes where scores are well spread. Bits are nearly
logarithms, over which scores are spread better than over the probabilities themselves.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.simd import bits_of, float_of

LEAST = 2.0**-127
BITS_BELOW = (1023 - 127 << 52) - 1
"""The bits of the largest float below `LEAST`."""

MIDDLE = 1 << 58
BITS_OF_TOP = BITS_BELOW + MIDDLE - 1
"""(BITS_OF_TOP - bits) << 5 fits in a signed 64-bit integer, for 0 and LEAST <= p <= 1."""

SPREAD_OCTAVES = 24
"""Halvings of the highest probability that buckets cover; lower probabilities share one bucket."""

MANY_IN_BUCKET = 20


@compiled
def blocks_into(
    outcomes: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    keys: np.ndarray,
    spare: np.ndarray,
    probability: np.ndarray,
    ends: np.ndarray,
    cumulative_positives: np.ndarray,
) -> int:
    """Sort n > 0 customers into blocks.

    Parameters
    ----------
    outcomes, probabilities, groups : ndarray of bool, float64, uint8, shape (n,)
        Groups are below 16.
    keys : ndarray of int64, shape (n,)
        Output: 2 group + outcome in the last five bits, by block, in any order inside a block.
    spare : ndarray of int64, shape (2 n + 1,)
        Overwritten.
    probability : ndarray of float64, shape (n,)
        Output, like the next two up to the number of blocks: the probability of each block.
    ends, cumulative_positives : ndarray of int64, shape (n,)
        Output: customers, and buyers among them, of this block and all above it.

    Returns
    -------
    int
        The number of blocks.
    """
    n = len(outcomes)
    beyond_keys = False
    highest, lowest = np.int64(1 << 62), np.int64(-(1 << 62))
    for i in range(n):
        p = probabilities[i] + 0.0  # -0. becomes 0.
        key = BITS_OF_TOP - max(bits_of(p), np.int64(BITS_BELOW))
        beyond_keys |= (p < LEAST) & (p > 0)
        highest, lowest = min(highest, key), max(lowest, key)
        spare[i] = (key << 5) | (np.int64(groups[i]) << 1) | np.int64(outcomes[i])
    if beyond_keys:
        return _blocks_by_ranks(
            outcomes, probabilities, groups, keys, probability, ends, cumulative_positives
        )
    if highest == lowest:
        keys[:] = spare[:n]
    else:
        _sort_into(keys, spare[:n], spare[n:], highest, lowest)
    block, positives = -1, np.int64(0)
    previous = np.int64(1 << 62)
    for i in range(n):
        key = keys[i] >> 5
        block += key != previous
        previous = key
        positives += keys[i] & 1
        ends[block] = i + 1
        cumulative_positives[block] = positives
        probability[block] = float_of(BITS_OF_TOP - key)
    if previous == MIDDLE - 1:
        probability[block] = 0.0
    return block + 1


@compiled
def _sort_into(
    keys: np.ndarray, unsorted: np.ndarray, starts: np.ndarray, highest: int, lowest: int
) -> None:
    """Sort by all bits but the last five, ascending; `starts` is of shape (n + 1,)."""
    n = len(unsorted)
    scale = n / (float(min(lowest - highest, SPREAD_OCTAVES << 52)) + 1)
    starts[:] = 0
    for i in range(n):
        starts[min(int(((unsorted[i] >> 5) - highest) * scale), n - 1)] += 1
    end, most = 0, 0
    for bucket in range(n):
        count = starts[bucket]
        most = max(most, count)
        starts[bucket] = end
        end += count
    for i in range(n):
        key = unsorted[i]
        bucket = min(int(((key >> 5) - highest) * scale), n - 1)
        keys[starts[bucket]] = key
        starts[bucket] += 1
    if most > MANY_IN_BUCKET:
        start = 0
        for bucket in range(n):
            end = starts[bucket]
            if end - start > MANY_IN_BUCKET:
                _sort_unless_tied(keys[start:end])
            start = end
    for i in range(1, n):
        key = keys[i]
        j = i
        while j > 0 and (keys[j - 1] >> 5) > (key >> 5):
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@compiled
def _sort_unless_tied(keys: np.ndarray) -> None:
    for i in range(1, len(keys)):
        if (keys[i] ^ keys[0]) >> 5:
            keys.sort()
            return


@compiled
def _blocks_by_ranks(
    outcomes: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    keys: np.ndarray,
    probability: np.ndarray,
    ends: np.ndarray,
    cumulative_positives: np.ndarray,
) -> int:
    """Do as `blocks_into`, for any probabilities."""
    order = np.argsort(-probabilities)
    block, positives = -1, np.int64(0)
    previous = -1.0
    for i in range(len(order)):
        customer = order[i]
        p = probabilities[customer]
        block += p != previous
        previous = p
        positives += outcomes[customer]
        keys[i] = (np.int64(groups[customer]) << 1) | np.int64(outcomes[customer])
        ends[block] = i + 1
        cumulative_positives[block] = positives
        probability[block] = p
    return block + 1
