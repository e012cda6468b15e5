"""Write the headline of a verdict: the model to choose, or why none is named."""

from __future__ import annotations

import numpy as np

from scale_eval.models import BASELINES
from scale_eval.report.findings import PRIMARY, Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.phrases import (
    MIN_FOR_THE_NEXT,
    interval_alone,
    interval_of,
    lead_of,
    margin_of,
)
from scale_eval.report.wording import (
    companies,
    listed,
    metric_label,
    number,
    percent,
    span,
    step_of_difference,
)


def headline(findings: Findings) -> tuple[str, str | None, str]:
    """Return the kind of verdict, the chosen model or None, and the sentence that says so."""
    best, *others = findings.models
    n = findings.n_companies
    loss = number(findings.figure(PRIMARY, best)["value"])
    if not others:
        return "alone", None, f"Only {best} made predictions: log loss {loss} at {_average(n)}."
    pair = findings.pair(PRIMARY, best, others[0])
    if pair is None:
        return "unknown", None, f"{best} and {others[0]} have no company in common."
    if n < MIN_FOR_THE_NEXT:
        return _few_companies(findings, pair)
    if best in BASELINES and all(_surely(findings, best, other) for other in others):
        return (
            "baseline",
            best,
            f"No model beats {_baseline(best)}: {_difference(pair)}. Deploy {best}, or nothing.",
        )
    near = [other for other in others if not _surely(findings, best, other)]
    if not near:
        return "winner", best, f"Choose {best} over {others[0]}: {_difference(pair)}."
    rivals = [pair for other in near if (pair := findings.pair(PRIMARY, best, other))]
    undecided = [rival for rival in rivals if not rival.equivalent and not rival.low > 0]
    if undecided:
        rival = undecided[0]
        names = listed([best, *(pair.b for pair in undecided)], "or")
        return (
            "unknown",
            None,
            f"It is not known whether {names} is better: against {rival.b}, {_difference(rival)}. "
            f"{_to_settle(rival)}",
        )
    equal = [rival for rival in rivals if rival.equivalent]
    if equal:
        rival = equal[-1]
        return (
            "equal",
            None,
            f"{listed([best, *(pair.b for pair in equal)])} are equal for any practical purpose: "
            f"their log losses at {_average(n)} differ by less than the margin of "
            f"{margin_of(rival)} ({interval_alone(rival)}). Take the one that is cheaper to run.",
        )
    rival = rivals[0]
    return (
        "small",
        best,
        f"{best} is better than {rival.b}, but hardly by what matters: {_difference(rival)}; "
        f"the margin is {margin_of(rival)}.",
    )


def _few_companies(findings: Findings, pair: Pair) -> tuple[str, str | None, str]:
    n = findings.n_companies
    those = "this one company" if n == 1 else f"these {companies(n)}"
    here = f"At {those}, in these {findings.window}s,"
    low, high = pair.by_chance()
    step = step_of_difference(pair.better_by, low, high)
    difference = f"log loss lower by {number(pair.better_by, step)}"
    chance = f"with other customers of theirs, {span(low, high, step)}"
    wins = f"; better at {pair.wins} of {pair.n}" if n > 1 else ""
    if low > 0 and pair.better_by > pair.margin:
        return (
            "winner_here",
            pair.a,
            f"{here} {pair.a} was better than {pair.b}: {difference} ({chance}){wins}.",
        )
    return (
        "unknown",
        None,
        f"{here} {pair.a} and {pair.b} cannot be told apart: {difference} ({chance}){wins}.",
    )


def _surely(findings: Findings, best: str, other: str) -> bool:
    pair = findings.pair(PRIMARY, best, other)
    return pair is None or pair.surely_better


def _difference(pair: Pair) -> str:
    better = f"better at {percent(pair.wins / pair.n)} of {companies(pair.n)}"
    if pair.ties:
        better += f", no worse at {percent((pair.wins + pair.ties) / pair.n)}"
    return (
        f"{metric_label(pair.metric)} lower by {lead_of(pair)} "
        f"({interval_of(pair)}) at the average company; {better}"
    )


def _to_settle(pair: Pair) -> str:
    """Say how many companies would make the interval leave out 0 or lie inside the margin."""
    half = (pair.high - pair.low) / 2
    wanted = max(abs(pair.better_by), pair.margin - abs(pair.better_by))
    needed = pair.n * (half / wanted) ** 2 if wanted else np.inf
    if not np.isfinite(needed) or needed > 1e6:
        return "More companies of this kind would hardly settle it."
    if needed <= pair.n:
        return "A few more companies would settle it."
    return f"About {_rounded(needed)} companies would settle it."


def _rounded(n: float) -> str:
    digits = int(np.floor(np.log10(max(n, 1))))
    return f"{int(np.ceil(n / 10 ** max(digits - 1, 0)) * 10 ** max(digits - 1, 0)):,}"


def _average(n: int) -> str:
    return f"the average of {companies(n)}" if n > 1 else "one company"


def _baseline(model: str) -> str:
    if model == "base_rate":
        return "the base rate that was known at the cutoff"
    return f"the baseline {model}"
