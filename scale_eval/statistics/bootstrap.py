"""A bootstrap over companies that no order, partition or number of workers changes.

Each company is counted Poisson(1) times, by a generator keyed by (seed, company): its weights are
its own wherever it is, the same for every model and metric, and the first of more replicates.

Sources: Hanley & MacGibbon 2006 (Poisson bootstrap); Salmon et al. 2011 (Philox).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from scipy.special import pdtr

_CUMULATIVE = pdtr(np.arange(20), 1.0)


def company_keys(company_ids: Iterable[str]) -> np.ndarray:
    """A stable 64-bit hash of each id, the same on every machine; uint64, shape (k,)."""
    digests = (hashlib.blake2b(c.encode(), digest_size=8).digest() for c in company_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def poisson_weights(keys: np.ndarray, n_replicates: int, seed: int) -> np.ndarray:
    """How often each company is counted in each replicate; uint8, shape (n_replicates, k)."""
    weights = np.empty((n_replicates, len(keys)), dtype=np.uint8)
    for i, key in enumerate(keys.tolist()):
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, key]))
        weights[:, i] = np.searchsorted(_CUMULATIVE, random.random(n_replicates), side="right")
    return weights


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the replicates, shape (n_replicates,), linear between them.

    It covers too little with few companies (at 30: .931 of nominal .95 for a plain mean, .885 for
    one weighted by pairs); `linearised` does not.
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return low, high
