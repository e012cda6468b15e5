"""The bounds of windows as arrays, as `scale_eval.evaluation.customer_summaries` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scale_eval.datasets.instants import Duration, from_microseconds, microseconds

BEGINNING_OF_TIME = -(2**63)
"""The earliest instant that 64 bits hold; microseconds since 1970 UTC."""


@dataclass(frozen=True)
class WindowBounds:
    """Windows in microseconds since 1970 UTC, ascending by `cutoff`; int64 of shape (n_windows,).

    Attributes
    ----------
    cutoff, horizon_end : ndarray
    since : ndarray
        The population needs a purchase between this instant and the cutoff; `BEGINNING_OF_TIME`
        leaves nobody out.
    lapsed_before : ndarray
        Customers whose last purchase lies before this instant have lapsed.
    """

    cutoff: np.ndarray
    horizon_end: np.ndarray
    since: np.ndarray
    lapsed_before: np.ndarray

    def __len__(self) -> int:
        return len(self.cutoff)


@lru_cache(maxsize=4096)
def window_bounds(
    windows: tuple[tuple[int, int], ...],
    lookback: Duration | None,
    lapsed_after: Duration | None = None,
) -> WindowBounds:
    """Return the bounds of `windows`, pairs of cutoff and end of the horizon, ascending.

    Customers have lapsed after `lapsed_after` without a purchase; without it, after `lookback`.
    """
    cutoffs = [cutoff for cutoff, _ in windows]
    ends = [horizon_end for _, horizon_end in windows]
    since = [population_since(cutoff, lookback) for cutoff in cutoffs]
    lapsed = [population_since(cutoff, lapsed_after or lookback) for cutoff in cutoffs]
    instants = np.array([cutoffs, ends, since, lapsed], dtype=np.int64)
    instants.flags.writeable = False  # many companies share them
    return WindowBounds(*instants)


@lru_cache(maxsize=65_536)
def population_since(cutoff: int, lookback: Duration | None) -> int:
    """Return when the lookback before a cutoff begins, in microseconds since 1970 UTC."""
    if lookback is None:
        return BEGINNING_OF_TIME
    return microseconds(lookback.before(from_microseconds(cutoff)))
