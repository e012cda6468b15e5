"""The tail of sizes: whether a company larger than any that was seen would change a figure.

A figure that weighs companies by size rests on the few largest. Where sizes fall off slowly, the
companies at hand say little about the next giant, and an interval is too short as soon as figures
go with size: with log-normal sizes (sigma 1.4) and a correlation of .5, that of 1,000 companies
holds .89 of the time, and with Pareto sizes (index 1.6) .61. No rule on the companies at hand can
tell, since those without a giant look the best; so such figures are conditional.

Source: Hill 1975.
"""

from __future__ import annotations

import math

import numpy as np

LARGEST_SHARE = 0.1
"""Share of the companies, the largest, that show the tail."""

FEWEST = 5
"""Least number of companies that show the tail."""


def tail_index(sizes: np.ndarray) -> float:
    """Return Hill's estimate of the index of a Pareto tail; below 2 the variance is infinite.

    Parameters
    ----------
    sizes : ndarray of shape (k,)
        Those of 0 do not count.

    Returns
    -------
    float
        Infinite where the largest are equal; NaN for fewer than twice `FEWEST` sizes.
    """
    ordered = np.sort(sizes[sizes > 0])[::-1]
    m = max(math.ceil(LARGEST_SHARE * len(ordered)), FEWEST)
    if len(ordered) < 2 * FEWEST:
        return math.nan
    excess = float(np.log(ordered[:m] / ordered[m]).mean())
    return 1 / excess if excess > 0 else math.inf
