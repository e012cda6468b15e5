"""How a figure is spread over companies."""

from __future__ import annotations

import math

import numba
import numpy as np

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}


def dispersion(values: np.ndarray) -> dict[str, float]:
    """Mean, spread and quantiles of `values`, shape (n,), finite.

    `std` has ddof 1 and is NaN below two values; `mad` is the median absolute deviation from the
    median, unscaled; quantiles are linear (Hyndman & Fan 1996, type 7); all are NaN where there are
    no values. The spread of companies' measured figures holds true differences, noise and time
    together; it is not the spread of the truth, which is `tau`.
    """
    if len(values) == 0:
        names = ["mean", "std", "mad", "iqr", "min", *QUANTILES, "max"]
        return dict.fromkeys(names, np.nan)
    n, mean = len(values), float(values.mean())
    squares = float(np.square(values - mean).sum())
    ascending = np.sort(values)  # from which all but the mean and std are read
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
    """`np.quantile` of sorted values, bit for bit: between two, it is told from the nearer."""
    at = share * (len(ascending) - 1)
    below = int(at)
    low, high = float(ascending[below]), float(ascending[min(below + 1, len(ascending) - 1)])
    part = at - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def _median_distance(ascending: np.ndarray, centre: float) -> float:
    """The median of their distances from `centre`, which are not sorted for it."""
    n = len(ascending)
    upper = float(_nearest(ascending, centre, n // 2 + 1))
    return upper if n % 2 else (float(_nearest(ascending, centre, n // 2)) + upper) / 2


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _nearest(ascending: np.ndarray, centre: float, m: int) -> float:
    """The m-th smallest distance of sorted values from `centre`, by bisection.

    The m nearest are neighbours in order. They begin further up for as long as the first of m is
    farther away than the next after the last of them.
    """
    low, high = 0, len(ascending) - m
    while low < high:
        first = (low + high) // 2
        if centre - ascending[first] > ascending[first + m] - centre:
            low = first + 1
        else:
            high = first
    return max(centre - ascending[low], ascending[low + m - 1] - centre)
