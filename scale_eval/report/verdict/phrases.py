"""Phrases that several sentences of a verdict share."""

from __future__ import annotations

import numpy as np

from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.wording import (
    NEGLIGIBLE,
    difference_with_interval,
    interval_step,
    metric_label,
    number,
    part_of_companies,
    span,
    step_of_difference,
)

MIN_FOR_THE_NEXT = 5
"""Smallest number of companies for a sentence about companies that were not evaluated."""


def margin_of(pair: Pair) -> str:
    """Return the margin of a comparison with two digits, such as ``.002`` or ``.0033``."""
    rounded = float(f"{pair.margin:.2g}")
    return np.format_float_positional(rounded, trim="-").replace("0.", ".", 1)


def better_figure(findings: Findings, pair: Pair) -> str:
    """Return what is better about a model, such as ``log loss lower`` or ``AUC higher``."""
    return f"{metric_label(pair.metric)} {findings.direction(pair.metric)}"


def lead_of(pair: Pair) -> str:
    """Return by how much `a` is better, such as ``.021``."""
    return number(pair.better_by, _step(pair))


def interval_of(pair: Pair) -> str:
    """Return the interval of a difference, such as ``.015 to .027``."""
    return span(pair.low, pair.high, _step(pair))


def difference_of(pair: Pair) -> str:
    """Return a difference with its interval, such as ``.021 (.015 to .027)``."""
    return difference_with_interval(pair.better_by, pair.low, pair.high)


def interval_alone(pair: Pair) -> str:
    """Return the interval where the difference itself is not said, with two digits of its end."""
    end = max(abs(pair.low), abs(pair.high))
    if end < NEGLIGIBLE:
        return "by less than .000001"
    step = interval_step(pair.low, pair.low, pair.high, step_of_difference(end))
    return span(pair.low, pair.high, step)


def two_digits(value: float) -> str:
    """Return a number with two digits that count, such as ``.021``."""
    return number(value, step_of_difference(value))


def at_part(findings: Findings, n: int) -> str:
    """Return at how many companies a figure is known, where these are not all; else ""."""
    total = findings.n_companies
    return f" at {part_of_companies(n, total)}" if 0 < n < total else ""


def reach(findings: Findings, pair: Pair) -> tuple[float, float]:
    """Return the interval that decides whether a difference is sure.

    With too few companies to speak of others, it is that of chance among their customers.
    """
    few = findings.n_companies < MIN_FOR_THE_NEXT
    return pair.by_chance() if few else (pair.low, pair.high)


def _step(pair: Pair) -> float:
    return step_of_difference(pair.better_by, pair.low, pair.high)
