"""Put numbers, names and reasons into words for reports."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from scale_eval.evaluation.reasons import CONDITIONS, FIGURES, sentence_of
from scale_eval.planning.metric_names import metric_label as metric_label

_SHARES = (
    (0.10, "a tenth"),
    (0.20, "a fifth"),
    (0.25, "a quarter"),
    (1 / 3, "a third"),
    (0.5, "a half"),
    (2 / 3, "two thirds"),
    (0.75, "three quarters"),
    (1.0, "as much again"),
)

NEGLIGIBLE = 1e-6
"""Size below which a difference is shown as 0."""

_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def number(value: float, step: float = 0.001) -> str:
    """Return a number with as many decimals as `step`, as ``.021``: no leading zero, no -.000.

    From 1,000 on it has no decimals, and commas.
    """
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    decimals = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def step_of_difference(value: float, low: float = np.nan, high: float = np.nan) -> float:
    """Return the step in which a difference and the ends of its interval are shown.

    Of the value and half the interval the larger has two digits: what is finer is noise. There are
    more where an end would otherwise look the same as the value.

    Parameters
    ----------
    low, high : float
        Ends of the interval; NaN where there is none.
    """
    half = (high - low) / 2 if np.isfinite(low) and np.isfinite(high) else 0.0
    step = 0.001
    if abs(value) > NEGLIGIBLE:
        step = _step(value, digits=2)
    elif half > NEGLIGIBLE:
        step = _step(half, digits=2)
    if not half > NEGLIGIBLE:
        return max(step, NEGLIGIBLE)
    return interval_step(value, low, high, max(step, _step(half, digits=2), NEGLIGIBLE))


def interval_step(value: float, low: float, high: float, step: float) -> float:
    """Return `step`, or a smaller one in which both ends of the interval differ from the value."""
    half = (high - low) / 2
    ends = [end for end in (low, high) if end != value]  # an end can be the metric's own bound
    if not half > NEGLIGIBLE:
        return step
    finest = max(_step(half, digits=3), NEGLIGIBLE)
    while step > 1.5 * finest and number(value, step) in [number(end, step) for end in ends]:
        step /= 10
    return step


def _step(value: float, *, digits: int) -> float:
    """Return the step that shows so many digits of a value that is not 0."""
    return float(10 ** (np.floor(np.log10(abs(value))) + 1 - digits))


def span(low: float, high: float, step: float = 0.001) -> str:
    """Return a range such as ``.015 to .027``."""
    return f"{number(low, step)} to {number(high, step)}"


def step_apart(values: Iterable[float], step: float = 0.001) -> float:
    """Return `step`, or a smaller one down to a hundredth of it, in which values do not look alike.

    It is the largest in which no two look alike that would not in a hundredth of `step`.
    """
    known = [value for value in values if np.isfinite(value)]
    steps = [step, step / 10, step / 100]
    n_shown = [len({number(value, at) for value in known}) for at in steps]
    return steps[n_shown.index(max(n_shown))]


def share(value: float) -> str:
    """Return a relative difference in words: ``a fifth`` for .2, or else ``13 %``."""
    nearest = min(_SHARES, key=lambda named: abs(np.log(value / named[0])))
    return nearest[1] if abs(value / nearest[0] - 1) <= 0.06 else f"{100 * value:.0f} %"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return a counted noun, such as ``three companies`` or ``1,204 companies``."""
    text = _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"
    return f"{text} {noun if n == 1 else plural or noun + 's'}"


def companies(n: int) -> str:
    """Return a number of companies, such as ``three companies``."""
    return count(n, "company", "companies")


def part_of_companies(n: int, total: int) -> str:
    """Return a part of companies, such as ``two of three companies`` or ``9 of 60 companies``."""
    return f"{_NUMBERS[n] if total < len(_NUMBERS) else f'{n:,}'} of {companies(total)}"


def listed(names: list[str], last: str = "and", most: int | None = 3) -> str:
    """Return names as a list in words: ``a, b and c``, or ``a, b, c and eight others``.

    `most` names are given and the others counted, unless it is a single one; None gives all.
    """
    if most is not None and len(names) > most + 1:
        others = count(len(names) - most, "other")
        names = [*names[:most], f"one of {others}" if last == "or" else others]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def percent(value: float) -> str:
    """Return a share in percent; one that is nearly 0 or 1 is never rounded to 0 or 100 %."""
    if 0.995 <= value < 1:
        return "more than 99 %"
    if 0 < value < 0.005:
        return "less than 1 %"
    return f"{100 * value:.0f} %"


def chance(probability: float) -> str:
    """Return a probability in percent, never 0 or 100 %."""
    return percent(min(max(probability, 1e-9), 1 - 1e-9))


def percent_with_interval(value: float, low: float, high: float) -> str:
    """Return a share with its interval, as ``19 % (14 to 23 %)``; NaN ends are left out."""
    step = step_of_difference(100 * value, 100 * low, 100 * high)
    decimals = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
    text = f"{100 * value:.{decimals}f} %"
    if np.isnan(low):
        return text
    return f"{text} ({100 * low:.{decimals}f} to {100 * high:.{decimals}f} %)"


def flattered(models: list[str]) -> list[str]:
    """Return a sentence on the first of models, the best first; none where it is the only one."""
    if len(models) < 2:
        return []
    return [
        f"{models[0]} was picked as the best of {count(len(models), 'model')} on these data, which "
        "flatters its figures: expect somewhat less of it."
    ]


def reason(code: str, reasons: dict[str, str] = FIGURES) -> str:
    """Return the sentence of a reason that a table gives."""
    return sentence_of(code, reasons)


def condition_of(row: pd.Series) -> str:
    """Return what must be true for the interval of a row to hold, to follow "if"; "" if nothing."""
    return CONDITIONS.get(str(row.get("ci_condition") or ""), "")


def figure_with_interval(row: pd.Series, step: float = 0.001) -> str:
    """Return the value of a row with its interval in brackets, or why it is undefined.

    The step is smaller than `step` where an end would otherwise look the same as the value.
    """
    value, low, high = row["value"], row["ci_low"], row["ci_high"]
    if pd.isna(value):
        return reason(str(row["reason"] or ""))
    if not high - low > NEGLIGIBLE:  # null, or the figure of a model against itself
        return number(value, step)
    step = interval_step(value, low, high, step)
    return f"{number(value, step)} ({span(low, high, step)})"


def difference_with_interval(value: float, low: float, high: float) -> str:
    """Return a difference with its interval, as ``.021 (.015 to .027)``.

    There is no interval where its ends are NaN, or no further apart than `NEGLIGIBLE`.
    """
    step = step_of_difference(value, low, high)
    if not high - low > 2 * NEGLIGIBLE:
        return number(value, step)
    return f"{number(value, step)} ({span(low, high, step)})"


def interval_or_nothing(low: float, high: float, step: float) -> str:
    """Return `span`, or "" where an end is null."""
    return "" if np.isnan(low) or np.isnan(high) else span(low, high, step)


def p_value(value: float) -> str:
    """Return a p value with three decimals, ``< .001`` below."""
    return "< .001" if value < 0.001 else number(value)


def why_no_effects(row: pd.Series) -> str:
    """Return why a row of `pooled` has no random effects."""
    if row["n_heterogeneity"] == 0 and row["std"] == 0:
        return "the same everywhere"
    return reason(str(row["heterogeneity_reason"] or ""))
