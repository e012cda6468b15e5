"""Check the leader in one half-year: the latest that most companies share.

With the default calendar a company's cutoffs end with its own data, and some companies have many
windows, others one. The average company then mixes years.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.half_years import figures_by_cutoff, latest_shared, lead, leader_of
from scale_eval.report.verdict.phrases import margin_of
from scale_eval.report.wording import (
    companies,
    difference_with_interval,
    metric_label,
    number,
    part_of_companies,
    step_apart,
)


def holds_in_latest(findings: Findings, best: str) -> Iterator[str]:
    """Say that the leader also leads in the latest half-year that most companies share."""
    rows = latest_shared(findings)
    if rows is None or _is_all_of_most(findings):
        return
    if len(rows) > 1 and leader_of(rows) == best:
        yield f"{best} also leads in {_name(findings, rows)}."


def differs_in_latest(findings: Findings, best: str, *, is_choice: bool) -> Iterator[str]:
    """Say that another model leads in that half-year, or that no half-year is shared.

    Where no model was chosen, only a lead that is beyond doubt and above the margin counts.
    """
    rows = latest_shared(findings)
    if rows is None:
        yield from _nothing_shared(findings)
        return
    leader = leader_of(rows)
    pair = findings.pair(findings.primary, leader, best) if leader not in (best, "") else None
    if pair is None:
        return
    by, low, high = lead(rows, leader, best)
    if not is_choice and not (low > 0 and by > pair.margin):
        return
    figures = [rows.loc[model, "value"] for model in (leader, best)]
    its, that = (number(figure, step_apart(figures)) for figure in figures)
    small = f", less than the margin of {margin_of(pair)}" if by < pair.margin else ""
    doubt = "" if low > 0 else ", which is not beyond doubt"
    yield (
        f"In {_name(findings, rows)} {leader} leads: its {metric_label(findings.primary)} there "
        f"is {its} and that of {best} {that}, {findings.direction(findings.primary)} by "
        f"{difference_with_interval(by, low, high)}{small}{doubt}."
    )


def _is_all_of_most(findings: Findings) -> bool:
    """Return whether most companies were seen in one window: the latest is no other evidence."""
    seen = findings.companies(findings.primary, "n_defined")[findings.models[0]]
    seen = seen[seen > 0]
    return bool(2 * (seen == 1).sum() > len(seen) > 0)


def _nothing_shared(findings: Findings) -> Iterator[str]:
    rows = figures_by_cutoff(findings)
    n = rows["cutoff"].nunique()
    if n < 2:
        return
    most = part_of_companies(int(rows["n_companies"].max()), findings.n_companies)
    first, last = (f"{at:%Y-%m}" for at in (rows["cutoff"].min(), rows["cutoff"].max()))
    yield (
        f"No {findings.window} is shared by most companies: there are {n} cutoffs from {first} to "
        f"{last}, none of them of more than {most}, and the average company mixes them. With "
        f"--shared-calendar a run compares all companies in the same {findings.window}s."
    )


def _name(findings: Findings, rows: pd.DataFrame) -> str:
    """Return what the half-year is called, with its date and its companies."""
    cutoff, n = rows["cutoff"].max(), int(rows["n_companies"].max())
    if n < findings.n_companies:
        whose, of = "that most companies share", part_of_companies(n, findings.n_companies)
    else:
        whose, of = "evaluated", f"all {companies(n)}" if n > 1 else "the one company"
    return f"the latest {findings.window} {whose} (from {cutoff:%Y-%m-%d}, {of})"
