"""Stratified samples of a finite population that nest: every larger sample holds every smaller.

Strata of similar size and nature are made once for a population. Inside a stratum units are in the
order of permanent random numbers, and strata take turns by the method of equal proportions. A
sample of N is the first N of one permanent order: samples nest, and so do the strata that are taken
whole. Given the strata, each sample is a simple random sample of each stratum, with inclusion
probabilities that are known exactly. Strata of the largest units are the first to be taken whole as
N grows.

Sources: Ohlsson 1995 (coordination by permanent random numbers); Dalenius & Hodges 1959 and
Särndal, Swensson & Wretman 1992, 12.4 (strata of equal sums of a measure, nearly optimal); Neyman
1934 (allocation); Wright 2012 (optimal allocation in whole numbers by equal proportions: the
number from a stratum never falls as the sample grows).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

MIN_PER_STRATUM = 2
"""Smallest number drawn from a stratum: one unit does not show how the units differ."""


def permanent_random_numbers(ids: Iterable[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers for each id, the same on every machine and in any order; uint64, (n,).

    They are independent: numbers that break ties between strata must not also draw from the
    strata, or among similar companies those with low numbers would be preferred.
    """
    start = f"{seed}\0".encode()
    digests = (hashlib.blake2b(start + unit.encode(), digest_size=16).digest() for unit in ids)
    pairs = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def stratified(
    measure: np.ndarray, nature: np.ndarray, tie_breaks: np.ndarray, n_classes: int, n_parts: int
) -> np.ndarray:
    """Return the stratum of each unit, numbered by class of `measure`, then by part of `nature`.

    Parameters
    ----------
    measure : ndarray of shape (n,)
        How much a unit may move the figures; above 0. It makes at most `n_classes` classes of
        about equal sums: the larger the units, the fewer there are in a class.
    nature : ndarray of shape (n,)
        Another variable related to the figures. It divides each class into at most `n_parts` parts
        of about equal numbers of units, fewer where a part would have less than
        `2 MIN_PER_STRATUM`.
    tie_breaks : ndarray of shape (n,)
        Permanent numbers, independent of those that draw the sample.

    Returns
    -------
    ndarray of int, shape (n,)
        From 0, without gaps.
    """
    stratum = np.empty(len(measure), dtype=np.int64)
    order = np.lexsort([tie_breaks, nature, measure])
    sums = np.cumsum(measure[order])
    middle = (sums - measure[order] / 2) / sums[-1]
    class_of_unit = np.minimum((n_classes * middle).astype(np.int64), n_classes - 1)
    starts = np.append(np.flatnonzero(np.diff(class_of_unit, prepend=-1)), len(order))
    n_strata = 0
    for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        units = order[low:high]
        units = units[np.lexsort([tie_breaks[units], nature[units]])]
        parts = int(np.clip(len(units) // (2 * MIN_PER_STRATUM), 1, n_parts))
        for part in np.array_split(units, parts):
            stratum[part] = n_strata
            n_strata += 1
    return stratum


def permanent_order(measure: np.ndarray, stratum: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the order in which units are taken: a sample of N is its first N.

    Two of every stratum come first; then units by N_h S_h / sqrt(k (k - 1)) for the k-th unit of
    stratum h, with S_h^2 the mean square of `measure` in it. Which stratum is next depends on the
    strata alone, never on `numbers`.

    Parameters
    ----------
    measure, numbers : ndarray of shape (n,)
        Inside a stratum units are taken in ascending order of `numbers`.
    stratum : ndarray of int, shape (n,)
        From `stratified`.

    Returns
    -------
    ndarray of int, shape (n,)
        Positions of the units.
    """
    order = np.lexsort([numbers, stratum])
    stratum_in_order = stratum[order]
    population = np.bincount(stratum)
    spread = np.sqrt(population * np.bincount(stratum, np.square(measure)))  # N_h S_h
    turn = np.arange(len(order)) - (np.cumsum(population) - population)[stratum_in_order] + 1
    priority = np.full(len(order), np.inf)
    later = turn > MIN_PER_STRATUM
    priority[later] = spread[stratum_in_order[later]] / np.sqrt(turn[later] * (turn[later] - 1.0))
    return np.asarray(
        order[np.lexsort([stratum_in_order, np.minimum(turn, MIN_PER_STRATUM), -priority])]
    )


def smallest_sample(stratum: np.ndarray) -> int:
    """Return the size of the smallest sample: two of every stratum, or its only unit."""
    return int(np.minimum(np.bincount(stratum), MIN_PER_STRATUM).sum())
