"""Tests of the difference of two models on the same companies, and of their equivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr

from scale_eval.compiling import compiled
from scale_eval.statistics.undefined import Undefined

MIN_DIFFERENCES = 6
"""Smallest number of differences other than 0: with fewer, p cannot be below 5 %."""

MOST_EXACT = 50
"""Most differences that are tested exactly; with more, the sum of ranks is nearly normal."""


def wilcoxon(differences: np.ndarray) -> tuple[float, float]:
    """Return the smaller sum of ranks and p of Wilcoxon's signed rank test, two-sided.

    Differences of 0 are dropped (Wilcoxon 1945). Up to 50 differences the test is exact, ties
    included (SciPy's `wilcoxon` is exact with ties up to 13 only). Above, it is the normal
    approximation, corrected for ties and not for continuity. Ranks are counted while two sorted
    halves are merged.

    Undefined: ``fewer_than_6_companies`` with a difference.
    """
    positive, negative = differences[differences > 0], -differences[differences < 0]
    n = len(positive) + len(negative)
    if n < MIN_DIFFERENCES:
        raise Undefined("fewer_than_6_companies")
    positive_ranks, ties = _signed_ranks(np.sort(positive), np.sort(negative))
    all_ranks = n * (n + 1) / 2
    smaller = min(positive_ranks, all_ranks - positive_ranks)
    if n <= MOST_EXACT:
        return smaller, min(2 * _share_of_signs(np.concatenate([positive, negative]), smaller), 1.0)
    std_error = math.sqrt((n * (n + 1.0) * (2 * n + 1) - ties / 2) / 24)
    return smaller, float(2 * ndtr(-abs(positive_ranks - all_ranks / 2) / std_error))


def _share_of_signs(sizes: np.ndarray, most: float) -> float:
    """Return the share of all assignments of signs whose positive ranks add to `most` or less.

    Assignments are counted by twice the sum, a whole number; below 2^50 the counts are exact.
    """
    _, tied = np.unique(sizes, return_counts=True)
    twice_ranks = np.repeat(2 * (np.cumsum(tied) - tied) + tied + 1, tied)
    ways = np.zeros(int(2 * most) + 1)
    ways[0] = 1.0
    for rank in twice_ranks[twice_ranks < len(ways)].tolist():
        ways[rank:] += ways[:-rank].copy()
    return float(ways.sum()) / 2.0 ** len(sizes)


@compiled
def _signed_ranks(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Return the sum of the positives' ranks, with midranks, and the sum of t^3 - t over ties.

    Both arrays ascend. The sums are of halves, and exact.
    """
    positive_ranks, ties = 0.0, 0.0
    i, j = 0, 0
    while i < len(positive) or j < len(negative):
        below, before = i + j, i
        if j == len(negative) or (i < len(positive) and positive[i] < negative[j]):
            size = positive[i]
        else:
            size = negative[j]
        while i < len(positive) and positive[i] == size:
            i += 1
        while j < len(negative) and negative[j] == size:
            j += 1
        tied = float(i + j - below)
        positive_ranks += (i - before) * (below + (tied + 1) / 2)
        ties += tied * tied * tied - tied
    return positive_ranks, ties


def t_test(difference: float, std_error: float, df: float) -> float:
    """Return p of the two-sided t test that the true mean difference is 0 (Student 1908).

    Undefined: ``no_spread``, where the standard error is 0 to rounding: differences that are all
    the same say nothing of how they vary.
    """
    if not std_error > 1e-12 * abs(difference):
        raise Undefined("no_spread")
    return float(2 * stdtr(df, -abs(difference) / std_error))


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p values for the false discovery rate; NaN stays NaN and does not count.

    The smallest m p / rank at this rank or a higher one (Benjamini & Hochberg 1995).
    """
    adjusted = np.full(len(p), np.nan)
    present = np.flatnonzero(~np.isnan(p))
    order = present[np.argsort(p[present])]
    by_rank = p[order] * (len(order) / np.arange(1, len(order) + 1))
    adjusted[order] = np.minimum(np.minimum.accumulate(by_rank[::-1])[::-1], 1.0)
    return adjusted


@dataclass(frozen=True)
class Equivalence:
    """The result of a test that a difference is smaller than the margin in either direction."""

    p_value: float
    equivalent: bool


def equivalence(
    difference: float, std_error: float, df: float, margin: float, level: float = 0.95
) -> Equivalence:
    """Test -margin < true difference < margin by two one-sided t tests (TOST; Schuirmann 1987).

    The models are equivalent at 1 - `level` where the interval of 2 `level` - 1 lies inside the
    margin. Where it does not, nothing was shown: the true difference may be 0, or larger than the
    margin.
    """
    slack = margin - abs(difference)
    certain = 0.0 if slack > 0 else 1.0
    p = float(stdtr(df, -slack / std_error)) if std_error > 0 else certain
    return Equivalence(p, p < 1 - level)
