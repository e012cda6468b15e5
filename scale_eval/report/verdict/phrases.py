"""Phrases that several sentences of a verdict share."""

from __future__ import annotations

from scale_eval.report.pair import Pair
from scale_eval.report.wording import span, step_of

MIN_FOR_THE_NEXT = 5
"""Smallest number of companies for a sentence about companies that were not evaluated."""


def margin_of(pair: Pair) -> str:
    """Return the margin of a comparison, such as ``.002``."""
    return f"{pair.margin:g}".replace("0.", ".", 1)


def interval_of(pair: Pair) -> str:
    """Return the interval of a difference, such as ``.015 to .027``."""
    return span(pair.low, pair.high, step_of(pair.better_by))
