"""The section that says what the customers ranked highest hold."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.gains import gain_curves
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import percent_with_interval

SHOWN = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
"""The depths of the table."""


def gains(findings: Findings) -> Section | None:
    """Make the section; None where no model is compared or nobody bought."""
    curves = gain_curves(findings)
    models = [model for model in findings.models if model in curves]
    if not models:
        return None
    text = [
        "Customers are contacted from the highest score down. The curves say what share of the "
        "later buyers, and of their spend, those have who are reached; random order gives the "
        "dotted line.",
        "With the cost of a contact and the profit share of the spend, run.plot_gains(cost=..., "
        "margin=...) draws the profit, and marks how far down it is worth going. It counts who "
        "buys, not who buys because of the contact.",
    ]
    if findings.sample is not None:
        text.append("They are of the companies in the sample, not of all.")
    tables = [
        table(f"Share of {what} among the customers ranked highest", rows)
        for counted, what in (("buyers", "the buyers"), ("spend", "the later spend"))
        if (rows := [_row(curves[model], model, counted) for model in models])
    ]
    return Section(
        "How far down the list is it worth going?",
        figure=draw("gains", findings),
        alt="Share of the buyers and of the later spend that the customers ranked highest hold, by "
        "share of customers and model; the tables below have the figures.",
        text=text,
        tables=tables,
    )


def _row(rows: pd.DataFrame, model: str, counted: str) -> dict[str, str]:
    """Return the shares of one model by the columns of the table."""
    shares = rows[(rows["counted"] == counted)].set_index("depth")
    return {"model": model} | {
        f"first {100 * depth:.0f} %": _share(shares.loc[depth]) for depth in SHOWN
    }


def _share(row: pd.Series) -> str:
    if pd.isna(row["share"]):
        return ""
    return percent_with_interval(row["share"], row["ci_low"], row["ci_high"])
