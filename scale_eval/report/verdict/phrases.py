"""Phrases that several sentences of a verdict share."""

from __future__ import annotations

import numpy as np

from scale_eval.report.pair import Pair
from scale_eval.report.wording import number, span, step_of_difference

MIN_FOR_THE_NEXT = 5
"""Smallest number of companies for a sentence about companies that were not evaluated."""


def margin_of(pair: Pair) -> str:
    """Return the margin of a comparison with two digits, such as ``.002`` or ``.0033``."""
    rounded = float(f"{pair.margin:.2g}")
    return np.format_float_positional(rounded, trim="-").replace("0.", ".", 1)


def lead_of(pair: Pair) -> str:
    """Return by how much `a` is better, such as ``.021``."""
    return number(pair.better_by, _step(pair))


def interval_of(pair: Pair) -> str:
    """Return the interval of a difference, such as ``.015 to .027``."""
    return span(pair.low, pair.high, _step(pair))


def interval_alone(pair: Pair) -> str:
    """Return the interval where the difference itself is not said, with two digits of its end."""
    end = max(abs(pair.low), abs(pair.high))
    if end < 1e-6:
        return "by less than .000001"
    return span(pair.low, pair.high, step_of_difference(end, end, end))


def two_digits(value: float) -> str:
    """Return a number with two digits that count, such as ``.021``."""
    return number(value, step_of_difference(value, value, value))


def _step(pair: Pair) -> float:
    return step_of_difference(pair.better_by, pair.low, pair.high)
