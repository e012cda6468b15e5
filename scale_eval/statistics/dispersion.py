"""The spread of a figure over companies."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled_for_many

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}


def dispersion(values: np.ndarray) -> dict[str, float]:
    """Return mean, spread and quantiles of `values`, shape (n,), finite.

    `std` has ddof 1 and is NaN below two values; `mad` is the median absolute deviation from the
    median, unscaled; quantiles are linear (Hyndman & Fan 1996, type 7); all are NaN where there are
    no values. The spread of companies' measured figures mixes true differences, noise and time; the
    spread of the true effects is `tau`.
    """
    if len(values) == 0:
        names = ["mean", "std", "mad", "iqr", "min", *QUANTILES, "max"]
        return dict.fromkeys(names, np.nan)
    n, mean = len(values), float(values.mean())
    squares = float(np.square(values - mean).sum())
    ascending = np.sort(values)  # all figures but the mean and std are read from it
    quantiles = {name: _quantile(ascending, at) for name, at in QUANTILES.items()}
    return {
        "mean": mean,
        "std": math.sqrt(squares / (n - 1)) if n > 1 else np.nan,
        "mad": _median_distance(ascending, quantiles["p50"]),
        "iqr": quantiles["p75"] - quantiles["p25"],
        "min": float(ascending[0]),
        **quantiles,
        "max": float(ascending[-1]),
    }


def _quantile(ascending: np.ndarray, share: float) -> float:
    """Return `np.quantile` of sorted values, bit for bit: it interpolates from the nearer value."""
    at = share * (len(ascending) - 1)
    below = int(at)
    low, high = float(ascending[below]), float(ascending[min(below + 1, len(ascending) - 1)])
    part = at - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def _median_distance(ascending: np.ndarray, centre: float) -> float:
    """Return the median distance of the values from `centre`, without sorting the distances."""
    n = len(ascending)
    upper = float(_nearest(ascending, centre, n // 2 + 1))
    return upper if n % 2 else (float(_nearest(ascending, centre, n // 2)) + upper) / 2


@compiled_for_many
def _nearest(ascending: np.ndarray, centre: float, m: int) -> float:
    """Return the m-th smallest distance of sorted values from `centre`, by bisection.

    The m nearest values are neighbours. They start further up while the first of them is farther
    away than the value after the last of them.
    """
    low, high = 0, len(ascending) - m
    while low < high:
        first = (low + high) // 2
        if centre - ascending[first] > ascending[first + m] - centre:
            low = first + 1
        else:
            high = first
    return max(centre - ascending[low], ascending[low + m - 1] - centre)
