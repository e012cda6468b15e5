"""Find where the mean over companies, most companies, and the next company favour different models.

A model that is a little worse at most companies and far better at a few has the lower mean loss.
Which of the two is better then depends on the question, and the verdict must say so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.phrases import (
    better_figure,
    interval_alone,
    interval_of,
    lead_of,
    margin_of,
    two_digits,
)
from scale_eval.report.wording import chance, companies, part_of_companies, percent
from scale_eval.statistics.proportions import share_misled, sign_test

LEVEL = 0.025
"""One-sided level of the test that more companies favour the other model."""

FEW = 0.1
"""Largest share of companies that are called a few, and counted."""

BADLY = 3.0
"""How many times as large as its lead elsewhere a model's lag is where it fails badly."""

ONE_A_COMPANY = "Which to choose depends on the company: one model a company may pay."

Names = Mapping[str, str]
"""What a sentence calls each model where it names it first."""


def other_favoured(findings: Findings, pair: Pair, names: Names) -> str | None:
    """Say that more companies, or the next one, favour `pair.b`; None where they do not.

    `a` has the lower mean loss. In a run of a sample both shares are of the companies drawn, among
    which large ones are more frequent than among all: they are no evidence against a weighted mean.
    """
    if findings.sample is not None:
        return None
    if more_favour_other(findings, pair):
        return _more(findings, pair, names)
    of_most = 2 * pair.n_heterogeneity >= pair.n
    if next_favours_other(pair) and of_most and not pair.equivalent:
        return _next(findings, pair, names)
    return None


def more_favour_other(findings: Findings, pair: Pair) -> bool:
    """Return whether `b` is better at more companies than `a`, and not by chance.

    The sign test on the companies that differ by more than the margin. Where buyers are few, chance
    itself favours one side: with half a buyer expected most companies have none, and all these
    favour the model that says less. So the share that chance can reach (`share_misled`, averaged
    over companies) is tested, and chance among customers must make less than half of the variance
    over companies: otherwise companies hardly differ, and the mean is true of each.
    """
    if not seems_to_favour_other(pair) or pair.sampling_std_error**2 > 0.5 * pair.std_error**2:
        return False
    share = _share_by_chance(findings, pair.a)
    return sign_test(pair.losses, pair.wins + pair.losses, share) < LEVEL


def seems_to_favour_other(pair: Pair) -> bool:
    """Return whether `b` is better at more companies, by a sign test that takes chance for even."""
    many = pair.losses > FEW * pair.n
    return many and sign_test(pair.losses, pair.wins + pair.losses) < LEVEL


def next_favours_other(pair: Pair) -> bool:
    """Return whether `b` is the likelier one to be better at the next company, and not by chance.

    The probability is about as uncertain as a share of the companies that it rests on. Where the
    mean itself is not known, it must be 90 %: if companies hardly differ, the probability speaks of
    the mean as well, and is any number by chance.
    """
    if np.isnan(pair.p_better):
        return False
    least = 0.5 + 1.645 * 0.5 / np.sqrt(max(pair.n_heterogeneity, 1))
    return bool(1 - pair.p_better > (least if pair.low > 0 else max(least, 0.9)))


def differ_singly(pair: Pair) -> bool:
    """Return whether the next company's true difference is rather beyond the margin than not."""
    return bool(pair.p_better_by_margin + pair.p_worse_by_margin >= 0.5)


def alike_singly(pair: Pair) -> bool:
    """Return whether single companies' true differences were shown to lie within the margin.

    The next company's lies beyond it with a probability of 5 % at most, by at least half of the
    companies. Where it was not predicted, companies' own differences stand for the true ones, from
    which they differ by chance as well: 95 % of them must be ties.
    """
    either = pair.p_better_by_margin + pair.p_worse_by_margin
    if np.isnan(either):
        return pair.wins + pair.losses <= 0.05 * pair.n
    return bool(either <= 0.05 and 2 * pair.n_heterogeneity >= pair.n)


def single_companies(pair: Pair) -> str:
    """Say how likely the next company's true difference is larger than the margin."""
    a, b = pair.a, pair.b
    if np.isnan(pair.p_better_by_margin):
        return (
            f"at single companies they may differ by more: {a} was better by more than that at "
            f"{percent(pair.wins / pair.n)} of them and {b} at {percent(pair.losses / pair.n)}, "
            "chance among their customers included"
        )
    return (
        f"at the next company {a} is better by more than that with a probability of "
        f"{chance(pair.p_better_by_margin)}, and {b} with {chance(pair.p_worse_by_margin)}"
        f"{_by_those(pair)}"
    )


def next_leans_to_other(pair: Pair) -> str:
    """Say that the next company is likelier to favour `b`, where it is; else ""."""
    if not pair.p_better < 0.5:
        return ""
    return (
        f"; yet at the next company {pair.b} is better with a probability of "
        f"{chance(1 - pair.p_better)}{_by_those(pair)}"
    )


def _more(findings: Findings, pair: Pair, names: Names) -> str:
    """Say that `b` is better at more companies, and by how much `a` is better on average."""
    a, b = pair.a, pair.b
    lead = f"{lead_of(pair)} ({interval_of(pair)})"
    more = (
        f"{names[pair.b]} is better at {percent(pair.losses / pair.n)} of {companies(pair.n)} "
        f"({better_figure(findings, pair)} by {two_digits(pair.loss_by)} there)"
    )
    failures = _failures(findings, pair)
    few = 0 < len(failures) <= FEW * pair.n
    fails = bool((failures["worse_by"] > failures["base_rate_worse_by"]).mean() > 0.5)
    if few:
        at = "one" if len(failures) == 1 else f"{len(failures):,}"
        behind = "fails badly at" if fails else "is far behind at"
        more += f" and {behind} {at} (worse by {two_digits(failures['worse_by'].mean())} there)"
    elif pair.wins:
        more += (
            f", and worse at {percent(pair.wins / pair.n)} (worse by {two_digits(pair.win_by)} "
            "there)"
        )
    sure = pair.low > 0 and not pair.equivalent
    if pair.equivalent:
        mean = f"they differ by less than the margin of {margin_of(pair)} ({interval_alone(pair)})"
    elif sure:
        mean = f"{names[pair.a]} is better by {lead}"
    else:
        mean = f"it is not known whether {names[pair.a]} is better, by {lead}"
    if few and fails:
        advice = f"Choose {b} only with a guard against such companies"
        advice += f"; without one, {a}." if sure else "."
    elif few:
        advice = f"Where such companies can be told beforehand, choose {a} for them, else {b}."
    else:
        advice = ONE_A_COMPANY
    return f"{more}. On average {mean}. {advice}"


def _next(findings: Findings, pair: Pair, names: Names) -> str:
    """Say that the next company favours `b`, and by how much `a` is better on average."""
    a, b = names[pair.a], names[pair.b]
    lead = f"by {lead_of(pair)} ({interval_of(pair)})"
    mean = f"On average {a} is better: {better_figure(findings, pair)} {lead}"
    if not pair.low > 0:
        mean = f"On average it is not known whether {a} is better than {b}, {lead}"
    return (
        f"{mean}, but at the next company {b if pair.low > 0 else pair.b} is better with a "
        f"probability of {chance(1 - pair.p_better)}{_by_those(pair)}. {ONE_A_COMPANY}"
    )


def _by_those(pair: Pair) -> str:
    """Say how many companies a prediction rests on, where these are not all."""
    if not 0 < pair.n_heterogeneity < pair.n:
        return ""
    return f" (by {part_of_companies(pair.n_heterogeneity, pair.n)})"


def _failures(findings: Findings, pair: Pair) -> pd.DataFrame:
    """Return by how much `b`, and the base rate, are worse than `a` where `b` is far behind.

    One row a company: where `b` is worse by `BADLY` times what it is better by elsewhere. Companies
    where the two models predicted another number of windows are not compared.
    """
    figure, n = (findings.companies(findings.primary, column) for column in ("mean", "n_defined"))
    loss = figure.apply(lambda values: findings.distance(pair.metric, values))
    worse_by = pd.DataFrame(
        {
            "worse_by": loss[pair.b] - loss[pair.a],
            "base_rate_worse_by": loss.get("base_rate", loss[pair.a]) - loss[pair.a],
        }
    )
    together = n[pair.a] == n[pair.b]
    return worse_by[together & (worse_by["worse_by"] > BADLY * pair.loss_by)]


def _share_by_chance(findings: Findings, model: str) -> float:
    """Return the share of companies at which chance alone can favour the worse model."""
    n_customers, n_cutoffs = (
        findings.companies(findings.primary, column)[model].to_numpy()
        for column in ("n_customers", "n_cutoffs")
    )
    customers = (n_customers * n_cutoffs)[n_customers > 0]
    rate = float(findings.periods.loc[findings.periods["cutoff"].isna(), "observed_rate"].iloc[0])
    return float(share_misled(customers * min(rate, 1 - rate)).mean())
