"""Show a verdict and a run as HTML in a notebook."""

from __future__ import annotations

from html import escape

import pandas as pd

from scale_eval.report.companies_behind import companies_behind
from scale_eval.report.findings import Findings
from scale_eval.report.wording import (
    companies,
    figure_with_interval,
    flattered,
    metric_label,
    step_apart,
)

_SHOWN = {"log_loss": 3, "log_loss_skill": 3, "roc_auc": 3, "observed_expected_ratio": 2}
"""Metrics of the leaderboard, with their numbers of decimals."""


def sentences_html(
    headline: str, uses: list[str], support: list[str], reservations: list[str]
) -> str:
    """Return the headline, what it means by use, the reasons and the reservations as HTML."""
    parts = [f"<p><b>{escape(headline)}</b></p>"]
    for title, sentences in (
        ("For which use", uses),
        ("Why", support),
        ("With what reservations", reservations),
    ):
        if sentences:
            items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
            parts.append(f"<p>{title}</p><ul>{items}</ul>")
    return "".join(parts)


def leaderboard(findings: Findings) -> pd.DataFrame:
    """Return the models at the average company, best first, as text with 95 % intervals.

    Models have short names.
    """
    findings = findings.short
    figures = {}
    for metric, decimals in _SHOWN.items():
        rows = [findings.figure(metric, model) for model in findings.models]
        step = 10.0**-decimals
        if findings.better(metric) == "lower":
            step = step_apart((row["value"] for row in rows), step)
        figures[metric_label(metric)] = [_figure(row, step) for row in rows]
    return pd.DataFrame(figures, index=pd.Index(findings.models, name="model"))


def leaderboard_html(findings: Findings) -> str:
    """Return the leaderboard as HTML, with a note on how to read it."""
    table = leaderboard(findings).to_html(border=0)
    n = companies(findings.n_companies)
    notes = [
        f"Each of {n} counts once, on the windows that every model predicted; in brackets 95 % "
        "intervals.",
        companies_behind(findings),
        *flattered(findings.short.models),
    ]
    return f"{table}<p>{escape(' '.join(filter(None, notes)))}</p>"


def _figure(row: pd.Series, step: float) -> str:
    return "" if pd.isna(row["value"]) else figure_with_interval(row, step)
