"""Order companies by a hash of their ids, and cut the order into slices.

A file that companies share, and a group in which scores are counted together, hold companies of
one slice only. The hash makes every slice a random sample of the companies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

N_SLICES = 64
"""Slices of equal length into which the order of many companies is cut."""

MAX_UNCUT = 4_096
"""Companies up to which the order is not cut."""


def ranks_of(company_ids: Sequence[str]) -> np.ndarray:
    """Return the rank of each company in the order of SHA-256 of the ids; int64, shape (n,)."""
    digests = [hash_of(company_id) for company_id in company_ids]
    ranks = np.empty(len(digests), dtype=np.int64)
    ranks[sorted(range(len(digests)), key=digests.__getitem__)] = np.arange(len(digests))
    return ranks


def slices_of(company_ids: Sequence[str]) -> np.ndarray:
    """Return the slice of each company, from 0 to `N_SLICES` - 1 in the order of `ranks_of`.

    int64, shape (n,); the lengths of two slices differ by one company at most.
    """
    return ranks_of(company_ids) * N_SLICES // max(len(company_ids), 1)


def hash_of(company_id: str) -> bytes:
    """Return the SHA-256 of an id, by which companies are ordered."""
    return hashlib.sha256(company_id.encode()).digest()
