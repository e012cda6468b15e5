"""Two models on the same companies: is the difference real, and is it nothing worth having?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from scale_eval.statistics.undefined import Undefined

MIN_DIFFERENCES = 6
"""With fewer that are not 0, no signed rank test can be below 5 %, and none is made."""


def wilcoxon(differences: np.ndarray) -> tuple[float, float]:
    """Wilcoxon's signed rank test, two-sided: the smaller sum of ranks, and p.

    Differences of 0 are dropped (Wilcoxon 1945). SciPy's `wilcoxon`, exact for up to 50 without
    ties. Undefined: ``fewer_than_6_companies`` with a difference.
    """
    from scipy import stats  # here: importing it is half a second of a process's start

    differences = differences[differences != 0]
    if len(differences) < MIN_DIFFERENCES:
        raise Undefined("fewer_than_6_companies")
    result = stats.wilcoxon(differences)
    return float(result.statistic), float(result.pvalue)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p adjusted for the rate of false discoveries among them; NaN stays and does not count.

    Source: Benjamini & Hochberg 1995, by SciPy.
    """
    from scipy import stats

    adjusted = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known], method="bh")
    return adjusted


@dataclass(frozen=True)
class Equivalence:
    """Whether a difference was shown to be smaller than the margin, either way."""

    p_value: float
    equivalent: bool


def equivalence(
    difference: float, std_error: float, df: float, margin: float, level: float = 0.95
) -> Equivalence:
    """Two one-sided t tests (TOST; Schuirmann 1987): -margin < true difference < margin.

    Equivalent at 1 - `level`: the interval of 2 `level` - 1 lies inside the margin. Where it is
    not, the difference may be large or not: that it is 0 was not shown, nor that it is not.
    """
    room = margin - abs(difference)
    certain = 0.0 if room > 0 else 1.0
    p = float(stdtr(df, -room / std_error)) if std_error > 0 else certain
    return Equivalence(p, p < 1 - level)
