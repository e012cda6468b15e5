"""The scores of one evaluation in blocks of equal probability, highest first, by one sort.

What the sort moves is one 64-bit key a customer: how far the probability lies below 1 in its bits,
then the customer's group (4 bits), then the outcome (1 bit). So nothing need be looked up by
customer afterwards. Floats of one sign are ordered as their bits are, and 59 bits hold them all
from 2^-127 to 1, and 0; smaller ones are rare, and evaluations that have them are ranked by an
ordinary sort instead.

The keys are dealt into as many buckets as there are customers, even over what the keys span, and
sorted inside each: two passes where scores are spread at all well. Bits are nearly logarithms, and
scores are spread better over these than over themselves.
"""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics.compiled.simd import bits_of, float_of

LEAST = 2.0**-127
BITS_BELOW = (1023 - 127 << 52) - 1
"""Bits of the largest float below `LEAST`."""

MIDDLE = 1 << 58
BITS_OF_TOP = BITS_BELOW + MIDDLE - 1
"""(BITS_OF_TOP - bits) << 5 fits in 64 bits with a sign, for 0 and LEAST <= p <= 1."""

SPREAD_OCTAVES = 24
"""Buckets are spread over this many halvings of the highest probability; lower ones share one."""

MANY_IN_BUCKET = 20


@numba.njit(nogil=True, cache=True, error_model="numpy")
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
    """Cut n > 0 customers into blocks.

    Parameters
    ----------
    outcomes, probabilities, groups : ndarray of bool, float64, uint8, shape (n,)
        The groups below 16.
    keys : ndarray of int64, shape (n,)
        Out: 2 group + outcome in the last five bits, by block; the order inside a block is none.
    spare : ndarray of int64, shape (2 n + 1,)
        Overwritten.
    probability : ndarray of float64, shape (n,)
        Out, as the next two as far as there are blocks: what each block shares.
    ends, cumulative_positives : ndarray of int64, shape (n,)
        Out: customers, and those who bought, of this block and all above it.

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


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sort_into(
    keys: np.ndarray, unsorted: np.ndarray, starts: np.ndarray, highest: int, lowest: int
) -> None:
    """Sort by all but the last five bits, ascending; `starts` is of shape (n + 1,)."""
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


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sort_unless_tied(keys: np.ndarray) -> None:
    for i in range(1, len(keys)):
        if (keys[i] ^ keys[0]) >> 5:
            keys.sort()
            return


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _blocks_by_ranks(
    outcomes: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    keys: np.ndarray,
    probability: np.ndarray,
    ends: np.ndarray,
    cumulative_positives: np.ndarray,
) -> int:
    """`blocks_into` for any probabilities."""
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
