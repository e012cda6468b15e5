"""Say which companies the figures of a table or a plot rest on, where these differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scale_eval.metrics import METRICS
from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.wording import metric_label

BESIDE = ("log_loss_skill", "roc_auc", "observed_expected_ratio")
"""Metrics of a leaderboard that can be undefined at companies where the log loss is defined."""


def n_behind(
    findings: Findings, metric: str, models: Sequence[str], column: str = "n_companies_defined"
) -> str:
    """Return a number of companies: ``181``, or ``150 to 181`` where it differs by model.

    Of those at which a metric is defined, or, by the `column` ``n_heterogeneity``, of those in its
    random effects, as the mean of these always is; "" where there are none.
    """
    if metric in METRICS and METRICS[metric].is_mean_of_effects:
        column = "n_heterogeneity"
    counts = [findings.figure(metric, model)[column] for model in models]
    known = sorted({int(n) for n in counts if not pd.isna(n) and n > 0})
    if not known:
        return ""
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def companies_behind(findings: Findings, metrics: Sequence[str] = BESIDE) -> str:
    """Return how many companies each metric is of, where these are not all, as a note to a table.

    It includes the companies behind predictions for the next one, and what is for the population of
    a sample; "" where all figures are for the same companies.
    """
    n, models = f"{findings.n_companies:,}", findings.models
    counts = {metric_label(metric): n_behind(findings, metric, models) for metric in metrics}
    counts["AUC of the next company"] = n_behind(findings, "roc_auc", models, "n_heterogeneity")
    parts = [f"{name} {of}" for name, of in counts.items() if of not in ("", n)]
    notes = [f"Not all figures are of {n} companies: {', '.join(parts)}."] if parts else []
    if findings.sample is not None:
        drawn, of_all = findings.sample
        notes.append(
            f"Values and their intervals are for all {of_all:,} companies; predictions for the "
            f"next one are for the {drawn:,} in the sample."
        )
    return " ".join(notes)


def conditions(findings: Findings, metrics: Sequence[str] = (LOSS, "roc_auc")) -> list[str]:
    """Return the conditions on which intervals over customers hold, each once."""
    found = (
        findings.condition(metric, model, estimand)
        for metric in metrics
        for model in findings.models
        for estimand in ("row", "within_company")
    )
    return sorted({condition for condition in found if condition})
