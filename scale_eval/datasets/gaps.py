"""Find the silences of a company that are probably missing data.

A silence says that nobody bought, or that what was bought is not in the data: a file was forgotten,
a feed stopped. Which of the two it is cannot be seen in the silence itself, but in the other
silences around it: a shop that never closes for a week seldom closes for a month.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.datasets.instants import DAY

SHORTEST = 28
"""The shortest silence, in days, that can be a gap: a month that is missing."""

TIMES_LONGER = 4
"""A gap is so many times as long as any usual silence around it."""

ALIKE = 2
"""So many other silences around a gap may be as unusual, and gaps as well."""

STRAYS = 3
"""Days with rows that a silence may have inside: a refund by hand, a test order."""

YEAR = 365
"""Days before and after a silence that are around it, or as many as it lasts."""

KNOWN = 10
"""The time around is at least so many times as long as the longest usual silence.

Otherwise too little is known of what is usual.
"""

FIRST_ROWS = 10
"""A silence after fewer rows is no gap: too few customers are known to evaluate anything."""

SEASON_MOVES = 21
"""Days by which a season may move from year to year: Easter, school holidays."""

_MOVES = (np.array([[-YEAR], [YEAR]]) + np.arange(-SEASON_MOVES, SEASON_MOVES + 1, 7)).ravel()

_NEAREST = 10
"""Blocks on each side by which most silences are seen to be usual before more is computed."""


class Gaps(NamedTuple):
    """The gaps of a company, in microseconds since 1970-01-01; all are at midnight UTC.

    Attributes
    ----------
    spans : list of (int, int)
        Begin and end (exclusive) of each, in their order.
    silent_from : int
        The end of the last day with rows, where the silence after them begins.
    overdue_from : int or None
        That silence is a gap, too, if it lasts until then; None where too little is known to say so
        of any.
    """

    spans: list[tuple[int, int]]
    silent_from: int
    overdue_from: int | None


def find_gaps(times: np.ndarray) -> Gaps:
    """Return the silences of a company that are probably missing data.

    A silence of at least `SHORTEST` days, with rows on at most `STRAYS` days in it, is a gap if it
    is `TIMES_LONGER` times as long as any other silence around it, but for at most `ALIKE` that are
    gaps like it. One that comes at the same time of the year before or after, too, is a season, and
    no gap.

    Parameters
    ----------
    times : ndarray of int64, shape (n_rows,)
        The timestamps of its rows in any order, in microseconds since 1970-01-01 UTC.

    Examples
    --------
    >>> days = np.concatenate([np.arange(100), np.arange(200, 300)])
    >>> [(start // DAY, end // DAY) for start, end in find_gaps(days * DAY).spans]
    [(100, 200)]
    """
    days = times // DAY
    first = int(days.min())
    rows = np.bincount(days - first)
    active = np.flatnonzero(rows)
    silent_from = (first + len(rows)) * DAY
    if len(active) <= KNOWN:
        return Gaps([], silent_from, None)
    silences, spacings = _unusual(active)
    spans = [
        ((first + start) * DAY, (first + end) * DAY)
        for start, end in silences
        if rows[:start].sum() >= FIRST_ROWS and not _is_season(active, start, end)
    ]
    overdue = _overdue(active, spacings)
    return Gaps(spans, silent_from, None if overdue is None else (first + overdue) * DAY)


def _unusual(active: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return the unusual silences, begin and end, and the spacings as if these had not been.

    `active` holds the days with rows, ascending. Silences with strays in them are sought first.
    """
    spacings = np.diff(active)
    found: list[tuple[int, int]] = []
    if not (active[STRAYS + 1 :] - active[: -STRAYS - 1] > SHORTEST).any():
        return found, spacings
    for n_spacings in range(STRAYS + 1, 0, -1):
        while unusual := _unusual_of(n_spacings, spacings):
            for before, after in unusual:
                spacings[before:after] = 1
            found += unusual
    return [(int(active[a]) + 1, int(active[b])) for a, b in _joined(found)], spacings


def _joined(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return silences in their order; two with strays alone between them are one."""
    joined: list[tuple[int, int]] = []
    for before, after in sorted(found):
        if joined and before - joined[-1][1] < STRAYS:
            before, last = joined.pop()
            after = max(after, last)
        joined.append((before, after))
    return joined


def _unusual_of(n_spacings: int, spacings: np.ndarray) -> list[tuple[int, int]]:
    """Return the unusual silences of at most so many spacings, as positions of days with rows.

    A silence is compared with the blocks of as many spacings before and after it, and ends where
    its spacings become usual.
    """
    days = np.concatenate([[0], np.cumsum(spacings)])
    spans = days[n_spacings:] - days[:-n_spacings]
    found = []
    for begin in _promising(spans, n_spacings).tolist():
        end = begin + n_spacings
        around = max(YEAR, int(spans[begin]))
        low = np.searchsorted(days, days[begin] - around)
        high = np.searchsorted(days, days[end] + around, side="right")
        before, after = days[low : begin + 1][::-n_spacings], days[end:high:n_spacings]
        usual = _longest_usual(np.concatenate([-np.diff(before), np.diff(after)]) - 1)
        long = begin + np.flatnonzero(spacings[begin:end] - 1 > usual)
        if len(long):
            begin, end = int(long[0]), int(long[-1]) + 1
            if days[end] - days[begin] - 1 >= max(SHORTEST, TIMES_LONGER * usual):
                found.append((begin, end))
    return found


def _promising(spans: np.ndarray, n_spacings: int) -> np.ndarray:
    """Return where a long silence begins that is unusual nearby, and the longest it overlaps."""
    begins = (spans > SHORTEST).nonzero()[0]
    margin = _NEAREST * n_spacings
    beyond = np.zeros(margin, np.int64)
    padded = np.concatenate([beyond, spans, beyond])
    nearby = padded[begins[:, np.newaxis] + np.arange(0, 2 * margin + 1, n_spacings)]
    longer = nearby - 1 >= (spans[begins] / TIMES_LONGER)[:, np.newaxis]  # one is the silence
    begins = begins[longer.sum(axis=1) <= ALIKE + 1]
    for offset in range(1, n_spacings if len(begins) else 0):
        later, earlier = padded[begins + margin + offset], padded[begins + margin - offset]
        begins = begins[(spans[begins] >= later) & (spans[begins] > earlier)]
    return begins


def _longest_usual(silences: np.ndarray) -> float:
    """Return the longest of silences but for a few that are unusual; inf where too little is known.

    Parameters
    ----------
    silences : ndarray of int64
        Days without rows between two days with rows.
    """
    descending = np.sort(silences)[::-1]
    usual = np.inf
    for unusual in range(min(ALIKE + 1, len(descending))):
        longest, rest = int(descending[unusual]), descending[unusual:]
        stands_out = unusual == 0 or descending[unusual - 1] >= TIMES_LONGER * longest
        if stands_out and rest.sum() + len(rest) >= KNOWN * (longest + 1):
            usual = longest
    return usual


def _is_season(active: np.ndarray, start: int, end: int) -> bool:
    """Return whether a silence was silent in the year before or after, too, in its middle half.

    That half had no more days with rows than strays there, nor than a quarter of what is usual
    around the silence.
    """
    first, last = int(active[0]), int(active[-1]) + 1
    if end - start >= YEAR:
        return False
    quarter = (end - start) // 4
    low, high = start + quarter + _MOVES, end - quarter + _MOVES
    known = (low >= first) & (high <= last)
    if not known.any():
        return False
    n_active = np.diff(active.searchsorted([low[known], high[known]]), axis=0)[0]
    around = max(start - YEAR, first), min(end + YEAR, last)
    n_around = int(np.diff(active.searchsorted(around))[0])
    usual = n_around / (around[1] - around[0]) * (end - start) / 2
    return bool((n_active <= min(STRAYS, usual / 4)).any())


def _overdue(active: np.ndarray, spacings: np.ndarray) -> int | None:
    """Return the day from which on the silence after the last row is a gap, if any.

    It is compared with the silences of the last year, or with all where it is longer than a year.
    """
    recent = spacings[np.cumsum(spacings[::-1])[::-1] <= YEAR]
    length = TIMES_LONGER * _longest_usual(recent - 1)
    if length > YEAR:
        length = TIMES_LONGER * _longest_usual(spacings - 1)
    if length == np.inf:
        return None
    start = int(active[-1]) + 1
    length = max(int(length), SHORTEST)
    ends = range(start + length, start + max(YEAR, length) + 14, 14)
    return next(end for end in ends if not _is_season(active, start, end))
