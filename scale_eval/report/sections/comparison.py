"""The section that says how sure the difference between models is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.pair import Pair
from scale_eval.report.pair_in_words import in_words
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, reach
from scale_eval.report.wording import (
    companies,
    interval_or_nothing,
    metric_label,
    number,
    p_value,
    percent_with_interval,
    step_of_difference,
)
from scale_eval.statistics.proportions import wilson_interval
from scale_eval.statistics.ranks import friedman, nemenyi_critical_difference
from scale_eval.statistics.undefined import Undefined

COMPARED_BY = (LOSS, "roc_auc", "value_captured_at_10", "brier_score")
"""The metrics by which models are compared, beside the one that decides and the user's own."""

NUMERIC = ("companies", "better by", "95 %", "these customers' chance", "next company")
"""The columns of the table that are aligned to the right."""


def comparison(findings: Findings) -> Section | None:
    """Make the section; None where there are not two models to compare."""
    if len(findings.models) < 2:
        return None
    best, *others = findings.models
    pairs = [
        pair
        for metric in dict.fromkeys([findings.primary, *COMPARED_BY, *findings.own_metrics])
        for other in others
        if (pair := findings.pair(metric, best, other)) is not None
    ]
    ranks, tables = _ranks(findings)
    if pairs:
        rows = [_row(findings, pair) for pair in pairs]
        n = {pair.n for pair in pairs}
        caption = "A tie is a difference within the margin"
        if len(n) == 1:
            caption = f"{companies(n.pop())}; a tie is a difference within the margin"
            rows = [{c: text for c, text in row.items() if c != "companies"} for row in rows]
        tables.insert(0, table(caption, rows, numeric=NUMERIC, note=_note(findings, pairs)))
    against = [_against_base_rate(findings, pair) for pair in _base_rate_pairs(findings)]
    if against:
        tables.append(table("Log loss against the base rate known at the cutoff", against))
    return Section(
        "How sure is the difference?",
        figure=draw("comparison", findings),
        alt=f"Differences of {metric_label(findings.primary)} between {best} and each other model.",
        text=[
            "Models are compared on the same customers. The first interval is for the average of "
            f"companies like these; the second for these companies in these {findings.window}s, "
            f"were their customers' luck drawn again{_third_interval(findings)}.",
            *ranks,
        ],
        tables=tables,
    )


def _row(findings: Findings, pair: Pair) -> dict[str, str]:
    """Return a comparison by the columns of the table."""
    few = findings.n_companies < MIN_FOR_THE_NEXT
    step = step_of_difference(pair.better_by, *(pair.by_chance() if few else (pair.low, pair.high)))
    return {
        "metric": metric_label(pair.metric),
        f"{pair.a} against": pair.b,
        "companies": f"{pair.n:,}",
        "better by": number(pair.better_by, step),
        "95 %": interval_or_nothing(pair.low, pair.high, step),
        "these customers' chance": interval_or_nothing(*pair.by_chance(), step),
        "next company": interval_or_nothing(pair.next_low, pair.next_high, step),
        "better : tie : worse": f"{pair.wins:,}:{pair.ties:,}:{pair.losses:,}",
        **({} if few else _over_companies(pair)),
        "in words": in_words(findings, pair),
    }


def _over_companies(pair: Pair) -> dict[str, str]:
    """Return the columns that speak of other companies too, of which few say nothing."""
    p = pair.mean_p_adjusted
    return {
        "better at": _better_at(pair),
        "p, adjusted": "" if np.isnan(p) else p_value(p),
    }


def _note(findings: Findings, pairs: list[Pair]) -> str:
    """Say which companies the columns are of, where they are not the same."""
    entered = sorted({pair.n_heterogeneity for pair in pairs if 0 < pair.n_heterogeneity < pair.n})
    note = ""
    if entered:
        n = f"{entered[0]:,}" if len(entered) == 1 else f"{entered[0]:,} to {entered[-1]:,}"
        note = f"The next company is judged by {n} companies, those with enough buyers. "
    if findings.n_companies < MIN_FOR_THE_NEXT:
        note += (
            f"Words speak of these {companies(findings.n_companies)}, by their customers' chance; "
            "the interval of 95 % speaks of other companies too, and so few say little of those. "
        )
    if findings.sample is not None:
        drawn, of_all = findings.sample
        note += (
            f"Differences and their 95 % intervals are for all {of_all:,} companies, the other "
            f"columns for the {drawn:,} in the sample."
        )
    return note.rstrip()


def _base_rate_pairs(findings: Findings) -> list[Pair]:
    """Return the comparisons of each model with the base rate; none where it leads itself."""
    if findings.models[0] == "base_rate":
        return []
    models = [model for model in findings.models if model != "base_rate"]
    pairs = (findings.pair(LOSS, model, "base_rate") for model in models)
    return [pair for pair in pairs if pair is not None]


def _third_interval(findings: Findings) -> str:
    """Say what the interval of the next company is; "" where companies are too few for one."""
    if findings.n_companies < MIN_FOR_THE_NEXT:
        return ""
    return (
        f"; the third is for the true difference at the next company, averaged over its "
        f"{findings.window}s; of losses it is approximate (84 to 96 % in simulations, least where "
        "small companies differ most)"
    )


def _against_base_rate(findings: Findings, pair: Pair) -> dict[str, str]:
    step = step_of_difference(pair.better_by, pair.low, pair.high)
    low, high = reach(findings, pair)
    words = "not shown to be better"
    if low > 0 or high < 0:
        words = "better" if low > 0 else "worse"
        words += " here" if findings.n_companies < MIN_FOR_THE_NEXT else ""
    return {
        "model": pair.a,
        "companies": f"{pair.n:,}",
        "lower by": number(pair.better_by, step),
        "95 %": interval_or_nothing(pair.low, pair.high, step),
        "in words": words,
    }


def _better_at(pair: Pair) -> str:
    """Return the share of companies where it is better, with Wilson's interval."""
    low, high = wilson_interval(pair.wins, pair.n)
    return percent_with_interval(pair.wins / pair.n, float(low), float(high))


def _ranks(findings: Findings) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the tests of Friedman and Nemenyi in words, and the mean ranks in a table.

    Both are empty for fewer than three models or six companies.
    """
    if len(findings.models) < 3 or findings.n_companies < 6:
        return [], []
    n_defined = findings.companies(findings.primary, "n_defined")[findings.models]
    together = n_defined.min(axis=1, skipna=False) == n_defined.max(axis=1, skipna=False)
    means = findings.companies(findings.primary)[findings.models][together].dropna()
    distances = means.apply(lambda values: findings.distance(findings.primary, values))
    try:
        test = friedman(distances.to_numpy())
    except Undefined:
        return [], []
    mean_ranks = pd.Series(test.mean_ranks, index=distances.columns).sort_values(kind="stable")
    critical = nemenyi_critical_difference(len(distances.columns), len(distances))
    text = (
        f"Models are ranked by {metric_label(findings.primary)} at each of "
        f"{companies(len(distances))} that all of them predicted at the same number of cutoffs. "
        "Friedman's test that all are alike: p "
        f"{p_value(test.f_p_value)} (Iman & Davenport); mean ranks that differ by less than "
        f"{number(critical, 0.01)} are not told apart (Nemenyi)."
    )
    ranked = [
        {"model": model, "mean rank": number(rank, 0.01)} for model, rank in mean_ranks.items()
    ]
    return [text], [table(f"Mean ranks over {companies(len(distances))}", ranked)]
