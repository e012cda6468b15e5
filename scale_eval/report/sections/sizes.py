"""The section that says which model is best for which size of company."""

from __future__ import annotations

from scale_eval.report.findings import Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    interval_or_nothing,
    metric_label,
    number,
    step_of_difference,
)
from scale_eval.results.estimates import MIN_COMPANIES


def sizes(findings: Findings) -> Section | None:
    """Make the section; None without models to compare, and below five companies."""
    if len(findings.models) < 2 or findings.n_companies < MIN_COMPANIES or not findings.strata:
        return None
    best = findings.models[0]
    rows = []
    for stratum in findings.strata:
        pairs = [
            findings.pair(findings.primary, best, m, stratum=stratum) for m in findings.models[1:]
        ]
        compared = [pair for pair in pairs if pair is not None]
        if not compared:
            continue
        rival = min(compared, key=lambda pair: pair.better_by)
        if rival.better_by >= 0:
            winner, sure = best, all(pair.surely_better for pair in compared)
        else:
            winner, sure = rival.b, rival.surely_worse
        nearest = min(compared, key=lambda pair: abs(pair.better_by))
        step = step_of_difference(nearest.better_by, nearest.low, nearest.high)
        rows.append(
            {
                "size": stratum,
                "companies": f"{compared[0].n:,}",
                f"best by {metric_label(findings.primary)}": winner
                if sure
                else f"{winner}, not for sure",
                f"{best} better by": number(nearest.better_by, step),
                "95 %": interval_or_nothing(nearest.low, nearest.high, step),
                "than": nearest.b,
            }
        )
    return Section(
        "Which model for which size of company?",
        figure=draw("sizes", findings),
        alt=f"Differences of {metric_label(findings.primary)} by class of company size.",
        text=["Customers at the company's latest cutoff that every model predicted."],
        tables=[table("", rows)],
    )
