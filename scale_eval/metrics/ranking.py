"""Metrics of the whole ranking; the order of tied rows never matters.

Each metric has two forms: one of `Scores`, and one of arrays by *block*, of shape (n_blocks,), from
the highest probability to the lowest, where customers of one block are tied. The second serves the
merged histograms too, whose bins are blocks.

Source: Hanley & McNeil 1982 (AUC); DeLong, DeLong & Clarke-Pearson 1988 (its standard error);
scikit-learn (the step form of average precision).
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.metrics.base import EQUAL_COMPANY, ROW, WITHIN_COMPANY, Metric
from scale_eval.metrics.histogram import GroupedHistograms, ScoreHistogram
from scale_eval.metrics.leaving_out import auc_without_each, average_precision_without_each
from scale_eval.metrics.pooling import PAIRS, POSITIVES, RARER_CLASS, Pooling
from scale_eval.metrics.row_form import (
    RowForm,
    WeightedFigure,
    WeightedRows,
    classes_by_block,
    figure_by_row,
)
from scale_eval.metrics.scores import Scores
from scale_eval.metrics.uncertainty import LOGIT, Influence
from scale_eval.statistics import weighted_blocks
from scale_eval.statistics.undefined import Undefined


def roc_auc(scores: Scores) -> float:
    """Return (pairs of a buyer and another ranked right + half the ties) / pairs.

    Undefined: ``no_customers``, ``no_positives``, ``no_negatives``.
    """
    return auc_of_blocks(scores.block_positives, scores.block_negatives)


def average_precision(scores: Scores) -> float:
    """Return the mean over buyers of the precision among those ranked as high as they or higher.

    The step form, sum of (R_k - R_(k-1)) P_k over blocks, without interpolation.

    Undefined: ``no_positives``.
    """
    return average_precision_of_blocks(scores.block_positives, scores.block_negatives)


def auc_of_blocks(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return `roc_auc` by block; exact, because the pairs are counted in integers."""
    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    if not n_positive + n_negative:
        raise Undefined("no_customers")
    if not n_positive:
        raise Undefined("no_positives")
    if not n_negative:
        raise Undefined("no_negatives")
    outranked_twice = 2 * (n_negative - np.cumsum(negatives)) + negatives
    return int((positives * outranked_twice).sum()) / (2 * n_positive * n_negative)


def average_precision_of_blocks(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return `average_precision` by block."""
    n_positive = int(positives.sum())
    if not n_positive:
        raise Undefined("no_positives")
    precision = np.cumsum(positives) / np.cumsum(positives + negatives)
    return float((positives * precision).sum()) / n_positive


def roc_auc_influence(scores: Scores) -> np.ndarray:
    """Return (V10_i - AUC) / m of the m positives, (V01_j - AUC) / k of the k negatives (DeLong).

    Undefined: as `roc_auc`.
    """
    auc = roc_auc(scores)
    v10, v01 = scores.placements
    positive_values = (v10 - auc) / scores.n_positive
    negative_values = (v01 - auc) / scores.n_negative
    return scores.by_class(positive_values, negative_values)


def roc_auc_se(scores: Scores) -> float:
    """Return DeLong's sqrt(var(V10) / m + var(V01) / k), ddof 1, of m positives and k negatives.

    An interval belongs on the logit scale, and should be shown only from 50 positives on: the 95 %
    interval covers .91 with 10 positives of 100, .86 with 3 of 53.

    Undefined: ``fewer_than_2_positives``, ``fewer_than_2_negatives``.
    """
    m, k = scores.n_positive, scores.n_negative
    if m < 2:
        raise Undefined("fewer_than_2_positives")
    if k < 2:
        raise Undefined("fewer_than_2_negatives")
    auc = roc_auc(scores)
    v10, v01 = scores.placements
    var_10 = (scores.block_positives * np.square(v10 - auc)).sum() / (m - 1)
    var_01 = (scores.block_negatives * np.square(v01 - auc)).sum() / (k - 1)
    return math.sqrt(var_10 / m + var_01 / k)


def _auc_of_rows(merged: ScoreHistogram) -> tuple[float, float]:
    """Return the AUC over all rows and its error bound.

    That is half of the pairs inside bins, but for those known to be tied, / all pairs.
    """
    positives, negatives = merged.n_positive[::-1], merged.n_negative[::-1]
    value = auc_of_blocks(positives, negatives)
    pairs = int(positives.sum()) * int(negatives.sum())
    inside = int((positives * negatives).sum())
    return value, max(inside - merged.tied_pairs, 0) / (2 * pairs)


def _average_precision_of_rows(merged: ScoreHistogram) -> tuple[float, float]:
    """Return the average precision over all rows and its error bound.

    Let P positives and N negatives lie above a bin of a and b. With all b before the a, untied,
    the i-th of the a has precision (P + i) / (P + i + N + b): no ordering, tied or not, gives less.
    That is concave in i, so that its sum is at least its integral from 1/2 to a + 1/2. With the a
    tied and before the b, each has (P + a) / (P + a + N): no ordering gives more. Where all of a
    bin are known to be tied, they add what the value counts.
    """
    a, b = merged.n_positive[::-1], merged.n_negative[::-1]
    value = average_precision_of_blocks(a, b)
    above_and_a, above_and_b = np.cumsum(a), np.cumsum(b)  # P + a, N + b
    least = a - above_and_b * np.log1p(a / (above_and_a - a + above_and_b + 0.5))
    most = a * above_and_a / np.maximum(above_and_a + above_and_b - b, 1)
    counted = a * (above_and_a / (above_and_a + above_and_b))
    n_positive = int(a.sum())
    low, high = (
        float(np.where(merged.is_tied[::-1], counted, extreme).sum()) / n_positive
        for extreme in (least, most)
    )
    return value, max(value - low, high - value)


def _auc_without_each(grouped: GroupedHistograms) -> np.ndarray:
    return auc_without_each(grouped.n_positive, grouped.n_negative)


def _average_precision_without_each(grouped: GroupedHistograms) -> np.ndarray:
    return average_precision_without_each(grouped.n_positive, grouped.n_negative)


def _weighted_auc(rows: WeightedRows) -> WeightedFigure:
    return figure_by_row(rows, weighted_blocks.roc_auc(*classes_by_block(rows)))


def _weighted_average_precision(rows: WeightedRows) -> WeightedFigure:
    return figure_by_row(rows, weighted_blocks.average_precision(*classes_by_block(rows)))


METRICS = (
    Metric(
        "roc_auc",
        roc_auc,
        "higher",
        margin=0.005,
        low=0,
        high=1,
        uninformed=0.5,
        label="AUC",
        pooling=Pooling(PAIRS),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            _auc_of_rows,
            _auc_without_each,
            _weighted_auc,
            floor=auc_of_blocks,
            knows_ties=True,
        ),
        influence=Influence("roc_auc", RARER_CLASS, roc_auc_influence, roc_auc_se),
        effects=LOGIT,
        reasons=("no_customers", "no_positives", "no_negatives"),
        compiled=True,
    ),
    Metric(
        "average_precision",
        average_precision,
        "higher",
        margin=0.005,
        low=0,
        high=1,
        label="average precision",
        pooling=Pooling(POSITIVES),
        estimands=(ROW, WITHIN_COMPANY, EQUAL_COMPANY),
        row_form=RowForm(
            _average_precision_of_rows, _average_precision_without_each, _weighted_average_precision
        ),
        reasons=("no_positives",),
        compiled=True,
    ),
)
"""The metrics of the whole ranking, in the order of the tables."""
