"""The section that says how sure the difference between models is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.report.findings import PRIMARY, Findings
from scale_eval.report.pair import Pair
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.verdict.disagreement import alike_singly
from scale_eval.report.wording import (
    companies,
    interval_or_nothing,
    metric_label,
    number,
    p_value,
    percent_with_interval,
)
from scale_eval.statistics.proportions import wilson_interval
from scale_eval.statistics.ranks import friedman, nemenyi_critical_difference
from scale_eval.statistics.undefined import Undefined


def comparison(findings: Findings) -> Section | None:
    """Make the section; None where there are not two models to compare."""
    if len(findings.models) < 2:
        return None
    rows = []
    best = findings.models[0]
    for metric in (PRIMARY, "roc_auc", "brier_score"):
        for other in findings.models[1:]:
            pair = findings.pair(metric, best, other)
            if pair is None:
                continue
            step = 0.0001
            rows.append(
                {
                    "metric": metric_label(metric),
                    f"{best} against": other,
                    "better by": number(pair.better_by, step),
                    "95 %": interval_or_nothing(pair.low, pair.high, step),
                    "these customers' chance": interval_or_nothing(*pair.by_chance(), step),
                    "next company": interval_or_nothing(pair.next_low, pair.next_high, step),
                    "better : tie : worse": f"{pair.wins} : {pair.ties} : {pair.losses}",
                    "better at": _better_at(pair),
                    "p, adjusted": ""
                    if np.isnan(pair.mean_p_adjusted)
                    else p_value(pair.mean_p_adjusted),
                    "": _in_words(pair),
                }
            )
    return Section(
        "How sure is the difference?",
        figure=draw("comparison", findings),
        alt=f"Differences of log loss between {best} and each other model.",
        text=[
            "Models are compared on the same customers. The first interval is for the average of "
            f"companies like these; the second for these companies in these {findings.window}s, "
            "were their customers' luck drawn again; the third holds the true difference at the "
            "next company.",
            *_ranks(findings),
        ],
        tables=[table("A tie is a difference within the margin", rows, numeric=tuple(rows[0])[2:6])]
        if rows
        else [],
    )


def _better_at(pair: Pair) -> str:
    """Return the share of companies where it is better, with Wilson's interval."""
    low, high = wilson_interval(pair.wins, pair.n)
    return percent_with_interval(pair.wins / pair.n, float(low), float(high))


def _in_words(pair: Pair) -> str:
    if pair.equivalent:
        return "equal: shown" if alike_singly(pair) else "equal on average: shown"
    if pair.surely_better:
        return "better"
    if pair.surely_worse:
        return "worse"
    return "differs by less than the margin" if pair.excludes_zero else "not known"


def _ranks(findings: Findings) -> Iterator[str]:
    """Yield the tests of Friedman and Nemenyi, for three or more models and enough companies."""
    if len(findings.models) < 3 or findings.n_companies < 6:
        return
    rows = findings.companies(PRIMARY)
    wide = rows.pivot(index="company_id", columns="model", values=["mean", "n_defined"])
    n_defined = wide["n_defined"][findings.models]
    together = n_defined.min(axis=1, skipna=False) == n_defined.max(axis=1, skipna=False)
    losses = wide["mean"][findings.models][together].dropna()
    try:
        test = friedman(losses.to_numpy())
    except Undefined:
        return
    mean_ranks = pd.Series(test.mean_ranks, index=losses.columns).sort_values(kind="stable")
    ranks = ", ".join(f"{model} {number(rank, 0.01)}" for model, rank in mean_ranks.items())
    critical = nemenyi_critical_difference(len(losses.columns), len(losses))
    yield (
        f"Mean ranks by log loss over {companies(len(losses))} that all models predicted at the "
        f"same number of cutoffs: {ranks}. Friedman's test that all are alike: p "
        f"{p_value(test.f_p_value)} (Iman & Davenport); ranks that differ by less than "
        f"{number(critical, 0.01)} are not told apart (Nemenyi)."
    )
