"""Histograms of scores that merge exactly, and the rank metrics of all rows that they yield.

Rows of 100,000 companies cannot be sorted together; their histograms can be added, in any order
and to the last bit, for they hold integers on fixed edges. The edges are even on the logit scale,
so that companies where everybody's probability is below .02 keep their ranking.

A metric of a histogram is the metric of its rows where the rows of a bin are tied. Beside it
stands a bound: how far the metric of the rows themselves can be from it, whatever their order and
ties inside the bins (to float64 rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from scale_eval.metrics import ranking
from scale_eval.metrics.scores import Scores
from scale_eval.statistics import logistic

LARGEST_LOGIT = 16
BINS_PER_LOGIT = 128
EDGES = expit(
    np.arange(-LARGEST_LOGIT * BINS_PER_LOGIT, LARGEST_LOGIT * BINS_PER_LOGIT + 1) / BINS_PER_LOGIT
)
"""Ascending probabilities, shape (4097,). Bin b holds EDGES[b - 1] <= p < EDGES[b]; bin 0 what lies
below the first (1.1e-7), p = 0 too, and bin 4097 what lies from the last on, p = 1 too."""

N_BINS = len(EDGES) + 1


def bin_of(probabilities: np.ndarray) -> np.ndarray:
    """The bin of each probability, int16 of the same shape; it never falls as p rises.

    Found among the edges as probabilities: a computed logit, rounded, need not be monotone, and
    the bounds on ranks rest on it.
    """
    return np.searchsorted(EDGES, probabilities, side="right").astype(np.int16)


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Counts of customers and sums of their spend by bin; arrays of shape (n_bins,).

    Attributes
    ----------
    bin : ndarray of int16
        Those that hold somebody, ascending.
    n_positive, n_negative : ndarray of int64
    spend_minor : ndarray of int64
        Future spend in minor units (cents), each customer's rounded before it is added.
    """

    bin: np.ndarray
    n_positive: np.ndarray
    n_negative: np.ndarray
    spend_minor: np.ndarray

    @classmethod
    def of_rows(
        cls,
        bins: np.ndarray,
        n_positive: np.ndarray,
        n_negative: np.ndarray,
        spend_minor: np.ndarray,
    ) -> ScoreHistogram:
        """From rows in any order, several to a bin perhaps; each argument of shape (n_rows,)."""
        order = np.argsort(bins, kind="stable")
        ranked = bins[order]
        starts = np.flatnonzero(np.diff(ranked, prepend=-1))
        counts = (n_positive, n_negative, spend_minor)
        return cls(ranked[starts], *(np.add.reduceat(count[order], starts) for count in counts))

    @property
    def n_rows(self) -> np.ndarray:
        """Customers of each bin."""
        return self.n_positive + self.n_negative


def histogram(scores: Scores) -> ScoreHistogram:
    """The histogram of one evaluation's scores."""
    spend_minor = np.rint(100 * scores.future_spend).astype(np.int64)
    return ScoreHistogram.of_rows(
        bin_of(scores.block_probability),
        scores.block_positives,
        scores.block_negatives,
        scores.sum_by_block(spend_minor),
    )


def merge(histograms: Iterable[ScoreHistogram]) -> ScoreHistogram:
    """The histogram of all their rows; bit-identical in any order and grouping."""
    none = np.empty(0, dtype=np.int64)
    parts = [ScoreHistogram(none.astype(np.int16), none, none, none), *histograms]
    return ScoreHistogram.of_rows(
        np.concatenate([part.bin for part in parts]),
        np.concatenate([part.n_positive for part in parts]),
        np.concatenate([part.n_negative for part in parts]),
        np.concatenate([part.spend_minor for part in parts]),
    )


def roc_auc(merged: ScoreHistogram) -> tuple[float, float]:
    """AUC over all rows and its error bound: half the pairs inside bins / all pairs.

    Undefined: ``no_customers``, ``no_positives``, ``no_negatives``.
    """
    positives, negatives = merged.n_positive[::-1], merged.n_negative[::-1]
    value = ranking.auc_of_blocks(positives, negatives)
    pairs = int(positives.sum()) * int(negatives.sum())
    return value, int((positives * negatives).sum()) / (2 * pairs)


def average_precision(merged: ScoreHistogram) -> tuple[float, float]:
    """Average precision over all rows and its error bound.

    Let P positives and N negatives lie above a bin of a and b. With all b before the a, untied,
    the i-th of the a has precision (P + i) / (P + i + N + b): no ordering, tied or not, gives less.
    That is concave in i, so that its sum is at least its integral from 1/2 to a + 1/2. With the a
    tied and before the b, each has (P + a) / (P + a + N): none gives more.

    Undefined: ``no_positives``.
    """
    a, b = merged.n_positive[::-1], merged.n_negative[::-1]
    value = ranking.average_precision_of_blocks(a, b)
    above_and_a, above_and_b = np.cumsum(a), np.cumsum(b)  # P + a, N + b
    least = a - above_and_b * np.log1p(a / (above_and_a - a + above_and_b + 0.5))
    most = a * above_and_a / np.maximum(above_and_a + above_and_b - b, 1)
    n_positive = int(a.sum())
    low, high = float(least.sum()) / n_positive, float(most.sum()) / n_positive
    return value, max(value - low, high - value)


def gain_at_10(merged: ScoreHistogram) -> tuple[float, float]:
    """Share of buyers in the top tenth of all rows; what the last bin of it holds is uncertain.

    Undefined: ``no_positives``.
    """
    positives, rows = merged.n_positive[::-1], merged.n_rows[::-1]
    value = ranking.gain_of_blocks(positives, rows)
    last, taken = _end_of_top_tenth(rows)
    error = _uncertainty(taken, holders=int(positives[last]), rows=int(rows[last]))
    return value, error / int(positives.sum())


def lift_at_10(merged: ScoreHistogram) -> tuple[float, float]:
    """10 `gain_at_10`, and so its bound.

    Undefined: ``no_positives``.
    """
    gain, error_bound = gain_at_10(merged)
    return 10 * gain, 10 * error_bound


def value_captured_at_10(merged: ScoreHistogram) -> tuple[float, float]:
    """Share of the future spend in the top tenth of all rows, and its error bound.

    At worst one customer holds all that the last bin of the tenth spends, and is its first or last.
    Rounding to minor units adds half a unit a customer.

    Undefined: ``no_spend``.
    """
    spend, rows = merged.spend_minor[::-1], merged.n_rows[::-1]
    value = ranking.value_captured_of_blocks(spend, rows)
    last, taken = _end_of_top_tenth(rows)
    in_bin = int(spend[last]) * _uncertainty(taken, holders=1, rows=int(rows[last]))
    return value, (in_bin + int(rows.sum()) / 2) / int(spend.sum())


def calibration_intercept(merged: ScoreHistogram) -> tuple[float, None]:
    """Intercept over all rows, logits grouped to 1/128 by the middle of their bin; no bound.

    Logits beyond 16 count as 16. Undefined: ``no_positives``, ``no_negatives``.
    """
    return logistic.intercept(mid_logit(merged.bin), merged.n_positive, merged.n_negative), None


def calibration_slope(merged: ScoreHistogram) -> tuple[float, None]:
    """Slope over all rows in one stage, grouped as `calibration_intercept`; no bound.

    Undefined: as the slope of one evaluation, where bins stand for probabilities.
    """
    return logistic.fit(mid_logit(merged.bin), merged.n_positive, merged.n_negative).slope, None


ROW_POOLED: dict[str, Callable[[ScoreHistogram], tuple[float, float | None]]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
    "lift_at_10": lift_at_10,
    "gain_at_10": gain_at_10,
    "value_captured_at_10": value_captured_at_10,
}
"""By metric: the value over all rows of a merged histogram, and its error bound."""


def _end_of_top_tenth(rows: np.ndarray) -> tuple[int, float]:
    """The bin where the first tenth of the rows ends, and how many of its rows belong to it."""
    ends = np.cumsum(rows)
    tenth = ends[-1] / 10
    last = int(np.searchsorted(ends, tenth))
    return last, float(tenth - ends[last] + rows[last])


def _uncertainty(taken: float, holders: int, rows: int) -> float:
    """How far the evenly spread share of the first `taken` rows can be from what they hold.

    `holders` of the `rows` hold one each. The curve of what is held rises by at most 1 a row, and
    so do the rows that hold nothing: between max(0, taken - (rows - holders)) and min(holders,
    taken), at fractions of rows and inside ties as well.
    """
    even = taken * holders / rows
    return max(even - max(0.0, taken - (rows - holders)), min(holders, taken) - even)


def mid_logit(bins: np.ndarray) -> np.ndarray:
    """The logit in the middle of each bin; what lies beyond 16 counts as just beyond it."""
    middle: np.ndarray = (bins - 0.5) / BINS_PER_LOGIT - LARGEST_LOGIT
    return middle
