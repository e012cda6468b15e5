"""Name the companies, of a few, where another model than the leader is surely the better one."""

from __future__ import annotations

from collections.abc import Iterator

from scale_eval.report.at_a_glance import AtAGlance
from scale_eval.report.findings import Findings
from scale_eval.report.verdict.phrases import better_figure
from scale_eval.report.wording import number, span, step_of_difference

MOST_NAMED = 3
"""Largest number of companies that have a sentence of their own."""


def elsewhere(findings: Findings, best: str, rows: list[AtAGlance]) -> Iterator[str]:
    """Say at which companies another model is better than the leader, beyond chance and margin."""
    if len(rows) < 2:
        return
    others = []
    for row in rows:
        pair = findings.pair(findings.primary, row.best, best) if row.best != best else None
        apart = findings.company_differences(row.best, best) if pair is not None else None
        if pair is None or apart is None or row.company not in apart.index:
            continue
        by, low, high = apart.loc[row.company, ["better_by", "low", "high"]].astype(float)
        if low > 0 and by > pair.margin:
            step = step_of_difference(by, low, high)
            what = f"{better_figure(findings, pair)} by {number(by, step)}"
            others.append(
                (by, f"{row.company} {row.best} is better: {what} ({span(low, high, step)}")
            )
    others.sort(key=lambda found: -found[0])
    for _, text in others[:MOST_NAMED]:
        yield f"At {text} with other customers of its kind)."
    if len(others) > MOST_NAMED:
        yield f"Other models than {best} are better at {len(others) - MOST_NAMED} more companies."
