"""Intervals for figures that are not ratios of sums, such as an AUC of all rows: the jackknife.

Source: Kott 2001, delete-a-group jackknife; Quenouille 1956 for the correction of the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantile, faster than that of `scipy.stats`


@dataclass(frozen=True)
class Jackknife:
    """A figure corrected for its bias, and its standard error."""

    value_corrected: float
    std_error: float

    def interval(self, centre: float, df: float, level: float = 0.95) -> tuple[float, float]:
        """Return Student's interval with `df` degrees of freedom around `centre`."""
        half = float(stdtrit(df, (1 + level) / 2)) * self.std_error
        return centre - half, centre + half


def delete_a_group(value: float, replicates: np.ndarray) -> Jackknife:
    """Compute the jackknife from the figure of all groups and those without each of the G groups.

    G value - (G - 1) mean(replicates), and sqrt((G - 1) / G sum (replicate - mean)^2). `replicates`
    is of shape (G,) and finite.
    """
    groups = len(replicates)
    mean = float(replicates.mean())
    squares = float(np.square(replicates - mean).sum())
    return Jackknife(
        groups * value - (groups - 1) * mean, float(np.sqrt((groups - 1) / groups * squares))
    )
