"""Write the sentences that qualify a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.findings import FEW, Findings
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT
from scale_eval.report.wording import (
    companies,
    count,
    listed,
    part_of_companies,
    percent,
    reason,
)

ONE_WINDOW = 0.2
"""Least share of companies with one window at which a verdict says so."""


def sample(findings: Findings) -> Iterator[str]:
    """Say which figures are for all companies, and which for those in the sample."""
    if findings.sample is None:
        return
    drawn, of_all = (f"{n:,}" for n in findings.sample)
    yield (
        f"Of {of_all} companies {drawn} were sampled and evaluated. Figures of the average "
        f"company, and their intervals, are for all {of_all} and no other; shares of companies, "
        "curves, and predictions for the next company are for the sample, in which large companies "
        "are more frequent."
    )


def evidence(findings: Findings, best: str) -> Iterator[str]:
    """Say how thin the evidence is."""
    n = findings.n_companies
    if n < MIN_FOR_THE_NEXT:
        yield f"{companies(n).capitalize()} cannot say what to expect at the next one."
    elif n < FEW:
        yield f"These are {companies(n)}: the intervals hold, and are as wide as that."
    if findings.n_cutoffs == 1:
        yield f"All of it is one {findings.window}: how models fare in others was not seen."
    else:
        yield from _one_window_each(findings)
    if findings.n_cutoffs > 1 and n < MIN_FOR_THE_NEXT:
        yield f"Another {findings.window} may differ: so few companies do not say by how much."
    if findings.n_cutoffs > 1 and n >= MIN_FOR_THE_NEXT:
        whose = "companies like these" if findings.sample is None else "these companies"
        yield (
            f"The intervals speak of {whose} at these {findings.n_cutoffs} cutoffs; "
            f"another {findings.window} may differ by more."
        )
    overlapping = findings.statuses[findings.statuses["overlaps"].fillna(False).astype(bool)]
    if len(overlapping):
        yield (
            f"{count(int(overlapping['n'].sum()), 'evaluation')} have label windows that overlap "
            "those of another cutoff: they are not separate evidence."
        )
    yield from _short_references(findings)
    yield from _large_companies(findings, best)
    row = findings.figure("roc_auc", best)
    undefined = int(row["n_undefined"]) if not pd.isna(row["n_undefined"]) else 0
    defined = int(row["n_defined"]) if not pd.isna(row["n_defined"]) else 0
    if undefined > 0.1 * (undefined + defined):
        yield (
            f"The AUC does not exist in {percent(undefined / (undefined + defined))} of the "
            "evaluations, where all customers bought, or none."
        )
    why = row["heterogeneity_reason"]
    unpredicted = n >= MIN_FOR_THE_NEXT and pd.isna(row["prediction_low"])
    if unpredicted and isinstance(why, str) and best != "base_rate":
        yield f"The next company's AUC was not predicted: {reason(why)}."


def _one_window_each(findings: Findings) -> Iterator[str]:
    """Say which part of the average rests on companies that were seen in one window."""
    seen = findings.companies(findings.primary, "n_defined")[findings.models[0]]
    seen = seen[seen > 0]
    once = int((seen == 1).sum())
    if once < ONE_WINDOW * len(seen) or not once:
        return
    was, each = ("was", "") if once == 1 else ("were", " each")
    yield (
        f"{part_of_companies(once, len(seen)).capitalize()} {was} seen in one {findings.window}"
        f"{each}, and {percent(once / len(seen))} of the average company rests on that."
    )


def _short_references(findings: Findings) -> Iterator[str]:
    """Say where the base rate was known from less than a horizon, where companies are few."""
    if findings.n_companies > MOST_COMPANIES:
        return
    days = findings.evidence.days_of_reference
    if not days:
        return
    named = [
        f"{company} ({listed([f'{n:.0f}' for n in known], most=None)} days)"
        for company, known in sorted(days.items())
    ]
    yield (
        f"The base rate was known from less than a {findings.window}, and carried to one, at "
        f"{listed(named, most=MOST_COMPANIES)}: a saving against it says less there."
    )


def _not_compared(findings: Findings) -> Iterator[str]:
    """Say how many companies are not compared, and how many windows each model predicted."""
    n_cutoffs = findings.companies(findings.primary, "n_cutoffs")[findings.models[0]]
    left_out = len(n_cutoffs) - int((n_cutoffs > 0).sum())
    if not left_out or findings.sample is not None:
        return
    ok = findings.statuses[findings.statuses["status"] == "ok"].groupby("model")["n"].sum()
    counts = listed([f"{m} {int(ok[m]):,}" for m in findings.models if m in ok.index], most=None)
    yield (
        f"{part_of_companies(left_out, len(n_cutoffs)).capitalize()} are not compared: no window "
        f"of theirs was predicted by every model. Windows by model: {counts}."
    )


def _large_companies(findings: Findings, best: str) -> Iterator[str]:
    """Say how far figures over all customers rest on the largest companies."""
    weighted = findings.figure(findings.primary, best, "row")
    condition = findings.condition(findings.primary, best)
    if findings.n_companies >= FEW and weighted["n_effective"] < FEW:
        holding = f", and hold if {condition}" if condition else ""
        yield (
            f"Figures over all customers pooled rest on the few large companies: they weigh as "
            f"{weighted['n_effective']:.0f} companies would{holding}."
        )
    elif condition:
        yield f"Intervals of figures over all customers pooled hold if {condition}."


def _gaps(statuses: pd.DataFrame) -> Iterator[str]:
    """Say how many windows touch a silence that is probably missing data."""
    by_model = statuses[statuses["reason"] == "gap_in_data"].groupby("model")["n"].sum()
    if len(by_model):
        n = int(by_model.max())
        yield (
            f"{count(n, 'window')} {'touches' if n == 1 else 'touch'} a silence that is probably "
            f"missing data, and {'is' if n == 1 else 'are'} in no figure. If nobody bought then, "
            "run again with --observed."
        )


def coverage(findings: Findings) -> Iterator[str]:
    """Say which models, windows and companies are in no figure."""
    statuses = findings.statuses
    if findings.without_predictions:
        models = listed(findings.without_predictions)
        yield f"Not compared, because they made no predictions: {models}."
    if findings.models:
        row = findings.figure(findings.primary, findings.models[0])
        compared = int(row["n_defined"])
        other = int(row["n_not_common"] + row["n_failed"] + row["n_skipped"])
        if other:
            yield (
                f"Compared are {compared:,} of {compared + other:,} windows; the others were "
                "refused, or not predicted by every model."
            )
        yield from _not_compared(findings)
    yield from _gaps(statuses)
    failed = statuses[statuses["status"].isin(["error", "timeout", "killed"])]
    if len(failed):
        by_model = failed.groupby("model")["n"].sum()
        counts = listed([f"{model} {n:,}" for model, n in by_model.items()])
        yield f"Evaluations that failed: {counts}."
    unobserved = statuses[statuses["reason"] == "no_whole_window"]
    if len(unobserved):
        n = int(unobserved.groupby("model")["n"].sum().max())
        yield (
            f"{companies(n).capitalize()} without a window that was observed whole (such as one "
            "that died) is in no figure."
            if n == 1
            else f"{companies(n).capitalize()} without a window that was observed whole (such as "
            "those that died) are in no figure."
        )
