"""Find rows whose year cannot be right: a few rows, many years away from all others of a company.

A typing error dates an order 2203, a missing time becomes 1970-01-01 or 2099-12-31. Such rows would
stretch the time over which the company seems to have been observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scale_eval.datasets.instants import DAY

OUTSIDE = "outside_plausible_range"
"""The reason for which such rows are refused."""

FAR = 5 * 365 * DAY
"""How far away, in microseconds, such rows are from the others at least."""

TIMES_MORE = 10
"""How many times as many the other rows are at least.

Rows of one day only have to be fewer: a time that is missing is often written as the same day.
"""


def implausible_rows(
    times: np.ndarray, bounds: np.ndarray, known: Sequence[Mapping[str, Any] | None]
) -> np.ndarray:
    """Return which rows lie implausibly far from the other rows of their company.

    Rows of a company that have no other within five years fall apart into groups. A group is
    implausible where the largest group has ten times as many rows; or more rows, where all rows of
    the group are of one day (UTC).

    Parameters
    ----------
    times : ndarray of int64, shape (n_rows,)
        Company by company; in microseconds since 1970-01-01 UTC.
    bounds : ndarray of int64, shape (n_companies + 1,)
        The first row of each company, and the number of rows.
    known : sequence of mapping or None
        The company's row of the manifest, where the dataset has rows that stay.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    implausible = np.zeros(len(times), dtype=bool)
    if not len(times):
        return implausible
    first = np.minimum.reduceat(times, bounds[:-1])
    last = np.maximum.reduceat(times, bounds[:-1])
    for i, row in enumerate(known):
        if row is not None:
            first[i] = min(first[i], row["first_timestamp"])
            last[i] = max(last[i], row["last_timestamp"])
    for i in np.flatnonzero(last - first >= FAR).tolist():
        rows = slice(int(bounds[i]), int(bounds[i + 1]))
        if known[i] is not None or _has_empty_years(times[rows]):
            implausible[rows] = _implausible(times[rows], known[i])
    return implausible


def _has_empty_years(times: np.ndarray) -> bool:
    """Return whether years without rows in a row may add up to `FAR`; faster than sorting."""
    n_rows = np.bincount((times - times.min()) // (FAR // 5))
    return bool((np.diff(np.flatnonzero(n_rows)) >= 5).any())


def _implausible(times: np.ndarray, known: Mapping[str, Any] | None) -> np.ndarray:
    """Return which rows of one company are implausible, bool of the shape of `times`."""
    ordered, counts = np.unique(times, return_counts=True)
    if known is not None:
        # Rows that stay: as many as there are, somewhere between the first and the last of them.
        ends = np.array([known["first_timestamp"], known["last_timestamp"]])
        within = (ordered >= ends[0]) & (ordered <= ends[1])
        n_within = int(counts[within].sum()) + known["n_rows"]
        ordered = np.concatenate([ordered[~within], ends])
        counts = np.concatenate([counts[~within], [n_within, 0]])
        order = np.argsort(ordered, kind="stable")
        ordered, counts = ordered[order], counts[order]
    starts_group = np.diff(ordered, prepend=ordered[0]) >= FAR
    if known is not None:
        starts_group &= ~((ordered > ends[0]) & (ordered <= ends[1]))
    group = np.cumsum(starts_group)
    n_rows = np.bincount(group, weights=counts)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    days = ordered // DAY
    one_day = days[starts] == days[np.append(starts[1:], len(days)) - 1]
    is_implausible = np.where(one_day, n_rows < n_rows.max(), n_rows * TIMES_MORE <= n_rows.max())
    return is_implausible[group[np.searchsorted(ordered, times)]]
