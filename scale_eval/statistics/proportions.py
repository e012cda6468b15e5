"""Intervals of figures between 0 and 1 that stay between 0 and 1."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc, expit, logit, ndtri

from scale_eval.statistics.undefined import Undefined


def wilson_interval(
    successes: np.ndarray | float, n: np.ndarray | float, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's interval (1927) of a share, broadcast; NaN where n is 0."""
    z = ndtri((1 + level) / 2)
    n = np.where(np.asarray(n) > 0, n, np.nan)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = np.where(share == 0, 0.0, centre - half)  # exactly, not to rounding
    return low, np.where(share == 1, 1.0, centre + half)


def logit_interval(value: float, std_error: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of an AUC or a share, by the delta method on the logit scale.

    Undefined: ``at_the_edge`` for a value of exactly 0 or 1, whose logit is infinite.
    """
    if not 0 < value < 1:
        raise Undefined("at_the_edge")
    half = ndtri((1 + level) / 2) * std_error / (value * (1 - value))
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    return float(low), float(high)


def sign_test(successes: int, n: int, share: float = 0.5) -> float:
    """Return the probability of so many successes of n or more, where each has the given share.

    With a share of one half it is p of the one-sided sign test (Dixon & Mood 1946).
    """
    return 1.0 if successes <= 0 else float(bdtrc(successes - 1, n, share))


def share_misled(expected: np.ndarray) -> np.ndarray:
    """Return the share of samples in which chance may favour the worse of two predictions.

    `expected` are the expected counts of the rarer outcome, and the result is of their shape: 0.5 +
    1 / (3 sqrt(2 pi expected)), or the probability of a count of 0, exp(-expected), where that is
    more. A Poisson count lies below its mean with probability 0.5 + 1 / (6 sqrt(2 pi mean)), by the
    first term of its Edgeworth series; the term is doubled, because the loss of a prediction that
    tells customers apart is more skewed than a count. Against simulated losses of the truth and of
    nine other predictions the bound holds from one expected buyer on, and within .05 below.
    """
    with np.errstate(divide="ignore"):
        skewed = 0.5 + 1 / (3 * np.sqrt(2 * np.pi * expected))
    return np.asarray(np.minimum(np.maximum(skewed, np.exp(-expected)), 1.0))
