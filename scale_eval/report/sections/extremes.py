"""The section that lists the companies at which a model does worst and best."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.extremes import extremes_by
from scale_eval.report.findings import Findings
from scale_eval.report.names import elided
from scale_eval.report.section import Section, table
from scale_eval.report.wording import companies, number, span
from scale_eval.statistics.proportions import logit_interval
from scale_eval.statistics.undefined import Undefined

EXTREMES = 8
"""Largest number of companies listed as worst, and as best."""

LONGEST_COMPANY = 40
"""Longest name of a company that is shown whole."""

BUYERS_FOR_AN_INTERVAL = 50
"""Buyers at the latest cutoff from which a company's AUC is shown with its interval: with 10 buyers
the interval covers .91, with 3 it covers .86."""


NUMERIC = ("customers", "buyers", "cutoffs", "skill", "AUC", "AUC, shrunk", "observed / expected")
"""Columns of the tables that hold numbers."""


def worst_and_best(findings: Findings) -> Section | None:
    """Make the section; None for companies so few that each has a row, and where none is judged."""
    if not findings.models:
        return None
    model = findings.best_ranking_model
    figures = extremes_by(findings, model)
    if len(figures) <= MOST_COMPANIES:
        return None
    n = min(EXTREMES, len(figures) // 2)
    worst, best = figures.head(n), figures.tail(n)[::-1]
    judged = companies(len(figures))
    return Section(
        "Which companies are worst, and best?",
        text=[
            f"By the shrunk AUC of {model}: the best guess of the true one, from cutoffs where 10 "
            "buyers and 10 others were to be expected. The fewer they are, the nearer it is to the "
            "mean of all companies, so that a company with a few lucky buyers is not among the "
            f"best. {judged.capitalize()} of {findings.n_companies:,} have so many."
        ],
        tables=[
            table(f"Worst of {judged}", _rows(worst), numeric=NUMERIC),
            table("Best", _rows(best), numeric=NUMERIC),
        ],
    )


def _rows(figures: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "company": elided(str(company), LONGEST_COMPANY),
            "customers": f"{int(row['n_customers']):,}",
            "buyers": f"{int(row['n_positive']):,}",
            "cutoffs": f"{int(row['n_cutoffs'])}",
            "skill": _number_or_nothing(row["mean"], 0.001),
            "AUC": _auc(row),
            "AUC, shrunk": _number_or_nothing(row["auc_shrunk"], 0.001),
            "observed / expected": _number_or_nothing(row["ratio_mean"], 0.01),
            "why": _why(row),
        }
        for company, row in figures.iterrows()
    ]


def _number_or_nothing(value: float, step: float) -> str:
    return "" if pd.isna(value) else number(value, step)


def _auc(row: pd.Series) -> str:
    """Return a company's AUC with its interval, where there are buyers enough for one."""
    if pd.isna(row["auc_mean"]):
        return ""
    text = number(row["auc_mean"])
    if row["n_positive"] < BUYERS_FOR_AN_INTERVAL or pd.isna(row["auc_std_error"]):
        return text
    try:
        low, high = logit_interval(row["auc_mean"], row["auc_std_error"])
    except Undefined:
        return text
    return f"{text} ({span(low, high)})"


def _why(row: pd.Series) -> str:
    """Return what is odd about a company's figures, in words."""
    notes = []
    if row["n_positive"] < 10:
        notes.append("hardly any buyers: mostly chance")
    ratio = row["ratio_mean"]
    if ratio == 0:
        notes.append("nobody bought")
    elif not pd.isna(ratio) and ratio < 0.8:
        notes.append("fewer bought than expected")
    elif not pd.isna(ratio) and ratio > 1.25:
        notes.append("more bought than expected")
    if not pd.isna(row["auc_mean"]):
        if row["auc_mean"] < 0.55:
            notes.append("customers hardly told apart")
        elif row["auc_mean"] > 0.8:
            notes.append("customers well told apart")
    elif row["n_cutoffs"]:
        notes.append("no ranking: all bought, or none")
    return "; ".join(notes) or "nothing odd"
