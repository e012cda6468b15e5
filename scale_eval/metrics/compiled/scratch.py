"""The arrays in which evaluations are scored, one after another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.metrics.compiled.block_sums import N_SUMS
from scale_eval.metrics.compiled.columns import N_COLUMNS, N_GROUP_COLUMNS
from scale_eval.metrics.compiled.logistic import N_PLACES
from scale_eval.metrics.compiled.simd import LANES
from scale_eval.metrics.histogram import N_BINS
from scale_eval.metrics.uncertainty import N_GROUPS


class Scratch(NamedTuple):
    """Arrays for windows of up to n customers.

    Attributes
    ----------
    blocks, by_group : ndarray of float64
        Figures of blocks, and of groups of customers; see `columns`.
    tags, spenders : ndarray of int64, shape (n,)
    spent : ndarray of float64, shape (n,)
        See `window_into`.
    keys, bins, starts : ndarray of int64, shape (n,), (n,) and (4 n,)
        See `blocks_into`; the bin of each block is kept where that has its `spare`.
    sums, fit : ndarray of float64
        The sums of `block_sums`, and those of `logistic`.
    histogram : ndarray of int64, shape (N_BINS, 4)
        Empty between evaluations.
    """

    blocks: np.ndarray
    by_group: np.ndarray
    tags: np.ndarray
    spenders: np.ndarray
    spent: np.ndarray
    keys: np.ndarray
    bins: np.ndarray
    starts: np.ndarray
    sums: np.ndarray
    fit: np.ndarray
    histogram: np.ndarray


def scratch_of(n: int) -> Scratch:
    """Return arrays for windows of up to `n` customers."""
    tags, spenders, keys, bins = np.empty((4, n), np.int64)
    return Scratch(
        np.empty(N_COLUMNS * (n + 2 * LANES)),
        np.empty(N_GROUP_COLUMNS * N_GROUPS),
        tags,
        spenders,
        np.empty(n),
        keys,
        bins,
        np.empty(4 * n, np.int64),
        np.empty(N_SUMS),
        np.empty(N_PLACES),
        np.zeros((N_BINS, 4), np.int64),
    )
