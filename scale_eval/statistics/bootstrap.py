"""A bootstrap over companies that does not depend on their order, partition or number of workers.

Each company is counted Poisson(1) times, by a generator keyed by (seed, company): its weights do
not depend on other companies, are the same for every model and metric, and stay the same when more
replicates follow.

Sources: Hanley & MacGibbon 2006 (Poisson bootstrap); Salmon et al. 2011 (Philox).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from scipy.special import pdtr

_CUMULATIVE = pdtr(np.arange(20), 1.0)


def company_keys(company_ids: Iterable[str]) -> np.ndarray:
    """Hash each id to 64 bits, the same on every machine; uint64, shape (k,)."""
    digests = (hashlib.blake2b(c.encode(), digest_size=8).digest() for c in company_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def poisson_weights(keys: np.ndarray, n_replicates: int, seed: int) -> np.ndarray:
    """Draw how often each company counts in each replicate; uint8, shape (n_replicates, k)."""
    weights = np.empty((n_replicates, len(keys)), dtype=np.uint8)
    for i, key in enumerate(keys.tolist()):
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, key]))
        weights[:, i] = np.searchsorted(_CUMULATIVE, random.random(n_replicates), side="right")
    return weights
