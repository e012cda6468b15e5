"""The section that says which model is best."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scale_eval.report.companies_behind import companies_behind, conditions, n_behind
from scale_eval.report.findings import FEW, LOSS, Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    companies,
    figure_with_interval,
    flattered,
    interval_step,
    metric_label,
    number,
    span,
    step_apart,
    why_no_effects,
)
from scale_eval.results.estimates import MIN_COMPANIES

MOST_COLUMNS = 8
"""Largest number of models side by side in a table; the best are shown."""


def leaderboard(findings: Findings) -> Section | None:
    """Make the section; None where no model is compared."""
    if not findings.models:
        return None
    best = findings.models[0]
    text = [
        "The average company (each counts once) is what the verdict speaks of; pairs within "
        "companies compare only customers of one company at one cutoff; all rows are what a "
        "customer drawn at random meets. They answer different questions."
    ]
    text.extend(flattered(findings.models))
    own_rows = findings.figure("roc_auc", best, "row", "own")
    if not pd.isna(own_rows["constant_floor"]):
        text.append(
            "Over all rows a constant per company, which tells no customer from another, already "
            f"reaches an AUC of {number(own_rows['constant_floor'])}: read those of all rows "
            "against it."
        )
    few = [
        f"{name} {row['n_effective']:.0f}"
        for name, row in (
            ("all rows", findings.figure(findings.primary, best, "row")),
            ("pairs within companies", findings.figure("roc_auc", best, "within_company")),
        )
        if row["n_effective"] < FEW
    ]
    if few and findings.n_companies >= MIN_COMPANIES:
        text.append(
            f"Effective companies, where large ones weigh more: {', '.join(few)}. Below {FEW} an "
            "interval is to be taken with care."
        )
    text.extend(
        f"Intervals over all rows, and of pairs within companies, hold if {condition}."
        for condition in conditions(findings)
    )
    losses = [findings.figure(LOSS, model)["value"] for model in findings.models]
    step = step_apart(losses)
    rows = [_row(findings, model, step) for model in findings.models]
    return Section(
        "Which model is best?",
        figure=draw("leaderboard", findings),
        alt="Log loss, AUC and observed over expected of each model, with 95 % intervals.",
        text=text,
        tables=[
            table(
                f"{companies(findings.n_companies)}; in brackets 95 % intervals",
                rows,
                note=companies_behind(findings),
            ),
            table("Every metric, at the average company", _every_metric(findings)),
        ],
    )


def _row(findings: Findings, model: str, step: float) -> dict[str, str]:
    """Return the figures of one model by the columns of the table; log losses in this step."""
    auc = findings.figure("roc_auc", model)
    pooled, note = findings.figure("roc_auc", model, "row"), ""
    if pooled["reason"] == "scores_not_kept_by_company":
        pooled, note = findings.figure("roc_auc", model, "row", "own"), " on its own windows"
    if pooled["error_bound"] > 0.0005:
        note += f" ± {number(pooled['error_bound'])} by bins"
    # Of fewer companies none has a prediction: the column would only say so.
    prediction = why_no_effects(auc) if findings.n_companies >= MIN_COMPANIES else ""
    if not pd.isna(auc["prediction_low"]):
        low, high = auc["prediction_low"], auc["prediction_high"]
        prediction = span(low, high, interval_step(low, low, high, 0.01))
    within = findings.figure("roc_auc", model, "within_company")
    ratio = findings.figure("observed_expected_ratio", model)
    return {
        "model": model,
        "log loss": figure_with_interval(findings.figure(LOSS, model), step),
        "skill": figure_with_interval(findings.figure("log_loss_skill", model)),
        "AUC": figure_with_interval(auc),
        "AUC, next company": prediction,
        "AUC, pairs within companies": figure_with_interval(within),
        "AUC, all rows": figure_with_interval(pooled) + note,
        "observed / expected": figure_with_interval(ratio, 0.01),
    }


def _every_metric(findings: Findings) -> list[dict[str, Any]]:
    """Return one row per metric, with one column per model."""
    models = findings.models[:MOST_COLUMNS]
    table_rows = []
    for metric in findings.metrics:
        rows = {model: findings.figure(metric, model) for model in models}
        better, step = findings.better(metric), 0.001
        if better == "lower":
            step = step_apart(row["value"] for row in rows.values())
        table_rows.append(
            {
                "metric": metric_label(metric),
                "better": better.replace("target", "nearer to its target"),
                "companies": n_behind(findings, metric, models),
                **{model: figure_with_interval(row, step) for model, row in rows.items()},
            }
        )
    return table_rows
