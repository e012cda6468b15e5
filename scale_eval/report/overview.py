"""Print what a run found: its companies, its leaderboard, and how its evaluations ended."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from scale_eval.report.at_a_glance import at_a_glance
from scale_eval.report.companies_behind import companies_behind
from scale_eval.report.extremes import extremes_by
from scale_eval.report.findings import Findings
from scale_eval.report.frame_table import frame_table
from scale_eval.report.names import elided
from scale_eval.report.verdict import Verdict
from scale_eval.report.wording import (
    NEGLIGIBLE,
    companies,
    flattered,
    interval_step,
    metric_label,
    number,
    span,
    step_apart,
)

LEADERBOARD = (
    "log_loss",
    "log_loss_skill",
    "roc_auc",
    "value_captured_at_10",
    "observed_expected_ratio",
)
"""The metrics of the leaderboard."""

WIDE = 90
"""Columns of a terminal from which the next company's AUC is in the leaderboard."""

EXTREMES = 3
"""Number of companies shown as worst, and as best."""

MOST_MODELS = 4
"""Largest number of models side by side in a terminal of 80 columns."""

LONGEST_COMPANY = 20
"""Longest name of a company that is shown whole in a terminal."""


def overview(findings: Findings, width: int = 80) -> RenderableType:
    """Return tables of the companies, the leaderboard, and how evaluations ended.

    Below a `width` of 90 columns the prediction for the next company is left out, and the skill
    where the metric that decides needs its place.
    """
    findings = findings.short
    counts = findings.statuses.pivot_table(
        index="model", columns="status", values="n", aggfunc="sum", fill_value=0
    )
    models = [*findings.models, *(m for m in counts.index if m not in findings.models)]
    step = step_apart(findings.figure("log_loss", m)["value"] for m in findings.models)
    skills = [_figure(findings, "log_loss_skill", m) for m in models]
    narrow = width < WIDE and findings.primary not in LEADERBOARD
    predicted = [_prediction(findings.figure("roc_auc", m)) for m in models]
    board = pd.DataFrame(
        {
            "model": models,
            **_deciding_figure(findings, models),
            "log loss": [_figure(findings, "log_loss", m, step=step) for m in models],
            **({} if narrow else {"skill": skills}),
            "AUC": [_figure(findings, "roc_auc", m) for m in models],
            **({"AUC next\ncompany": predicted} if width >= WIDE else {}),
            "spend in\ntop tenth": [_figure(findings, "value_captured_at_10", m) for m in models],
            "O:E": [_figure(findings, "observed_expected_ratio", m, step=0.01) for m in models],
        }
    )
    board = board.loc[:, [c for c in board if (board[c] != "").any()]]
    parts: list[RenderableType] = [
        *company_tables(findings),
        frame_table(board),
        Text(
            " ".join(
                [
                    *filter(None, [_what_counts(findings)]),
                    *filter(None, [companies_behind(findings)]),
                    *flattered(findings.models),
                ]
            ),
            style="dim",
        ),
        Text(),
        frame_table(counts.reset_index()),
    ]
    others = findings.statuses[findings.statuses["status"] != "ok"]
    reasons = others.groupby(["status", "reason"])["n"].sum()
    if len(reasons):
        counted = "; ".join(f"{status} {reason}: {n:,}" for (status, reason), n in reasons.items())
        parts.append(Text(counted, style="dim"))
    return Group(*parts)


def _about_companies(findings: Findings) -> str:
    """Say what stands in the rows of the companies."""
    return (
        f"Customers are those of the latest {findings.window}; O:E is that of "
        f"{findings.models[0]}, over all customers of the company; in brackets chance among "
        "customers.\n"
    )


def _what_counts(findings: Findings) -> str:
    """Say what the figures of the leaderboard are of."""
    if not findings.models:
        return ""
    if findings.n_companies == 1:
        return "Of one company, on the windows that every model predicted."
    return (
        f"Each of {companies(findings.n_companies)} counts once, on the windows that every model "
        "predicted; below a figure its 95 % interval over companies."
    )


def _deciding_figure(findings: Findings, models: list[str]) -> dict[str, list[str]]:
    """Return a column of the metric that decides, unless the leaderboard has it anyway."""
    metric = findings.primary
    if metric in LEADERBOARD:
        return {}
    values = (findings.figure(metric, model)["value"] for model in findings.models)
    step = step_apart(values)
    label = metric_label(metric).replace(" ", "\n", 1)
    return {label: [_figure(findings, metric, model, step=step) for model in models]}


def _figure(findings: Findings, metric: str, model: str, *, step: float = 0.001) -> str:
    """Return a figure with its interval on the next line."""
    row = findings.figure(metric, model)
    value, low, high = row["value"], row["ci_low"], row["ci_high"]
    if pd.isna(value):
        return ""
    shown = number(value, step)
    return f"{shown}\n{_interval(value, low, high)}" if high - low > NEGLIGIBLE else shown


def _prediction(row: pd.Series) -> str:
    low, high = row["prediction_low"], row["prediction_high"]
    return "" if pd.isna(low) else _interval(low, low, high)


def _interval(value: float, low: float, high: float) -> str:
    """Return an interval in two decimals, or in more where an end would look like the value."""
    return span(low, high, interval_step(value, low, high, 0.01))


def company_tables(findings: Findings) -> list[RenderableType]:
    """Return tables of each company where these are few, and else of the worst and the best."""
    rows = at_a_glance(findings)
    if not rows:
        return _worst_and_best(findings)
    names = {row.company: elided(row.company, LONGEST_COMPANY) for row in rows}
    models = findings.ranking_models[:MOST_MODELS]
    best_by = metric_label(findings.primary)
    contests = pd.DataFrame(
        {
            "company": [names[row.company] for row in rows],
            "customers": [f"{row.n_customers:,}" for row in rows],
            f"{findings.window}s": [str(row.n_windows) for row in rows],
            f"best by {best_by}": [
                f"{row.best}\nby {row.lead}" if row.lead else row.best for row in rows
            ],
            "O:E": ["" if np.isnan(r.ratio) else number(r.ratio, 0.01) for r in rows],
        }
    )
    held = pd.DataFrame(
        {
            "company": [names[row.company] for row in rows],
            **{model: ["\n".join(row.held_by(model)) for row in rows] for model in models},
        }
    )
    remarks = [f"{names[row.company]}: {'; '.join(row.remarks)}." for row in rows if row.remarks]
    return [
        frame_table(contests, whole=("company",)),
        Text(_about_companies(findings), style="dim"),
        frame_table(held, whole=("company", *models)),
        *(Text(remark, style="dim") for remark in remarks),
        Text(),
    ]


def verdict_lines(verdict: Verdict, width: int) -> Text:
    """Return the sentences of a verdict in parts, as lists under its headline, in `width`."""
    lists = {
        "For which use": verdict.uses,
        "Why": verdict.support,
        "What speaks against relying on it": verdict.reservations,
    }
    text = Text(_wrapped(verdict.headline, width), style="bold")
    for title, sentences in lists.items():
        if sentences:
            items = [_wrapped(sentence, width, "- ", "  ") for sentence in sentences]
            text.append("\n".join(["", "", title, *items]), style="not bold")
    return text


def _wrapped(sentence: str, width: int, first: str = "", others: str = "") -> str:
    """Return a sentence in lines that do not part a number from its percent sign."""
    lines = textwrap.wrap(
        sentence.replace(" %", "\N{NO-BREAK SPACE}%"),
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def _worst_and_best(findings: Findings) -> list[RenderableType]:
    """Return the companies at which the best ranking model is worst and best, by shrunk AUC."""
    if not findings.models:
        return []
    model = findings.best_ranking_model
    rows = extremes_by(findings, model)
    if len(rows) <= 2 * EXTREMES:
        return []
    ends = pd.concat([rows.head(EXTREMES), rows.tail(EXTREMES)])
    shown = pd.DataFrame(
        {
            "company": [elided(str(company), LONGEST_COMPANY) for company in ends.index],
            "customers": [f"{n:,.0f}" for n in ends["n_customers"]],
            "buyers": [f"{n:,.0f}" for n in ends["n_positive"]],
            "AUC": [number(value) for value in ends["auc_mean"]],
            "shrunk": [number(value) for value in ends["auc_shrunk"]],
            "": ["worst"] * EXTREMES + ["best"] * EXTREMES,
        }
    )
    note = (
        f"{model} ranks customers worst and best at these of {len(rows):,} companies with buyers "
        "enough, by the AUC shrunk towards the mean of all."
    )
    return [frame_table(shown), Text(note, style="dim"), Text()]
