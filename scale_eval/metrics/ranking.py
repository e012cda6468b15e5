"""How well the probabilities rank the customers; ties never depend on the order of rows.

Each metric has two forms: of `Scores`, and of arrays by *block*, of shape (n_blocks,), from the
highest probability to the lowest, where customers of one block are tied. The second serves the
pooled histograms too, whose bins are blocks.

Source: Hanley & McNeil 1982 (AUC); scikit-learn (the step form of average precision).
"""

from __future__ import annotations

import numpy as np

from scale_eval.metrics.scores import Scores
from scale_eval.statistics.undefined import Undefined


def roc_auc(scores: Scores) -> float:
    """(Pairs of a buyer and another ranked right + half the ties) / pairs.

    Undefined: ``no_customers``, ``no_positives``, ``no_negatives``.
    """
    return auc_of_blocks(scores.block_positives, scores.block_negatives)


def average_precision(scores: Scores) -> float:
    """Mean over the buyers of the precision among those ranked as high as they or higher.

    The step form, sum of (R_k - R_(k-1)) P_k over blocks, without interpolation.

    Undefined: ``no_positives``.
    """
    return average_precision_of_blocks(scores.block_positives, scores.block_negatives)


def gain_at_10(scores: Scores) -> float:
    """Share of the buyers among the tenth of customers ranked highest.

    The gain curve is linear inside ties and is read at exactly n / 10.

    Undefined: ``no_positives``.
    """
    return gain_of_blocks(scores.block_positives, scores.block_rows)


def lift_at_10(scores: Scores) -> float:
    """Buyers in the top tenth over what a tenth drawn at random would hold: 10 `gain_at_10`.

    Its ceiling is min(10, 1 / rate), so that lifts at different rates do not compare.

    Undefined: ``no_positives``.
    """
    return 10 * gain_at_10(scores)


def value_captured_at_10(scores: Scores) -> float:
    """Share of the future spend among the tenth of customers ranked highest, as in `gain_at_10`.

    Undefined: ``no_spend``.
    """
    return value_captured_of_blocks(scores.block_spend, scores.block_rows)


def auc_of_blocks(positives: np.ndarray, negatives: np.ndarray) -> float:
    """`roc_auc` by block; exact, for the pairs are counted in integers."""
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
    """`average_precision` by block."""
    n_positive = _require_positives(positives)
    precision = np.cumsum(positives) / np.cumsum(positives + negatives)
    return float((positives * precision).sum()) / n_positive


def gain_of_blocks(positives: np.ndarray, rows: np.ndarray) -> float:
    """`gain_at_10` by block."""
    n_positive = _require_positives(positives)
    return _in_top_tenth(positives, rows) / n_positive


def value_captured_of_blocks(spend: np.ndarray, rows: np.ndarray) -> float:
    """`value_captured_at_10` by block."""
    total = float(spend.sum())
    if not total:
        raise Undefined("no_spend")
    return _in_top_tenth(spend, rows) / total


def _in_top_tenth(amounts: np.ndarray, rows: np.ndarray) -> float:
    """What the first tenth of the rows hold, where the rows of a block hold equal parts of it."""
    ends = np.cumsum(rows)
    held = np.cumsum(amounts)
    return float(np.interp(ends[-1] / 10, np.append(0, ends), np.append(0, held)))


def _require_positives(positives: np.ndarray) -> int:
    n_positive = int(positives.sum())
    if not n_positive:
        raise Undefined("no_positives")
    return n_positive
