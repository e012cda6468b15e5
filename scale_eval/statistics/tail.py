"""The tail of sizes: whether a company larger than any that was seen would change a figure.

A figure that weighs companies by size rests on the few largest. Where sizes fall off slowly, the
companies at hand say little about the next giant, and an interval is too short if figures go with
size: with a correlation of .5 and Pareto sizes of index 1.3, that of 300 companies holds .88 of the
time (log-normal, sigma 1.4: .94). A large effective number of companies does not protect: it is
largest in the samples that missed the giants (.85).

Log-normal and Pareto sizes look alike in their largest tenth. They differ in the skewness of their
logarithms, 0 and 2 whatever the spread.

Source: Hill 1975 for the index.
"""

from __future__ import annotations

import math

import numpy as np

SKEWED = 0.5
"""Skewness of the logarithms above which sizes are not log-normal: no sample of 100 Pareto sizes is
below it, and nine of ten samples of 300 log-normal ones are."""

LIGHT = 2.5
"""Index of a Pareto tail from which it does no harm."""

LARGEST_SHARE = 0.25
"""Share of the companies, the largest, that show the index."""


def is_heavy_tailed(sizes: np.ndarray) -> bool:
    """Return whether sizes, shape (k,), have a tail as of Pareto; those of 0 do not count."""
    logs = np.log(sizes[sizes > 0])
    spread = float(logs.std()) if len(logs) else 0.0
    if spread < 1e-12:
        return False
    skewness = float((((logs - logs.mean()) / spread) ** 3).mean())
    return skewness > SKEWED and tail_index(sizes) < LIGHT


def tail_index(sizes: np.ndarray) -> float:
    """Return Hill's estimate of the index of a Pareto tail, from the largest quarter of `sizes`.

    Infinite where these are equal, and for fewer than four sizes above 0.
    """
    ordered = np.sort(sizes[sizes > 0])[::-1]
    n = max(round(LARGEST_SHARE * len(ordered)), 3)
    if len(ordered) <= n:
        return math.inf
    excess = float(np.log(ordered[:n] / ordered[n]).mean())
    return 1 / excess if excess > 0 else math.inf
