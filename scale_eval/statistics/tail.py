"""The tail of sizes: whether a company larger than any that was seen would change a figure.

A figure that weighs companies by size rests on the few largest. Where sizes fall off slowly, the
companies at hand say little about the next giant, and an interval is too short if figures go with
size: with a correlation of .5 and Pareto sizes of index 1.3, that of 300 companies holds .88 of the
time (log-normal, sigma 1.4: .94). A large effective number of companies does not protect: it is
largest in the samples that missed the giants (.85).

Log-normal and Pareto sizes look alike in their largest tenth. They differ in the skewness of their
logarithms, 0 and 2 whatever the spread.

To ask for an effective number is itself a choice by outcome where a part of the samples passes:
those without a giant (100 log-normal sizes, sigma 1.4: a quarter pass, and with a correlation of .9
their intervals hold .81 of the time). So the effective number that the spread of the logarithms
implies, which hardly depends on whether a giant was drawn, has to be large as well.

Source: Hill 1975 for the index; Kish 1965 for the effective number.
"""

from __future__ import annotations

import math

import numpy as np

FEW = 30
"""Effective number of companies below which an interval is not published as sure."""

SKEWED = 0.5
"""Skewness of the logarithms above which sizes are not log-normal: no sample of 100 Pareto sizes is
below it, and nine of ten samples of 300 log-normal ones are."""

LIGHT = 2.5
"""Index of a Pareto tail from which it does no harm."""

LARGEST_SHARE = 0.25
"""Share of the companies, the largest, that show the index."""


def rests_on_few(weights: np.ndarray, n: float | None = None) -> bool:
    """Return whether a figure with these weights, shape (k,), would change with one more giant.

    It would where the weights count as fewer than `FEW` equal ones, or those of log-normal weights
    of the same spread would, or where they have a heavy tail. Weights that are all equal (to
    rounding) rest on nobody; those of 0 do not count. `n` is that of
    `effective_number_of_log_normal`.
    """
    counted = weights[weights > 0]
    if not len(counted) or np.ptp(counted) <= 1e-9 * counted.max():
        return False
    if effective_number(counted) < FEW:
        return True
    logs = np.log(counted)
    return _of_log_normal(logs, n) < FEW or _is_heavy_tailed(counted, logs)


def effective_number(weights: np.ndarray) -> float:
    """Return (sum w)^2 / sum w^2: as many equal weights say as much; NaN where all are 0."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else math.nan


def effective_number_of_log_normal(weights: np.ndarray, n: float | None = None) -> float:
    """Return the effective number of as many log-normal weights with the spread of these.

    n exp(-s^2), with s^2 the variance of the logarithms of the weights above 0: of log-normal
    weights, E[w]^2 / E[w^2] = exp(2 mu + s^2) / exp(2 mu + 2 s^2) = exp(-s^2). `n` is the number of
    these weights; if they multiply others that are known, it is the effective number of those.
    """
    logs = np.log(weights[weights > 0])
    return _of_log_normal(logs, n) if len(logs) else 0.0


def _of_log_normal(logs: np.ndarray, n: float | None) -> float:
    return (len(logs) if n is None else n) * math.exp(-float(logs.var()))


def is_heavy_tailed(sizes: np.ndarray) -> bool:
    """Return whether sizes, shape (k,), have a tail as of Pareto; those of 0 do not count."""
    counted = sizes[sizes > 0]
    return bool(len(counted)) and _is_heavy_tailed(counted, np.log(counted))


def _is_heavy_tailed(sizes: np.ndarray, logs: np.ndarray) -> bool:
    spread = float(logs.std())
    if spread < 1e-12:
        return False
    standardised = (logs - logs.mean()) / spread
    skewness = float((standardised * standardised * standardised).mean())
    return skewness > SKEWED and tail_index(sizes) < LIGHT


def tail_index(sizes: np.ndarray) -> float:
    """Return Hill's estimate of the index of a Pareto tail, from the largest quarter of `sizes`.

    Infinite where these are equal, and for fewer than four sizes above 0.
    """
    counted = sizes[sizes > 0]
    n = max(round(LARGEST_SHARE * len(counted)), 3)
    if len(counted) <= n:
        return math.inf
    at = len(counted) - n - 1
    ordered = np.sort(np.partition(counted, at)[at:])[::-1]  # the largest, and the next
    excess = float(np.log(ordered[:-1] / ordered[-1]).mean())
    return 1 / excess if excess > 0 else math.inf
