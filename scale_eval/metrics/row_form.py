"""The form of a metric over all customers pooled, for metrics that are not sums over windows.

The value comes from a merged histogram, as if the rows of a bin were tied. A bound says how far the
metric of the rows themselves can be from it, whatever their order and ties inside the bins (to
float64 rounding). The error comes from leaving out groups of companies, or, where companies were
sampled, from the derivatives of the weighted figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scale_eval.metrics.histogram import GroupedHistograms, ScoreHistogram, mid_logit
from scale_eval.metrics.pooling import Amount
from scale_eval.statistics.common_slope import CommonSlope
from scale_eval.statistics.weighted_blocks import FigureByBlock

FitWithinWindows = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], CommonSlope]
"""(logits, positives, negatives, windows) -> a fit with an intercept for each window."""

TIE_COLUMNS = ("n_distinct", "mean_prediction")
"""The columns of the evaluations that tell which windows have one score, and which."""


class WeightedFigure(NamedTuple):
    """A figure of weighted rows, the influence of each row, and the amount that each row holds.

    `influence` and `amounts` are float64 of shape (n_rows,), and not weighted.
    """

    value: float
    influence: np.ndarray
    amounts: np.ndarray


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """Rows of the histograms of several companies, each weighted; arrays of shape (n_rows,).

    Attributes
    ----------
    bin : ndarray of int
    n_positive, n_negative, spend_minor : ndarray of float64
    weight : ndarray of float64
        The number of companies that the company of each row represents.
    """

    bin: np.ndarray
    n_positive: np.ndarray
    n_negative: np.ndarray
    spend_minor: np.ndarray
    weight: np.ndarray

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(-self.bin.astype(np.int64), return_inverse=True)

    @property
    def block_of_row(self) -> np.ndarray:
        """Return the block of each row; blocks are bins from the highest to the lowest."""
        return self._blocks[1]

    @property
    def block_logit(self) -> np.ndarray:
        """Return the logit in the middle of each block."""
        return mid_logit(-self._blocks[0])

    def by_block(self, counts: np.ndarray) -> np.ndarray:
        """Return the weighted sums of `counts`, shape (n_rows,), over the rows of each block."""
        n_blocks = len(self._blocks[0])
        return np.bincount(self.block_of_row, self.weight * counts, minlength=n_blocks)


@dataclass(frozen=True)
class RowForm:
    """The computation of a metric over all customers pooled.

    Attributes
    ----------
    value : callable
        Merged histogram -> the metric, and the bound of its error or None; raises `Undefined`.
    without_each : callable
        `GroupedHistograms` -> the metric without each group in turn, NaN where it is undefined;
        shape (n_groups,).
    weighted : callable
        `WeightedRows` -> `WeightedFigure`; raises `Undefined`.
    weight : Amount or None
        What a company weighs. None: half by its positives, half by its negatives.
    smooth : bool
        Leaving groups out also estimates the bias, which is then corrected. A share that is read
        off a curve at a fixed part of the customers moves by jumps: its correction would be mostly
        noise.
    floor : callable or None
        (positives, negatives) by block -> the figure of a model that gives all customers of a
        company and cutoff the same score; for a metric that rewards knowing which company has many
        buyers.
    within_windows : callable or None
        The regression, where ``within_company`` is one and not a sum over windows; raises
        `Undefined`.
    knows_ties : bool
        The bound leaves out the merged histogram's `tied_pairs`, which `TIE_COLUMNS` tell.
    """

    value: Callable[[ScoreHistogram], tuple[float, float | None]]
    without_each: Callable[[GroupedHistograms], np.ndarray]
    weighted: Callable[[WeightedRows], WeightedFigure]
    weight: Amount | None = None
    smooth: bool = True
    floor: Callable[[np.ndarray, np.ndarray], float] | None = None
    within_windows: FitWithinWindows | None = None
    knows_ties: bool = False


def figure_by_row(rows: WeightedRows, figure: FigureByBlock) -> WeightedFigure:
    """Return the figure with the influence of each row, from that of the classes of each block."""
    at = rows.block_of_row
    influence = rows.n_positive * figure.by_positive[at] + rows.n_negative * figure.by_negative[at]
    return WeightedFigure(figure.value, influence, rows.n_positive + rows.n_negative)


def classes_by_block(rows: WeightedRows) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted positives and negatives of each block."""
    return rows.by_block(rows.n_positive), rows.by_block(rows.n_negative)
