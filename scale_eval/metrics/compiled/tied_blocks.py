"""Customers of one evaluation in blocks of equal probability, highest first, by one sort.

The sort moves one 64-bit key for each customer: how far the probability's bits are below those of
1, the customer's group (4 bits) and the outcome (1 bit), so that nothing is looked up by customer
afterwards. Floats of one sign are ordered as their bits are, and 59 bits hold 0 and every float
from 2^-127 to 1. Smaller probabilities are rare; an evaluation that has some is ranked by a slower
sort.

The keys are distributed over two to four buckets a customer, of equal width over the range of the
keys, and sorted inside each bucket: two passes where scores are well spread. Bits are nearly
logarithms, over which scores are spread better than over the probabilities themselves.
"""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.metrics.compiled.columns import CUMULATIVE, ENDS, PROBABILITY, padded
from scale_eval.metrics.compiled.simd import bits_of, float_of

LEAST = 2.0**-127
BITS_BELOW = (1023 - 127 << 52) - 1
"""The bits of the largest float below `LEAST`."""

MIDDLE = 1 << 58
BITS_OF_TOP = BITS_BELOW + MIDDLE - 1
"""(BITS_OF_TOP - bits) << 5 fits in a signed 64-bit integer, for 0 and LEAST <= p <= 1."""

SPREAD = 24 << 52
"""Halvings of the highest probability that buckets cover; lower probabilities share one bucket."""

TAG = (1 << 5) - 1
"""The bits of a key that are not of the probability."""

MANY_IN_BUCKET = 20


@compiled(internal=True)
def blocks_into(
    probabilities: np.ndarray,
    tags: np.ndarray,
    keys: np.ndarray,
    spare: np.ndarray,
    starts: np.ndarray,
    blocks: np.ndarray,
    stride: int,
) -> int:
    """Sort n > 0 customers into blocks, and return the number of blocks.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n,)
    tags : ndarray of int64, shape (n,)
        2 group + outcome of each customer; groups are below 16.
    keys : ndarray of int64, shape (n,)
        Output, unless there is one block: 32 times the block + the tag, by block.
    spare, starts : ndarray of int64, shape (n,) and (4 n,)
        Overwritten.
    blocks : ndarray of float64
        Output: the columns `PROBABILITY`, `ENDS` and `CUMULATIVE`, padded with the last block.
    """
    n = len(probabilities)
    beyond_keys = False
    highest, lowest = np.int64(1 << 62), np.int64(-(1 << 62))
    for i in range(n):
        bits = bits_of(probabilities[i] + 0.0)  # -0. becomes 0.
        beyond_keys |= (bits <= BITS_BELOW) & (bits > 0)
        key = BITS_OF_TOP - (bits if bits > BITS_BELOW else np.int64(BITS_BELOW))
        highest = key if key < highest else highest
        lowest = key if key > lowest else lowest
        spare[i] = key << 5 | tags[i]
    if beyond_keys:
        n_blocks = _blocks_by_ranks(probabilities, tags, keys, spare, blocks, stride)
    elif highest == lowest:
        n_blocks, buyers = 1, np.int64(0)
        for i in range(n):
            buyers += tags[i] & 1
        blocks[PROBABILITY * stride] = probabilities[0] + 0.0
        blocks[ENDS * stride], blocks[CUMULATIVE * stride] = n, buyers
    else:
        _sort_into(keys, spare, n, starts, highest, lowest)
        n_blocks = _number_blocks(keys, n, blocks, stride)
    blocks[ENDS * stride - 1] = blocks[CUMULATIVE * stride - 1] = 0.0
    for column in (PROBABILITY * stride, ENDS * stride, CUMULATIVE * stride):
        for i in range(n_blocks, padded(n_blocks)):
            blocks[column + i] = blocks[column + n_blocks - 1]
    return n_blocks


@compiled(internal=True)
def _number_blocks(keys: np.ndarray, n: int, blocks: np.ndarray, stride: int) -> int:
    """Replace the probabilities of sorted keys by the numbers of their blocks, and count."""
    block, buyers, previous = np.int64(-1), np.int64(0), np.int64(1 << 62)
    for i in range(n):
        key = keys[i]
        place = key >> 5
        block += place != previous
        previous = place
        buyers += key & 1
        keys[i] = block << 5 | (key & TAG)
        blocks[PROBABILITY * stride + block] = float_of(BITS_OF_TOP - place)
        blocks[ENDS * stride + block] = i + 1
        blocks[CUMULATIVE * stride + block] = buyers
    if previous == MIDDLE - 1:
        blocks[PROBABILITY * stride + block] = 0.0
    return int(block) + 1


@compiled(internal=True)
def _sort_into(
    keys: np.ndarray, unsorted: np.ndarray, n: int, starts: np.ndarray, highest: int, lowest: int
) -> None:
    """Sort by all bits but the last five, ascending; keys that differ in these alone stay put."""
    span = lowest - highest if lowest - highest < SPREAD else np.int64(SPREAD)
    # The least power of 2 by which fewer than 4 n buckets cover the span.
    width = (bits_of(span / (4.0 * n)) >> 52) - 1022
    shift = width if width > 0 else np.int64(0)
    last = span >> shift
    for bucket in range(last + 1):
        starts[bucket] = 0
    for i in range(n):
        bucket = ((unsorted[i] >> 5) - highest) >> shift
        starts[bucket if bucket < last else last] += 1
    end, most = np.int64(0), np.int64(0)
    for bucket in range(last + 1):
        count = starts[bucket]
        most = count if count > most else most
        starts[bucket] = end
        end += count
    for i in range(n):
        key = unsorted[i]
        at = ((key >> 5) - highest) >> shift
        at = at if at < last else last
        place = starts[at]
        keys[place] = key
        starts[at] = place + 1
    if most > MANY_IN_BUCKET:
        start = np.int64(0)
        for bucket in range(last + 1):
            end = starts[bucket]
            if end - start > MANY_IN_BUCKET:
                differ = np.int64(0)
                for i in range(start, end):
                    differ |= keys[i] ^ keys[start]
                if differ > TAG:
                    _heap_sort(keys, unsorted, start, end)
            start = end
    for i in range(1, n):
        key = keys[i]
        tied = key | TAG
        j = i
        while j > 0 and keys[j - 1] > tied:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@compiled(internal=True)
def _heap_sort(keys: np.ndarray, along: np.ndarray, start: int, end: int) -> None:
    """Sort keys[start:end], ascending, and move `along` as they move."""
    n = end - start
    # First the heap is built, from its last parent on; then its largest key goes to the end.
    for turn in range(n // 2 + n - 1):
        top, size = n // 2 - 1 - turn, n
        if top < 0:
            top, size = 0, n + top
            key, tag = keys[start + size], along[start + size]
            keys[start + size], along[start + size] = keys[start], along[start]
        else:
            key, tag = keys[start + top], along[start + top]
        while 2 * top + 1 < size:
            child = 2 * top + 1
            if child + 1 < size:
                child += keys[start + child + 1] > keys[start + child]
            if keys[start + child] <= key:
                break
            keys[start + top], along[start + top] = keys[start + child], along[start + child]
            top = child
        keys[start + top], along[start + top] = key, tag


@compiled(internal=True)
def _blocks_by_ranks(
    probabilities: np.ndarray,
    tags: np.ndarray,
    keys: np.ndarray,
    spare: np.ndarray,
    blocks: np.ndarray,
    stride: int,
) -> int:
    """Do as `_sort_into` and `_number_blocks` do, for any probabilities."""
    n = len(probabilities)
    for i in range(n):
        spare[i], keys[i] = -bits_of(probabilities[i] + 0.0), tags[i]
    _heap_sort(spare, keys, np.int64(0), n)
    block, buyers = np.int64(-1), np.int64(0)
    for i in range(n):
        block += i == 0 or spare[i] != spare[i - 1]
        buyers += keys[i] & 1
        keys[i] |= block << 5
        blocks[PROBABILITY * stride + block] = float_of(-spare[i])
        blocks[ENDS * stride + block] = i + 1
        blocks[CUMULATIVE * stride + block] = buyers
    return int(block) + 1
