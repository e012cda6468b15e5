"""Say how many companies would settle a comparison that is not settled yet."""

from __future__ import annotations

import numpy as np

from scale_eval.report.pair import Pair
from scale_eval.report.wording import percent
from scale_eval.statistics.power import companies_to_settle
from scale_eval.statistics.undefined import Undefined

LESS_SURE, PROBABLE, SURER = 0.5, 0.8, 0.95
"""The probabilities of settling it for which numbers of companies are said."""

FEW_MORE = 0.1
"""Companies to add, as a share of those that were evaluated, that are called a few."""

TOO_MANY = 1e6
"""The number of companies above which nobody would evaluate so many."""


def to_settle(pair: Pair, sample: tuple[int, int] | None = None) -> str:
    """Say how many companies would settle a comparison, in one sentence.

    A comparison is settled where its interval leaves out 0, or where the difference is shown to lie
    inside the margin. `sample` has the sizes of the sample and of the population, where the
    interval speaks of a population.
    """
    population = np.inf if sample is None else float(sample[1])
    least, needed, most = (_needed(pair, p, population) for p in (LESS_SURE, PROBABLE, SURER))
    if np.isnan(needed):
        return "How many companies would settle it cannot be said."
    if needed > TOO_MANY:
        return "More companies of this kind would hardly settle it."
    few = (1 + FEW_MORE) * pair.n
    if most <= few:
        return f"A few more companies would settle it with {_chance(SURER)}."
    surer = f"{rounded(most, population)} with {percent(SURER)}"
    if needed <= few:
        return f"A few more companies would settle it with {_chance(PROBABLE)} ({surer})."
    of_all = "" if sample is None else f" of the {sample[1]:,}"
    less_sure = "a few more" if least <= few else rounded(least, population)
    others = f"{less_sure} with {percent(LESS_SURE)}, {surer}"
    return (
        f"About {rounded(needed, population)}{of_all} companies, these {pair.n:,} among them, "
        f"would settle it with {_chance(PROBABLE)} ({others})."
    )


def _needed(pair: Pair, probability: float, population: float) -> float:
    known = pair.better_by, pair.std_error, pair.n, pair.margin
    try:
        return companies_to_settle(*known, probability, population=population)
    except Undefined:
        return np.nan


def _chance(probability: float) -> str:
    return f"a probability of {percent(probability)}"


def rounded(n: float, most: float = np.inf) -> str:
    """Return a number of companies with two digits, rounded up, but not above `most`."""
    if n > TOO_MANY:
        return "over a million"
    step = 10 ** max(int(np.floor(np.log10(n))) - 1, 0)
    return f"{int(min(np.ceil(n / step) * step, most)):,}"
