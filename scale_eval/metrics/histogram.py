"""Histograms of scores that merge exactly.

Rows of 100,000 companies cannot be sorted together; their histograms can be added, in any order
and to the last bit, because they hold integers on fixed edges. The edges are even on the logit
scale, so that companies where all probabilities are below .02 keep their ranking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from scale_eval.metrics.scores import Scores

LARGEST_LOGIT = 16
BINS_PER_LOGIT = 128
EDGES = expit(
    np.arange(-LARGEST_LOGIT * BINS_PER_LOGIT, LARGEST_LOGIT * BINS_PER_LOGIT + 1) / BINS_PER_LOGIT
)
"""Ascending probabilities, shape (4097,). Bin b holds EDGES[b - 1] <= p < EDGES[b]; bin 0 what lies
below the first edge (1.1e-7), p = 0 included, and bin 4097 holds p >= EDGES[-1], 1 included."""

N_BINS = len(EDGES) + 1


def bin_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the bin of each probability, int16 of the same shape; it never falls as p rises.

    The edges that are searched are probabilities, because a computed logit, rounded, need not be
    monotone, and the error bounds of rank metrics need it to be.
    """
    return np.searchsorted(EDGES, probabilities, side="right").astype(np.int16)


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """The number of customers and their spend in each bin; arrays of shape (n_bins,).

    Attributes
    ----------
    bin : ndarray of int16
        Bins that hold customers, ascending.
    n_positive, n_negative : ndarray of int64
    spend_minor : ndarray of int64
        Future spend in minor units (cents); each customer's is rounded before it is added.
    has_one_score : ndarray of bool or None
        Bins whose customers are known to have one score; None where nothing is known.
    tied_pairs : int
        Pairs of a buyer and another customer that are known to have one score; others in a bin may
        have it, too.
    """

    bin: np.ndarray
    n_positive: np.ndarray
    n_negative: np.ndarray
    spend_minor: np.ndarray
    has_one_score: np.ndarray | None = field(default=None, kw_only=True)
    tied_pairs: int = field(default=0, kw_only=True)

    @classmethod
    def from_rows(
        cls,
        bins: np.ndarray,
        n_positive: np.ndarray,
        n_negative: np.ndarray,
        spend_minor: np.ndarray,
    ) -> ScoreHistogram:
        """Add up rows in any order, several to a bin perhaps; each argument of shape (n_rows,)."""
        order = np.argsort(bins, kind="stable")
        ranked = bins[order]
        starts = np.flatnonzero(np.diff(ranked, prepend=-1))
        counts = (n_positive, n_negative, spend_minor)
        return cls(ranked[starts], *(np.add.reduceat(count[order], starts) for count in counts))

    @property
    def n_rows(self) -> np.ndarray:
        """Return the customers of each bin."""
        return self.n_positive + self.n_negative

    @property
    def is_tied(self) -> np.ndarray:
        """Return whether all customers of each bin are known to have one score."""
        if self.has_one_score is None:
            return np.zeros(len(self.bin), np.bool_)
        return self.has_one_score


def histogram(scores: Scores) -> ScoreHistogram:
    """Return the histogram of one evaluation's scores."""
    spend_minor = np.rint(100 * scores.future_spend).astype(np.int64)
    return ScoreHistogram.from_rows(
        bin_of(scores.block_probability),
        scores.block_positives,
        scores.block_negatives,
        scores.sum_by_block(spend_minor),
    )


def mid_logit(bins: np.ndarray) -> np.ndarray:
    """Return the logit in the middle of each bin; logits beyond 16 count as just beyond it."""
    middle: np.ndarray = (bins - 0.5) / BINS_PER_LOGIT - LARGEST_LOGIT
    return middle


COUNTS = ("n_positive", "n_negative", "spend_minor")
"""The counts of a bin."""


class TiedCustomers(NamedTuple):
    """Customers whose scores are known exactly, by score; the first three of shape (n_scores,).

    Attributes
    ----------
    score : ndarray of float64
        Distinct, ascending.
    n_positive, n_negative : ndarray of int64
        Customers who are known to have this score; others may have it, too.
    has_one_score : ndarray of bool, shape (n_bins,)
        Bins of a merged histogram all of whose customers are known to have one score.
    """

    score: np.ndarray
    n_positive: np.ndarray
    n_negative: np.ndarray
    has_one_score: np.ndarray

    @classmethod
    def of(
        cls,
        score: np.ndarray,
        n_positive: np.ndarray,
        n_negative: np.ndarray,
        bins: np.ndarray,
        n_rows: np.ndarray,
    ) -> TiedCustomers:
        """Add up customers whose score is known.

        Parameters
        ----------
        score, n_positive, n_negative : ndarray, shape (n,)
        bins : ndarray of int, shape (n_bins,)
            The bins of the merged histogram, ascending; each score lies in one.
        n_rows : ndarray of int, shape (n_bins,)
            The customers of each bin, those with an unknown score among them.
        """
        scores, at = np.unique(score, return_inverse=True)
        positives = np.bincount(at, n_positive, len(scores)).astype(np.int64)
        negatives = np.bincount(at, n_negative, len(scores)).astype(np.int64)
        bin_at = np.searchsorted(bins, bin_of(scores))
        known = np.bincount(bin_at, positives + negatives, len(bins))
        n_scores = np.bincount(bin_at, minlength=len(bins))
        return cls(scores, positives, negatives, (n_scores == 1) & (known == n_rows))


@dataclass(frozen=True, eq=False)
class GroupedHistograms:
    """Histograms of the scores of one model, one row for each group of companies with customers.

    Attributes
    ----------
    group : ndarray of int, shape (n_groups,)
        Numbers of the groups.
    bin : ndarray of int, shape (n_bins,)
        Bins that hold customers, ascending.
    n_positive, n_negative, spend_minor : ndarray of int64, shape (n_groups, n_bins)
    tied : TiedCustomers or None
        What is known of ties; None: nothing.
    """

    group: np.ndarray
    bin: np.ndarray
    n_positive: np.ndarray
    n_negative: np.ndarray
    spend_minor: np.ndarray
    tied: TiedCustomers | None = None

    @cached_property
    def total(self) -> ScoreHistogram:
        """Return the histogram of all groups together."""
        return ScoreHistogram(
            self.bin,
            *(getattr(self, count).sum(axis=0) for count in COUNTS),
            has_one_score=None if self.tied is None else self.tied.has_one_score,
        )

    @cached_property
    def by_group(self) -> dict[str, np.ndarray]:
        """Return the counts of each group over all bins, shape (n_groups,) each."""
        return {count: getattr(self, count).sum(axis=1) for count in COUNTS}
