"""Find the silences of a company that are probably missing data.

A silence says that nobody bought, or that what was bought is not in the data: a file was forgotten,
a feed stopped. Which of the two it is cannot be seen in the silence itself, but in what surrounds
it: how long one had to wait there, at a random moment, for the next day with rows.
"""

from __future__ import annotations

import numpy as np

from scale_eval.datasets.instants import DAY

SHORTEST = 28
"""The shortest silence, in days, that can be a gap: a month that is missing."""

SURE = 20.0
"""A silence is a gap from so many waits on.

Where rows come at random times, one silence in 500 million is as long.
"""

LIKELY, TIMES_LONGER = 10.0, 4
"""From so many waits on, a silence is a gap if it is so many times as long as any other."""

AROUND = 180
"""Days before and after a silence from which the wait is taken, or as many as it lasts."""

ENOUGH = 10
"""Days with rows on one side without which that side does not tell the wait.

After fewer rows than that a silence is no gap: too few customers are known to evaluate anything.
"""

MANY = 30
"""Spacings of which the longest is left out."""

ONE_SIDED = 90
"""The shortest gap, in days, where only one side tells the wait."""

YEAR = 365


def find_gaps(times: np.ndarray) -> list[tuple[int, int]]:
    """Return the silences of a company that are probably missing data, in their order.

    The wait is the mean time from a random moment to the next day with rows: half the sum of the
    squared spacings of these days, divided by the sum of the spacings. Of the waits before and
    after a silence the longer counts. A silence is a gap where it lasts `SURE` waits; or, where
    both sides tell the wait, `LIKELY` waits and `TIMES_LONGER` as long as any other silence of the
    company. A silence shorter than a year that comes at the same time of another year as well is a
    season, and no gap.

    Parameters
    ----------
    times : ndarray of int64, shape (n_rows,)
        The timestamps of its rows in any order, in microseconds since 1970-01-01 UTC.

    Returns
    -------
    list of (int, int)
        Begin and end (exclusive) of each gap, both at midnight UTC, in microseconds since 1970.

    Examples
    --------
    >>> days = np.concatenate([np.arange(100), np.arange(200, 300)])
    >>> [(start // DAY, end // DAY) for start, end in find_gaps(days * DAY)]
    [(100, 200)]
    """
    if len(times) <= ENOUGH or int(times.max()) - int(times.min()) < SHORTEST * DAY:
        return []
    days = times // DAY
    first = int(days.min())
    active = np.flatnonzero(np.bincount(days - first))
    silences = np.diff(active) - 1
    candidates = np.flatnonzero(silences >= SHORTEST)
    if not len(candidates):
        return []
    candidates = candidates[silences[candidates] >= LIKELY * _nearest_waits(active, candidates)]
    told = [_waits(active, i) for i in candidates.tolist()]
    is_gap = np.array([waits >= SURE for waits, _ in told], dtype=bool)
    others = silences.copy()
    others[candidates[is_gap]] = 0
    for i, (waits, both_sides) in enumerate(told):
        if both_sides and LIKELY <= waits < SURE:
            longest_other = np.delete(others, candidates[i]).max(initial=1)
            is_gap[i] = silences[candidates[i]] >= TIMES_LONGER * longest_other
    gaps = [
        ((first + int(active[i]) + 1) * DAY, (first + int(active[i + 1])) * DAY)
        for i in candidates[is_gap].tolist()
        if not _is_season(active, i)
    ]
    return [gap for gap in gaps if np.count_nonzero(times < gap[0]) >= ENOUGH]


def _nearest_waits(active: np.ndarray, silences: np.ndarray) -> np.ndarray:
    """Return the wait among the nearest days alone, which few silences are longer than.

    It is the longer of those on the sides that tell, and infinite where neither does. Shapes:
    `active` (n_days,), `silences` and the result (n_silences,).
    """
    squares = np.concatenate([[0], np.cumsum(np.square(np.diff(active)))])

    def waits(begin: np.ndarray) -> np.ndarray:
        tells = (begin >= 0) & (begin + ENOUGH < len(active))
        begin = np.where(tells, begin, 0)
        end = np.where(tells, begin + ENOUGH, 1)
        wait = (squares[end] - squares[begin]) / 2 / (active[end] - active[begin])
        return np.where(tells, wait, 0.0)

    longer = np.maximum(waits(silences - ENOUGH), waits(silences + 1))
    return np.where(longer > 0, longer, np.inf)


def _waits(active: np.ndarray, silence: int) -> tuple[float, bool]:
    """Return how many waits a silence lasts, and whether both sides tell; 0 where neither does.

    Parameters
    ----------
    active : ndarray of int64
        The days with rows, ascending.
    silence : int
        The position in `active` of the day before it.
    """
    start, end = int(active[silence]), int(active[silence + 1])
    length = end - start - 1
    around = max(length, AROUND)
    first = np.searchsorted(active, start - around)
    last = np.searchsorted(active, end + around, side="right")
    before = np.diff(active[min(first, max(silence - ENOUGH, 0)) : silence + 1])
    after = np.diff(active[silence + 1 : max(last, silence + 2 + ENOUGH)])
    told = [side for side in (before, after[::-1]) if len(side) >= ENOUGH]
    if not told or (len(told) == 1 and length < ONE_SIDED):
        return 0.0, False
    wait = max(max(_wait(side), _wait(side[-ENOUGH:])) for side in told)
    return length / wait, len(told) == 2


def _wait(spacings: np.ndarray) -> float:
    """Return the mean time from a random moment to the next day with rows.

    The longest of many spacings is left out, so that two gaps do not hide each other.
    """
    if len(spacings) >= MANY:
        spacings = np.delete(spacings, spacings.argmax())
    return float(np.square(spacings).sum() / 2 / spacings.sum())


def _is_season(active: np.ndarray, silence: int) -> bool:
    """Return whether the same days a year before or after a silence were nearly silent too."""
    start, end = int(active[silence]) + 1, int(active[silence + 1])
    if end - start >= YEAR:
        return False
    for years in (-YEAR, YEAR):
        low, high = start + years, end + years
        if low < active[0] or high > active[-1] + 1:
            continue
        n_active = np.searchsorted(active, high) - np.searchsorted(active, low)
        if n_active <= (end - start) / 20:
            return True
    return False
