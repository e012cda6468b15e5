"""Read spans of days, as the options `--plausible` and `--observed` write them."""

from __future__ import annotations

from dataclasses import dataclass

from scale_eval.datasets.instants import DAY, NEVER, as_utc, is_day, microseconds

EVER = -(2**63)
"""The begin of a span that has none, in microseconds since 1970."""


@dataclass(frozen=True)
class TimeSpan:
    """A span of time: ``TimeSpan.parse("2019-01-01..2023-12-31")``.

    Attributes
    ----------
    start, end : int
        In microseconds since 1970-01-01 UTC; `end` is exclusive. `EVER` and `NEVER` where the span
        has no begin or no end.
    """

    start: int = EVER
    end: int = NEVER

    @classmethod
    def parse(cls, text: str) -> TimeSpan:
        """Read ``FROM..TO``: two dates or times, UTC without a zone; either may be left out.

        A span ends with the whole day `TO` where that is a date. ``..`` is all of time. Raises
        `ValueError` where the text is something else, or ends before it begins.
        """
        begin, dots, end = (part.strip() for part in text.partition(".."))
        if not dots:
            raise ValueError(f"{text!r} is not a span; write FROM..TO, such as {_EXAMPLE}")
        span = cls(
            microseconds(as_utc(begin)) if begin else EVER,
            microseconds(as_utc(end)) + DAY * is_day(end) if end else NEVER,
        )
        if span.end <= span.start:
            raise ValueError(f"{text!r} ends before it begins; write FROM..TO, such as {_EXAMPLE}")
        return span


_EXAMPLE = "2019-01-01..2023-12-31"
