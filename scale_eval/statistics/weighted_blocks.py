"""Figures of all customers pooled, from weighted counts, with the influence of one customer.

Blocks hold customers of one score, from the highest to the lowest; counts by block are of shape
(n_blocks,) and may be weighted, so that they need not be whole. The derivatives are the change
by one more customer: multiplied by a company's own counts and summed, they give its influence.

Source: Deville 1999 (linearisation by influence); Hanley & McNeil 1982; Cox 1958.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from scale_eval.statistics import logistic, logistic_many
from scale_eval.statistics.undefined import Undefined

TOP = 0.1
"""Share of the customers, those ranked highest, in which buyers and spend are counted."""


class FigureByBlock(NamedTuple):
    """A figure, and its change by one more buyer or one more other customer of each block."""

    value: float
    by_positive: np.ndarray
    by_negative: np.ndarray


class Captured(NamedTuple):
    """A captured share, and its change by one more unit of the amount or row of each block."""

    value: float
    by_amount: np.ndarray
    by_row: np.ndarray


def roc_auc(positives: np.ndarray, negatives: np.ndarray) -> FigureByBlock:
    """Return the AUC, (pairs ranked correctly + half the ties) / pairs.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    n_positive, n_negative = _both_classes(positives, negatives)
    below = n_negative - np.cumsum(negatives) + negatives / 2
    above = np.cumsum(positives) - positives / 2
    pairs = n_positive * n_negative
    value = float(positives @ below) / pairs
    return FigureByBlock(
        value, below / pairs - value / n_positive, above / pairs - value / n_negative
    )


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> FigureByBlock:
    """Return the mean over buyers of the precision at their block.

    Undefined: ``no_positives``.
    """
    total = _some_positives(positives)
    held = np.cumsum(positives)
    rows = np.maximum(np.cumsum(positives + negatives), 1e-300)
    precision = held / rows
    value = float(positives @ precision) / total

    def from_here_down(values: np.ndarray) -> np.ndarray:
        return np.cumsum(values[::-1])[::-1]

    by_positive = from_here_down(positives * (rows - held) / np.square(rows))
    by_negative = from_here_down(positives * held / np.square(rows))
    return FigureByBlock(value, (precision + by_positive - value) / total, -by_negative / total)


def captured_at_10(amounts: np.ndarray, rows: np.ndarray) -> Captured:
    """Return the share of `amounts` (buyers, spend) in the tenth of the rows ranked highest.

    One more row moves the end of the tenth along the slope of the curve, taken between 8 and 12 %
    of the rows.

    Undefined: ``nothing_to_capture``.
    """
    total, n = float(amounts.sum()), float(rows.sum())
    if total <= 0:
        raise Undefined("nothing_to_capture")
    ends, shares = np.cumsum(rows) / n, np.cumsum(amounts) / total
    value, low, high = np.interp(
        [TOP, 0.8 * TOP, 1.2 * TOP], np.append(0, ends), np.append(0, shares)
    ).tolist()
    slope = (high - low) / (0.4 * TOP)
    size = np.maximum(np.diff(ends, prepend=0), 1e-300)
    inside = np.clip((TOP - np.append(0, ends[:-1])) / size, 0, 1)
    return Captured(value, (inside - value) / total, -slope * (inside - TOP) / n)


def calibration_slope(
    logits: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> FigureByBlock:
    """Return the calibration slope on the blocks' `logits`.

    Undefined: as `logistic.fit`; a class is missing only where its weights are exactly 0.
    """
    _both_classes(positives, negatives)
    fitted = logistic.fit(logits, positives, negatives)
    return FigureByBlock(
        fitted.slope, *logistic.slope_influence(logits, positives, negatives, fitted)
    )


def calibration_intercept(
    logits: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> FigureByBlock:
    """Return the calibration intercept beside the offset `logits`.

    Undefined: ``no_positives``, ``no_negatives``.
    """
    _both_classes(positives, negatives)
    value = float(logistic_many.intercepts(logits, positives[np.newaxis], negatives[np.newaxis])[0])
    p, q = (expit(sign * (value + logits)) for sign in (1, -1))
    information = float(((positives + negatives) * p * q).sum())
    return FigureByBlock(value, q / information, -p / information)


def _some_positives(positives: np.ndarray) -> float:
    total = float(positives.sum())
    if total <= 0:
        raise Undefined("no_positives")
    return total


def _both_classes(positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    total = _some_positives(positives)
    others = float(negatives.sum())
    if others <= 0:
        raise Undefined("no_negatives")
    return total, others
