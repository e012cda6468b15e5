"""The section that says how companies differ."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    difference_with_interval,
    number,
    percent,
    why_no_effects,
)
from scale_eval.results.estimates import MIN_COMPANIES


def distribution(findings: Findings) -> Section | None:
    """Make the section; None below five companies, which have no quantiles."""
    if findings.n_companies < MIN_COMPANIES:
        return None
    rows = []
    for model in findings.models:
        row = findings.figure("roc_auc", model)
        if pd.isna(row["mean"]):
            continue
        rows.append(
            {
                "model": model,
                **{name: number(row[name]) for name in ("p05", "p25", "p50", "p75", "p95")},
                "std, measured": number(row["std"]),
                "true spread (logit)": _tau(row),
                "I²": "" if pd.isna(row["i_squared"]) else percent(row["i_squared"]),
                "companies": f"{int(row['n_companies_defined']):,}",
                "with enough buyers": f"{int(row['n_heterogeneity'] or 0):,}",
            }
        )
    return Section(
        "How do companies differ?",
        figure=draw("distribution", findings),
        alt="Distribution of companies' own figures, by model.",
        text=[
            "The measured spread holds true differences, time and chance together; the true spread "
            "(tau) is what is left without chance, and I² its share."
        ],
        tables=[table("AUC over companies", rows)] if rows else [],
    )


def _tau(row: pd.Series) -> str:
    if pd.isna(row["tau"]):
        return why_no_effects(row)
    return difference_with_interval(row["tau"], row["tau_low"], row["tau_high"])
