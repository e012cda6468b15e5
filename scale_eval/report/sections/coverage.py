"""The section that says what is left out, and why."""

from __future__ import annotations

from typing import Any

from scale_eval.evaluation.reasons import EVALUATIONS
from scale_eval.metrics import METRICS
from scale_eval.report.findings import Findings
from scale_eval.report.ladder import ladder
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    metric_label,
    reason,
)


def coverage(findings: Findings) -> Section:
    """Make the section."""
    statuses = findings.statuses
    rows = [
        {
            "status": status,
            "reason": reason(why, EVALUATIONS) if why else "",
            **{model: f"{int(n):,}" if n else "" for model, n in by_model.items()},
        }
        for (status, why), by_model in statuses.pivot_table(
            index=["status", "reason"], columns="model", values="n", aggfunc="sum", fill_value=0
        ).iterrows()
    ]
    undefined = []
    for metric in METRICS:
        for model in findings.models:
            row = findings.figure(metric, model)
            if row["n_undefined"]:
                undefined.append(
                    {
                        "metric": metric_label(metric),
                        "model": model,
                        "defined": f"{int(row['n_defined']):,}",
                        "undefined": f"{int(row['n_undefined']):,}",
                        "why": str(row["undefined_reasons"]).replace(";", "; "),
                    }
                )
    text = [
        "An evaluation is a model at a company and a cutoff. What was refused, failed or is "
        "undefined is counted here, and left out above."
    ]
    settings = findings.document.get("settings", {})
    unobserved = (statuses["reason"] == "no_whole_window").any()
    if unobserved and not settings.get("observed_until"):
        text.append(
            "A company's windows end with its last transaction, so that companies that died count "
            "less, or not at all. To check what that does, run again with --observed-until at the "
            "end of the data and --observed ..: silent companies are then silent, not unobserved."
        )
    tables = [_ladder(findings), table("Evaluations", rows, numeric=tuple(rows[0])[2:])]
    if undefined:
        tables.append(
            table("Metrics that do not exist in some", undefined, numeric=("defined", "undefined"))
        )
    return Section("What is left out, and why?", text=text, tables=tables)


def _ladder(findings: Findings) -> dict[str, Any]:
    """Return the table of how many companies are left at each step."""
    rows = [
        {
            "companies": rung.step,
            "number": f"{rung.companies:,}",
            f"{findings.window}s": "" if rung.windows is None else f"{rung.windows:,}",
        }
        for rung in ladder(findings)
    ]
    return table("From all companies to those behind the figures", rows)
