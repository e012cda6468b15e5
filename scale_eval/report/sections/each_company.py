"""The section that says of each company which model is best there, where companies are few."""

from __future__ import annotations

from typing import Any

import numpy as np

from scale_eval.report.at_a_glance import AtAGlance, at_a_glance
from scale_eval.report.findings import Findings
from scale_eval.report.names import elided
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    metric_label,
    number,
)

LONGEST_COMPANY = 40
"""Longest name of a company that is shown whole."""

MOST_MODELS = 5
"""Largest number of models whose top tenth is shown; the best by the metric that decides."""


def each_company(findings: Findings) -> Section | None:
    """Make the section; None for more companies than have a row each."""
    rows = at_a_glance(findings)
    if not rows:
        return None
    numeric = ("customers", f"{findings.window}s", "O:E")
    held = [_held(findings, row) for row in rows]
    return Section(
        "What holds at each company?",
        text=[
            f"Best is the model with the best {metric_label(findings.primary)} there, against the "
            "next best; in brackets the 95 % interval of chance among the company's customers. "
            f"O:E, observed over expected, is that of {findings.models[0]} over all customers of "
            f"the company (the verdict's counts each {findings.window} of a company once); "
            f"customers are those of the latest {findings.window}. The top tenth is the "
            "tenth of customers that a model ranks highest; one at random holds 10 %."
        ],
        tables=[
            table("", [_row(findings, row) for row in rows], numeric=numeric),
            table("What the top tenth holds", held, numeric=("",)),
        ],
    )


def _row(findings: Findings, row: AtAGlance) -> dict[str, Any]:
    """Return which model is best at a company by the columns of the table."""
    return {
        "company": elided(row.company, LONGEST_COMPANY),
        "customers": f"{row.n_customers:,}",
        f"{findings.window}s": str(row.n_windows),
        f"best by {metric_label(findings.primary)}": row.best,
        "better by": f"{row.lead} than {row.second}" if row.lead else "",
        "O:E": "" if np.isnan(row.ratio) else number(row.ratio, 0.01),
        "to be careful of": "; ".join(row.remarks) or "nothing special",
    }


def _held(findings: Findings, row: AtAGlance) -> dict[str, Any]:
    """Return what the top tenth by each model holds: of the spend, and of the buyers."""
    shown = {"company": elided(row.company, LONGEST_COMPANY)}
    for model in findings.ranking_models[:MOST_MODELS]:
        shown[f"by {model}"] = ", ".join(row.held_by(model))
    return shown
