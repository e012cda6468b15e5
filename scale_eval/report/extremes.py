"""The companies at which a model does worst, and best, and what is odd about them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.section import Section, table
from scale_eval.report.wording import companies, number, span
from scale_eval.statistics.proportions import logit_interval
from scale_eval.statistics.undefined import Undefined

EXTREMES = 8
"""Companies that are listed as worst, and as best."""

BUYERS_FOR_AN_INTERVAL = 50
"""At the latest cutoff: an interval of a company's AUC covers .91 with 10 buyers, .86 with 3."""


def worst_and_best(findings: Findings) -> Section | None:
    """The section; None where no model is compared."""
    if not findings.models:
        return None
    model = findings.telling

    def of(metric: str, columns: list[str]) -> pd.DataFrame:
        rows = findings.companies(metric)
        return rows[rows["model"] == model].set_index("company_id")[columns]

    facts = ["n_customers", "n_positive", "n_cutoffs", "n_defined"]
    skill = of("log_loss_skill", [*facts, "mean"])
    auc = of("roc_auc", ["mean", "std_error", "shrunk", "n_defined"]).add_prefix("auc_")
    ratio = of("observed_expected_ratio", ["mean"]).add_prefix("ratio_")
    figures = skill.join(auc).join(ratio).dropna(subset="mean").sort_values("mean", kind="stable")
    if figures.empty:
        return None
    n = min(EXTREMES, len(figures) // 2)
    unlike = figures[figures["n_defined"] < figures["n_cutoffs"]]

    def rows(chosen: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {
                "company": company,
                "customers": f"{int(row['n_customers']):,}",
                "buyers": f"{int(row['n_positive']):,}",
                "cutoffs": f"{int(row['n_cutoffs'])}",
                "skill": number(row["mean"]),
                "AUC": _auc(row),
                "AUC, shrunk": "" if pd.isna(row["auc_shrunk"]) else number(row["auc_shrunk"]),
                "observed / expected": ""
                if pd.isna(row["ratio_mean"])
                else number(row["ratio_mean"], 0.01),
                "why": _why(row),
            }
            for company, row in chosen.iterrows()
        ]

    numeric = (
        "customers",
        "buyers",
        "cutoffs",
        "skill",
        "AUC",
        "AUC, shrunk",
        "observed / expected",
    )
    if len(figures) <= EXTREMES:
        tables = [table("All of them, worst first", rows(figures), numeric=numeric)]
    else:
        tables = [
            table(f"Worst of {companies(len(figures))}", rows(figures.head(n)), numeric=numeric),
            table("Best", rows(figures.tail(n)[::-1]), numeric=numeric),
        ]
    text = [
        f"By the skill of {model} against the base rate known at the cutoff. The shrunk AUC is the "
        "best guess of the true one, from cutoffs with 10 buyers and 10 others: the fewer they "
        "are, the nearer to the mean of all companies."
    ]
    if len(unlike):
        text.append(
            f"At {companies(len(unlike))} there is no skill at some cutoff, for want of a base "
            "rate known there."
        )
    return Section("Which companies are worst, and best?", text=text, tables=tables)


def _auc(row: pd.Series) -> str:
    """With its interval from 50 buyers on: below, DeLong's error is too small to be shown."""
    if pd.isna(row["auc_mean"]):
        return ""
    told = number(row["auc_mean"])
    if row["n_positive"] < BUYERS_FOR_AN_INTERVAL or pd.isna(row["auc_std_error"]):
        return told
    try:
        low, high = logit_interval(row["auc_mean"], row["auc_std_error"])
    except Undefined:
        return told
    return f"{told} ({span(low, high)})"


def _why(row: pd.Series) -> str:
    """What is odd about a company's figures."""
    told = []
    if row["n_positive"] < 10:
        told.append("hardly any buyers: mostly chance")
    ratio = row["ratio_mean"]
    if ratio == 0:
        told.append("nobody bought")
    elif not pd.isna(ratio) and ratio < 0.8:
        told.append("fewer bought than expected")
    elif not pd.isna(ratio) and ratio > 1.25:
        told.append("more bought than expected")
    if not pd.isna(row["auc_mean"]):
        if row["auc_mean"] < 0.55:
            told.append("customers hardly told apart")
        elif row["auc_mean"] > 0.8:
            told.append("customers well told apart")
    elif row["n_cutoffs"]:
        told.append("no ranking: all bought, or none")
    return "; ".join(told) or "nothing odd"
