"""Write the headline of a verdict: the model to choose, or why none is named."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.models import BASELINES
from scale_eval.report.findings import Findings
from scale_eval.report.nothing_to_judge import nothing_to_judge
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.disagreement import (
    BADLY,
    ONE_A_COMPANY,
    Names,
    alike_singly,
    differ_singly,
    next_leans_to_other,
    other_favoured,
    seems_to_favour_other,
    single_companies,
)
from scale_eval.report.verdict.identical import distinct_models
from scale_eval.report.verdict.phrases import (
    MIN_FOR_THE_NEXT,
    better_figure,
    interval_alone,
    interval_of,
    lead_of,
    margin_of,
    two_digits,
)
from scale_eval.report.verdict.power import to_settle
from scale_eval.report.wording import (
    companies,
    listed,
    metric_label,
    number,
    percent,
    span,
    step_of_difference,
)


class Headline(NamedTuple):
    """The kind of verdict, the chosen model or None, the sentence, and the rival it compares."""

    kind: str
    choice: str | None
    sentence: str
    rival: str = ""


def headline(findings: Findings) -> Headline:
    """Return what the evidence says, in one sentence or two."""
    why_not = nothing_to_judge(findings)
    if why_not:
        return Headline("none", None, f"The models cannot be judged: {why_not}.")
    distinct = distinct_models(findings)
    best, *others = distinct
    names = {model: _with_identical(model, same) for model, same in distinct.items()}
    if not others:
        return _alone(findings, best, distinct[best])
    pairs = [pair for other in others if (pair := findings.pair(findings.primary, best, other))]
    if not pairs:
        sentence = f"{names[best]} and {names[others[0]]} have no company in common."
        return Headline("unknown", None, sentence)
    if findings.n_companies < MIN_FOR_THE_NEXT:
        return _few_companies(findings, pairs, names)
    for pair in pairs:
        other = other_favoured(findings, pair, names)
        if other is not None:
            return Headline("split", None, other, pair.b)
    near = [pair for pair in pairs if not pair.surely_better]
    if not near:
        return _winner(findings, pairs[0], names)
    undecided = [pair for pair in near if not pair.equivalent and not pair.low > 0]
    if undecided:
        return _unknown(findings, undecided, names)
    equal = [pair for pair in near if pair.equivalent]
    if equal:
        return _equal(findings, equal, names)
    return _small(findings, near[0], names)


def _alone(findings: Findings, model: str, identical: list[str]) -> Headline:
    n = findings.n_companies
    if identical:
        where = f"each of {companies(n)}" if n > 1 else "the one company"
        return Headline(
            "identical",
            None,
            f"{listed([model, *identical])} are identical: the same predictions score the same at "
            f"{where}.",
        )
    value = number(findings.figure(findings.primary, model)["value"])
    figure = f"{metric_label(findings.primary)} {value} at {_average(n)}"
    return Headline("alone", None, f"Only {model} made predictions: {figure}.")


def _winner(findings: Findings, pair: Pair, names: Names) -> Headline:
    difference = _difference(findings, pair) + next_leans_to_other(pair)
    if pair.a in BASELINES:
        baseline = "the base rate that was known at the cutoff"
        if pair.a != "base_rate":
            baseline = f"the baseline {names[pair.a]}"
        sentence = f"No model beats {baseline}: {difference}. Deploy {names[pair.a]}, or nothing."
        return Headline("baseline", pair.a, sentence, pair.b)
    sentence = f"Choose {names[pair.a]} over {names[pair.b]}: {difference}."
    return Headline("winner", pair.a, sentence, pair.b)


def _unknown(findings: Findings, undecided: list[Pair], names: Names) -> Headline:
    rival = undecided[0]
    models = [names[rival.a], *(names[pair.b] for pair in undecided)]
    return Headline(
        "unknown",
        None,
        f"It is not known whether {listed(models, 'or')} is better: against "
        f"{rival.b}, {_difference(findings, rival)}. {to_settle(rival, findings.sample)}",
        rival.b,
    )


def _equal(findings: Findings, equal: list[Pair], names: Names) -> Headline:
    """Say that models are equal: at each company, or on average only."""
    unlike = [pair for pair in equal if not alike_singly(pair)]
    shown = unlike or equal
    pair = next((pair for pair in unlike if differ_singly(pair)), shown[-1])
    models = listed([names[pair.a], *(names[pair.b] for pair in shown)])
    mean = (
        f"their {metric_label(pair.metric)} at {_average(findings.n_companies)} differs by less "
        f"than the margin of {margin_of(pair)} ({interval_alone(pair)})"
    )
    cheaper = "Take the one that is cheaper to run"
    if not unlike:
        sentence = f"{models} are equal for any practical purpose: {mean}. {cheaper}."
        return Headline("equal", None, sentence, pair.b)
    singly = single_companies(pair)
    where, advice = ", not at each company", "One model a company may pay."
    if not differ_singly(pair):
        where = ", perhaps not at each company"
        advice = f"{cheaper}, unless single companies matter: one model a company may pay."
    return Headline(
        "equal_on_average",
        None,
        f"{models} are equal on average{where}: {mean}, but {singly}. {advice}",
        pair.b,
    )


def _small(findings: Findings, pair: Pair, names: Names) -> Headline:
    matters, singly = "hardly by what matters", ""
    if not alike_singly(pair):
        matters += " on average"
        singly = f"; {single_companies(pair)}"
    return Headline(
        "small",
        pair.a,
        f"{names[pair.a]} is better than {names[pair.b]}, but {matters}: "
        f"{_difference(findings, pair)}; the margin is {margin_of(pair)}{singly}.",
        pair.b,
    )


def _few_companies(findings: Findings, pairs: list[Pair], names: Names) -> Headline:
    """Compare with the customers' chance only: too few companies to speak of others."""
    n = findings.n_companies
    those = "this one company" if n == 1 else f"these {companies(n)}"
    here = f"At {those}, in these {findings.window}s,"
    for pair in pairs:
        if _better_by_chance(pair) and pair.losses > pair.wins:
            sentence = (
                f"{here} {names[pair.b]} was better at {pair.losses} of {pair.n}, by "
                f"{two_digits(pair.loss_by)}, but {names[pair.a]} on average: "
                f"{_difference_by_chance(findings, pair)}. {ONE_A_COMPANY}"
            )
            return Headline("split", None, sentence, pair.b)
    pair = pairs[0]
    a, b, difference = names[pair.a], names[pair.b], _difference_by_chance(findings, pair)
    if n > 1:
        difference += f"; better at {pair.wins} of {pair.n}"
        if pair.losses > pair.wins:
            difference += f", worse at {pair.losses}"
    low, high = pair.by_chance()
    less = f"by less than the margin of {margin_of(pair)}"
    if _better_by_chance(pair):
        return Headline(
            "winner_here", pair.a, f"{here} {a} was better than {b}: {difference}.", pair.b
        )
    if low > 0:
        sentence = f"{here} {a} was better than {b}, but {less}: {difference}."
        return Headline("small", pair.a, sentence, pair.b)
    if max(-low, high) < pair.margin:
        return Headline("equal", None, f"{here} {a} and {b} differ {less}: {difference}.", pair.b)
    sentence = f"{here} {a} and {b} cannot be told apart: {difference}."
    return Headline("unknown", None, sentence, pair.b)


def _better_by_chance(pair: Pair) -> bool:
    """Return whether `a` is better at these companies, whichever customers they had."""
    return bool(pair.by_chance()[0] > 0 and pair.better_by > pair.margin)


def _difference_by_chance(findings: Findings, pair: Pair) -> str:
    low, high = pair.by_chance()
    step = step_of_difference(pair.better_by, low, high)
    chances = f" (with other customers of theirs, {span(low, high, step)})"
    if np.isnan(low):
        chances = " (how far by chance among their customers is not known)"
    return f"{better_figure(findings, pair)} by {number(pair.better_by, step)}{chances}"


def _difference(findings: Findings, pair: Pair) -> str:
    """Return the mean difference with its interval, and at how many companies it is one."""
    better = f"better at {percent(pair.wins / pair.n)} of {companies(pair.n)}"
    if pair.losses and (pair.losses > pair.wins or pair.loss_by >= BADLY * pair.win_by):
        better += f", worse at {percent(pair.losses / pair.n)} by {two_digits(pair.loss_by)}"
        if findings.sample is None and seems_to_favour_other(pair):
            better += ", as chance has it where buyers are few"
    elif pair.ties:
        better += f", within the margin at {percent(pair.ties / pair.n)}"
    return (
        f"{better_figure(findings, pair)} by {lead_of(pair)} ({interval_of(pair)}) at the "
        f"average company; {better}"
    )


def _with_identical(model: str, identical: list[str]) -> str:
    """Return the name of a model with those of the models that are identical to it."""
    return f"{model} (identical to {listed(identical)})" if identical else model


def _average(n: int) -> str:
    return f"the average of {companies(n)}" if n > 1 else "one company"
