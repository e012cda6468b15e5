"""The order in which companies are packed and counted: by a hash of their id, cut into runs.

A file of the packed layout, and a group in which scores are counted together, hold companies of one
run: they are cut here for both. The hash makes every run a random sample of the companies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

N_RUNS = 64
"""Runs of equal length into which the order of many companies is cut."""

MAX_UNCUT = 4_096
"""Companies up to which the order is not cut."""


def ranks_of(company_ids: Sequence[str]) -> np.ndarray:
    """The place of each company in the order of SHA-256 of the ids; int64, shape (n,)."""
    digests = [hash_of(company_id) for company_id in company_ids]
    ranks = np.empty(len(digests), dtype=np.int64)
    ranks[sorted(range(len(digests)), key=digests.__getitem__)] = np.arange(len(digests))
    return ranks


def runs_of(company_ids: Sequence[str]) -> np.ndarray:
    """The run of each company, from 0 to `N_RUNS` - 1 in the order of `ranks_of`.

    int64, shape (n,); the lengths of two runs differ by one company at most.
    """
    return ranks_of(company_ids) * N_RUNS // max(len(company_ids), 1)


def hash_of(company_id: str) -> bytes:
    """SHA-256 of an id: what companies are ordered by."""
    return hashlib.sha256(company_id.encode()).digest()
