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
    percent,
    span,
    step_of_difference,
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
    shown = [company_row(findings, row) for row in rows]
    return Section(
        "What holds at each company?",
        text=[
            f"Best is the model with the best {metric_label(findings.primary)} there, against the "
            "next best; in brackets the 95 % interval of chance among the company's customers. The "
            "top tenth is the tenth of customers that a model ranks highest: what it holds of the "
            "later spend, and of the buyers; one at random holds 10 %."
        ],
        tables=[table("", shown, numeric=("customers", findings.window + "s", "O:E"))],
    )


def company_row(findings: Findings, row: AtAGlance) -> dict[str, Any]:
    """Return what is said about a company by the columns of the table."""
    ratio = f"O:E of {findings.models[0]}"
    return {
        "company": elided(row.company, LONGEST_COMPANY),
        "customers": f"{row.n_customers:,}",
        f"{findings.window}s": str(row.n_windows),
        f"best by {metric_label(findings.primary)}": row.best,
        "better by": lead_at(row),
        **{f"top tenth by {model}": held_by(row, model) for model in shown_models(findings)},
        ratio: "" if np.isnan(row.ratio) else number(row.ratio, 0.01),
        "to be careful of": "; ".join(row.remarks) or "nothing special",
    }


def shown_models(findings: Findings) -> list[str]:
    """Return the models whose top tenth is shown: all that rank customers, the best first."""
    return [model for model in findings.models if model != "base_rate"][:MOST_MODELS]


def lead_at(row: AtAGlance) -> str:
    """Return by how much the best model is better than the next, with the interval by chance."""
    if np.isnan(row.better_by):
        return ""
    step = step_of_difference(row.better_by, row.low, row.high)
    interval = "" if np.isnan(row.low) else f" ({span(row.low, row.high, step)})"
    return f"{number(row.better_by, step)}{interval} than {row.second}"


def held_by(row: AtAGlance, model: str) -> str:
    """Return what the top tenth by a model holds: of the spend, and of the buyers."""
    held = {"spend": row.spend.get(model), "buyers": row.buyers.get(model)}
    return ", ".join(f"{percent(share)} of {of}" for of, share in held.items() if share is not None)
