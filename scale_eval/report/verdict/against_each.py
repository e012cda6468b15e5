"""Compare the leader with every serious rival, not only with the one next to it.

"Better at 3 of 3 companies" says little as long as it does not say against whom. The rival that is
next by the mean is often the base rate, or a model that is close on average and ahead at half of
the companies.
"""

from __future__ import annotations

from collections.abc import Iterator

from scale_eval.models import BASELINES
from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.identical import distinct_models
from scale_eval.report.verdict.phrases import (
    MIN_FOR_THE_NEXT,
    better_figure,
    interval_alone,
    margin_of,
    reach,
    two_digits,
)
from scale_eval.report.wording import (
    companies,
    difference_with_interval,
    listed,
    part_of_companies,
    percent,
)

MOST_RIVALS = 4
"""Largest number of rivals that have half a sentence of their own."""

MOST_NAMED = 3
"""Largest number of companies that are named for a rival."""


def against_each(findings: Findings, best: str, told: str) -> Iterator[str]:
    """Compare the leader with each serious rival; `told` is the one that the headline names.

    Not serious is a baseline without parameters that is surely worse.
    """
    others = [model for model in distinct_models(findings) if model not in (best, told)]
    pairs = [pair for m in others if (pair := findings.pair(findings.primary, best, m))]
    serious = [p for p in pairs if p.b not in BASELINES or not reach(findings, p)[0] > 0]
    for pair in serious[:MOST_RIVALS]:
        yield f"Against {pair.b}: {_comparison(findings, pair)}."
    rest = [pair.b for pair in [*serious[MOST_RIVALS:], *(p for p in pairs if p not in serious)]]
    sure = [pair.b for pair in pairs if pair.b in rest and reach(findings, pair)[0] > 0]
    if sure:
        yield f"{best} is surely better than {listed(sure, most=None)} too."
    left = [model for model in rest if model not in sure]
    if left:
        yield f"Not shown to be worse than {best}: {listed(left, most=None)}."


def _comparison(findings: Findings, pair: Pair) -> str:
    """Return by how much the leader is better or worse, how surely, and at how many companies."""
    low, high = reach(findings, pair)
    few = findings.n_companies < MIN_FOR_THE_NEXT
    if pair.equivalent and not few:
        size = f"they differ by less than the margin of {margin_of(pair)} ({interval_alone(pair)})"
    else:
        ends = difference_with_interval(abs(pair.better_by), *_ends(pair.better_by, low, high))
        worse = "" if pair.better_by >= 0 else "not "
        size = f"{better_figure(findings, pair)} by {ends}"
        if worse:
            size = f"{pair.b} is ahead by {ends}"
        if few and ends.endswith(")"):
            size = f"{size[:-1]} with other customers of theirs)"
        if not (low > 0 or high < 0):
            size += ", which is not beyond doubt"
        elif abs(pair.better_by) <= pair.margin:
            size += f", less than the margin of {margin_of(pair)}"
    return f"{size}; {_where(findings, pair)}"


def _ends(value: float, low: float, high: float) -> tuple[float, float]:
    return (low, high) if value >= 0 else (-high, -low)


def _where(findings: Findings, pair: Pair) -> str:
    """Say at how many companies the leader is better, and name those where it is worse."""
    if pair.n == 1:
        return "at the one company that there is"
    few = findings.n_companies <= MOST_COMPANIES
    if few:
        text = f"better at {part_of_companies(pair.wins, pair.n)}"
    else:
        text = f"better at {percent(pair.wins / pair.n)} of {companies(pair.n)}"
    if pair.losses:
        at = f"{pair.losses}" if few else percent(pair.losses / pair.n)
        text += f", worse at {at}"
        text += f" ({_named(findings, pair)})" if few else f" by {two_digits(pair.loss_by)}"
    if pair.ties:
        at = f"{pair.ties}" if few else percent(pair.ties / pair.n)
        text += f", within the margin at {at}"
    return text


def _named(findings: Findings, pair: Pair) -> str:
    """Name the companies where the rival is better, and by how much."""
    apart = findings.company_differences(pair.b, pair.a)
    worse = apart[apart["better_by"] > pair.margin].sort_values("better_by", ascending=False)
    named = [
        f"{row.Index} by {two_digits(row.better_by)}" + ("" if row.low > 0 else ", perhaps chance")
        for row in worse.head(MOST_NAMED).itertuples()
    ]
    if len(worse) > MOST_NAMED:
        named.append(f"{len(worse) - MOST_NAMED} more")
    return "; ".join(named)
