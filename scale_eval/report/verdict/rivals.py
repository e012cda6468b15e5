"""Weigh the leader against each model that is ahead of it by another measure.

The leader is the best at the average company by the metric that decides. Another model can be ahead
of it over all customers, by a loss, at most companies, at the next company, or at companies of one
size. For each of these questions the model that is furthest ahead is a rival, and so is the one
that is furthest ahead of those that surely are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.calibration import MISCALIBRATED, is_off
from scale_eval.report.verdict.disagreement import (
    FEW,
    more_favour_other,
    next_favours_other,
    other_favoured,
)
from scale_eval.report.verdict.next_company import UNLIKELY
from scale_eval.report.verdict.phrases import (
    MIN_FOR_THE_NEXT,
    at_part,
    difference_of,
    lead_of,
    reach,
)
from scale_eval.report.wording import chance, companies, listed, metric_label, number, percent

MOST_RIVALS = 4
"""Largest number of rivals that have a sentence of their own; the others are named together."""

METRICS_BESIDE = ("log_loss", "brier_score")
"""Losses by which a rival can be ahead, beside the metric that decides."""


@dataclass(frozen=True)
class Advantage:
    """Something that a rival is better at than the leader.

    Attributes
    ----------
    rival : str
    words : str
        Half a sentence about the rival, "it".
    ahead : float
        By how much, to find the rival that is furthest ahead.
    sure : bool
        Whether it is beyond doubt.
    advice : str
        What follows where it is sure; "" where nothing does.
    """

    rival: str
    words: str
    ahead: float
    sure: bool
    advice: str = ""

    @property
    def sentence_part(self) -> str:
        """Return the words, with the advice where it is sure."""
        return f"{self.words}, {self.advice}" if self.sure and self.advice else self.words


def rivals(findings: Findings, best: str, kind: str = "winner") -> Iterator[str]:
    """Write one sentence for each rival, with all that speaks for it.

    `kind` is that of the verdict: what a headline says of a rival is not said again.
    """
    found: dict[str, list[Advantage]] = {}
    for question in _questions(findings, best, _in_headline(findings, best, kind)):
        for advantage in _furthest(question):
            found.setdefault(advantage.rival, []).append(advantage)
    surest = sorted(
        found, key=lambda m: (not any(a.sure for a in found[m]), findings.models.index(m))
    )
    for rival in surest[:MOST_RIVALS]:
        yield _sentence(rival, best, found[rival])
    rest = surest[MOST_RIVALS:]
    if rest:
        yield f"By one measure or another {listed(rest)} {_are(rest)} ahead of {best} as well."


def _sentence(rival: str, best: str, advantages: list[Advantage]) -> str:
    sure = "; ".join(a.sentence_part for a in advantages if a.sure)
    unsure = "; ".join(a.words for a in advantages if not a.sure)
    if not sure:
        return f"In favour of {rival} over {best}, though not beyond doubt: {unsure}."
    more = f"; though not beyond doubt, {unsure}" if unsure else ""
    return f"In favour of {rival} over {best}: {sure}{more}."


def _are(models: list[str]) -> str:
    return "is" if len(models) == 1 else "are"


def _furthest(question: list[Advantage]) -> list[Advantage]:
    """Return the advantage of the model that is furthest ahead, and of the surest one."""
    by_lead = sorted(question, key=lambda a: -a.ahead)
    return list(dict.fromkeys([*by_lead[:1], *[a for a in by_lead if a.sure][:1]]))


def _in_headline(findings: Findings, best: str, kind: str) -> str:
    """Return the rival that more companies, or the next one, favour by the headline; else ""."""
    if kind != "split":
        return ""
    names = {model: model for model in findings.models}
    pairs = (findings.pair(findings.primary, best, m) for m in findings.models if m != best)
    favoured = (pair.b for pair in pairs if pair and other_favoured(findings, pair, names))
    return next(favoured, "")


def _questions(findings: Findings, best: str, told: str) -> Iterator[list[Advantage]]:
    """Yield, for each question, what the models that are ahead of the leader there have on it.

    Of the model `told`, numbers of companies and the next company are in the headline.
    """
    others = [model for model in findings.models if model != best]

    def pairs(metric: str, estimand: str = "equal_company", stratum: str = "all") -> list[Pair]:
        found = (findings.pair(metric, m, best, estimand, stratum) for m in others)
        return [pair for pair in found if pair is not None and pair.better_by > pair.margin]

    def ask(pairs: list[Pair], advantage: Callable[[Pair], Advantage | None]) -> list[Advantage]:
        return [found for pair in pairs if (found := advantage(pair)) is not None]

    yield ask(pairs(findings.primary, "row"), lambda pair: _over_all_customers(findings, pair))
    for metric in METRICS_BESIDE:
        if metric != findings.primary:
            yield ask(pairs(metric), lambda pair: _by_another_loss(findings, pair))
    rated = [model for model in others if model != "base_rate"]  # it says one thing of everybody
    yield [a for model in rated if (a := _nearer_to_expected(findings, model, best)) is not None]
    if findings.n_companies >= MIN_FOR_THE_NEXT and findings.sample is None:
        # Shares of companies in a sample, of which more are large, say nothing of all companies.
        compared = [
            pair for m in others if m != told and (pair := findings.pair(findings.primary, best, m))
        ]
        yield ask(compared, lambda pair: _at_most_companies(findings, pair))
        yield ask(compared, _at_the_next_company)
    for stratum in findings.strata:
        there = pairs(findings.primary, stratum=stratum)
        yield [
            _at_this_size(findings, pair, stratum) for pair in there if pair.n >= MIN_FOR_THE_NEXT
        ]


def _over_all_customers(findings: Findings, pair: Pair) -> Advantage:
    condition = f", if {pair.condition}" if pair.condition else ""
    large = "companies" if findings.n_companies > 1 else f"{findings.window}s"
    return Advantage(
        pair.a,
        f"over all customers pooled, where large {large} count by their size, its "
        f"{metric_label(pair.metric)} is {findings.direction(pair.metric)} by "
        f"{difference_of(pair)}{condition}",
        pair.better_by,
        bool(reach(findings, pair)[0] > 0),
    )


def _by_another_loss(findings: Findings, pair: Pair) -> Advantage:
    few = findings.n_companies < MIN_FOR_THE_NEXT
    by = lead_of(pair) if few else difference_of(pair)
    by += at_part(findings, pair.n)
    words = f"its {metric_label(pair.metric)} is lower by {by}"
    return Advantage(pair.a, words, pair.better_by, bool(reach(findings, pair)[0] > 0))


def _nearer_to_expected(findings: Findings, model: str, best: str) -> Advantage | None:
    """Compare observed over expected, where the leader's is shown to be off."""
    rows = [findings.figure("observed_expected_ratio", m) for m in (model, best)]
    if not is_off(rows[1], 1.0) or any(pd.isna(row["value"]) or row["value"] <= 0 for row in rows):
        return None
    mine, its = (abs(np.log(row["value"])) for row in rows)
    if its - mine <= MISCALIBRATED:
        return None
    own_ends = np.log(rows[0][["ci_low", "ci_high"]].to_numpy(dtype=float))
    leader_ends = np.log(rows[1][["ci_low", "ci_high"]].to_numpy(dtype=float))
    sure = bool(np.abs(own_ends).max() < np.abs(leader_ends).min())
    values = [number(row["value"], 0.01) for row in rows]
    words = f"its observed over expected is nearer to 1 ({values[0]} against {values[1]})"
    return Advantage(model, words, its - mine, sure)


def _at_most_companies(findings: Findings, pair: Pair) -> Advantage | None:
    """Compare numbers of companies, `pair.b` being the rival; chance can hand out most of them."""
    if pair.losses <= max(pair.wins, FEW * pair.n):
        return None
    sure = more_favour_other(findings, pair)
    words = (
        f"it was better at {percent(pair.losses / pair.n)} of {companies(pair.n)}, and worse at "
        f"{percent(pair.wins / pair.n)}"
    )
    if not sure and pair.sampling_std_error**2 > 0.5 * pair.std_error**2:
        words += ", though at single companies that is mostly chance"
    return Advantage(pair.b, words, (pair.losses - pair.wins) / pair.n, sure)


def _at_the_next_company(pair: Pair) -> Advantage | None:
    """Compare the probabilities of being truly better, `pair.b` being the rival."""
    better, worse = pair.p_worse_by_margin, pair.p_better_by_margin
    if not (pair.p_better < 0.5 and better > max(worse, UNLIKELY)):
        return None
    p = 1 - pair.p_better
    words = f"it is truly better at the next company with a probability of {chance(p)}"
    return Advantage(pair.b, words, p, next_favours_other(pair))


def _at_this_size(findings: Findings, pair: Pair, stratum: str) -> Advantage:
    words = (
        f"at the {companies(pair.n)} of {stratum} its {metric_label(pair.metric)} is "
        f"{findings.direction(pair.metric)} by {difference_of(pair)}"
    )
    sure = bool(pair.low > 0 and not pair.mean_p_adjusted > 0.05)  # of all pairs of models there
    return Advantage(pair.a, words, pair.better_by, sure, "so choose it there")
