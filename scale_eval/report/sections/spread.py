"""The section that separates companies, windows and chance."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    companies,
    interval_step,
    metric_label,
    number,
    reason,
    span,
    step_of_difference,
)
from scale_eval.results.estimates import MIN_COMPANIES

PARTS = ("company", "cutoff", "residual")
"""The parts of a figure whose standard deviations are shown."""


def spread(findings: Findings) -> Section | None:
    """Make the section; None below five companies, or where no model has variance components."""
    if findings.n_companies < MIN_COMPANIES:
        return None
    components = findings.spread.set_index(["metric", "model"])
    rows = [
        _row(findings, metric, model, components.loc[(metric, model)])
        for metric in ("roc_auc", LOSS)
        for model in findings.models
        if (metric, model) in components.index
        and not pd.isna(components.loc[(metric, model), "company_sd"])
    ]
    if not rows:
        return None
    return Section(
        f"Is it the company, the {findings.window}, or chance?",
        figure=draw("spread", findings),
        alt="Standard deviations of companies, windows and the rest, by model.",
        text=["Standard deviations of evaluations, taken apart as crossed random effects (REML)."],
        tables=[table("", rows, numeric=tuple(rows[0])[4:])],
    )


def _row(findings: Findings, metric: str, model: str, row: pd.Series) -> dict[str, str]:
    """Return the standard deviations of one metric of one model by the columns of the table."""
    step = step_of_difference(max(row[[f"{part}_sd" for part in PARTS]]))
    cutoff_sd = number(row["cutoff_sd"], step)
    if not pd.isna(row["cutoff_sd_low"]):
        cutoff_sd += f" ({span(row['cutoff_sd_low'], row['cutoff_sd_high'], step)})"
    next_cutoff = reason(str(row["reason"] or ""))
    if not pd.isna(row["next_cutoff_low"]):
        low, high = row["next_cutoff_low"], row["next_cutoff_high"]
        next_cutoff = span(low, high, interval_step(low, low, high, 0.001))
    return {
        "metric": metric_label(metric),
        "model": model,
        "scale": row["scale"],
        "evaluations": f"{int(row['n_evaluations']):,} of {companies(int(row['n_companies']))}",
        "companies": number(row["company_sd"], step),
        f"{findings.window}s": cutoff_sd,
        "the rest": number(row["residual_sd"], step),
        "of which chance": "" if pd.isna(row["noise_sd"]) else number(row["noise_sd"], step),
        f"average at the next {findings.window}": next_cutoff,
    }
