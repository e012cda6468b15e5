"""What a notebook shows of a verdict and of a run."""

from __future__ import annotations

from html import escape

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.wording import companies, metric_words, number, span

_SHOWN = {"log_loss": 3, "log_loss_skill": 3, "roc_auc": 3, "observed_expected_ratio": 2}
"""Metrics of the leaderboard, with their decimals."""


def sentences_html(headline: str, support: list[str], reservations: list[str]) -> str:
    """The headline, what it rests on, and what speaks against it."""
    parts = [f"<p><b>{escape(headline)}</b></p>"]
    for title, sentences in (("Why", support), ("With what reservations", reservations)):
        if sentences:
            items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
            parts.append(f"<p>{title}</p><ul>{items}</ul>")
    return "".join(parts)


def leaderboard(findings: Findings) -> pd.DataFrame:
    """Models at the average company, best first, as text: with 95 % intervals where there are."""
    figures = {
        metric_words(metric): [
            _told(findings.figure(metric, model), 10.0**-decimals) for model in findings.models
        ]
        for metric, decimals in _SHOWN.items()
    }
    return pd.DataFrame(figures, index=pd.Index(findings.models, name="model"))


def leaderboard_html(findings: Findings) -> str:
    """The same, and how it is to be read."""
    told = f"Each of {companies(findings.n_companies)} counts once, on the windows that every model"
    table = leaderboard(findings).to_html(border=0)
    return f"{table}<p>{told} answered; in brackets 95 % intervals.</p>"


def _told(row: pd.Series, step: float) -> str:
    if pd.isna(row["value"]):
        return ""
    told = number(row["value"], step)
    if pd.isna(row["ci_low"]):
        return told
    return f"{told} ({span(row['ci_low'], row['ci_high'], step)})"
