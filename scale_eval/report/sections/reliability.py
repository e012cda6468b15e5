"""The section that says whether probabilities can be taken at their word."""

from __future__ import annotations

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    metric_label,
    number,
    step_of_difference,
)


def reliability(findings: Findings) -> Section | None:
    """Make the section; None where there are no curves."""
    if findings.reliability.empty:
        return None
    parts = findings.decompositions
    rows = [
        {
            "model": row.model,
            "loss": metric_label(row.loss),
            "in all": number(row.value, step),
            "miscalibration": number(row.miscalibration, step),
            "discrimination": number(row.discrimination, step),
            "uncertainty": number(row.uncertainty, step),
        }
        for loss in (LOSS, "brier_score")
        for model in findings.models
        for row in parts[(parts["model"] == model) & (parts["loss"] == loss)].itertuples()
        for step in [min(0.0001, step_of_difference(row.discrimination))]
    ]
    return Section(
        "Can the probabilities be taken at their word?",
        figure=draw("reliability", findings),
        alt="Share that bought against the probability that was given, by model.",
        text=[
            "Loss = miscalibration − discrimination + uncertainty (CORP): what recalibrating with "
            "hindsight would save, what telling customers apart saves, and what is left to the "
            "rate alone. All customers pooled."
        ],
        tables=[table("", rows, numeric=tuple(rows[0])[2:])] if rows else [],
    )
