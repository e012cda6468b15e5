"""Phrases that several sentences of a verdict share."""

from __future__ import annotations

from scale_eval.report.pair import Pair
from scale_eval.report.wording import difference_with_interval, number, span, step_of

MIN_FOR_THE_NEXT = 5
"""Smallest number of companies for a sentence about companies that were not evaluated."""


def margin_of(pair: Pair) -> str:
    """Return the margin of a comparison in two digits, such as ``.002`` or ``.0031``."""
    text = number(pair.margin, step_of(pair.margin))
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def step_for(pair: Pair) -> float:
    """Return the step in which a difference and the ends of its interval are shown."""
    return step_of(pair.better_by, pair.low, pair.high)


def interval_of(pair: Pair) -> str:
    """Return the interval of a difference, such as ``.015 to .027``."""
    return span(pair.low, pair.high, step_for(pair))


def difference_of(pair: Pair) -> str:
    """Return a difference with its interval, such as ``.021 (.015 to .027)``."""
    return difference_with_interval(pair.better_by, pair.low, pair.high)
