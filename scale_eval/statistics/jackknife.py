"""Intervals for figures that are no sum over a sum, as an AUC of all rows: leave groups out.

Source: Kott 2001, delete-a-group jackknife; Quenouille 1956 for the correction of the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantile, of which `scipy.stats` makes more


@dataclass(frozen=True)
class Jackknife:
    """A figure, corrected for its bias, and its standard error."""

    value_corrected: float
    std_error: float

    def interval(self, centre: float, df: float, level: float = 0.95) -> tuple[float, float]:
        """Student's with `df` degrees of freedom, around the corrected value or the plain one."""
        half = float(stdtrit(df, (1 + level) / 2)) * self.std_error
        return centre - half, centre + half


def delete_a_group(value: float, replicates: np.ndarray) -> Jackknife:
    """From the figure of all, and the figures without each of G groups; shape (G,), finite.

    G value - (G - 1) mean(replicates), and sqrt((G - 1) / G sum (replicate - mean)^2).
    """
    groups = len(replicates)
    mean = float(replicates.mean())
    squares = float(np.square(replicates - mean).sum())
    return Jackknife(
        groups * value - (groups - 1) * mean, float(np.sqrt((groups - 1) / groups * squares))
    )
