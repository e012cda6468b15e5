"""The section that says whether results hold over time."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.half_years import at_cutoff, lead, leader_of
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    difference_with_interval,
    number,
    percent,
)


def over_time(findings: Findings) -> Section | None:
    """Make the section; None with a single cutoff."""
    periods = findings.periods
    if not findings.models or findings.n_cutoffs < 2:
        return None
    best = findings.models[0]
    rows = [
        {
            "cutoff": f"{row.cutoff:%Y-%m-%d}",
            "companies": f"{row.n_companies:,}",
            "customers": f"{row.n_customers:,}",
            "bought": percent(row.observed_rate),
            "lapsed": percent(row.share_lapsed),
            "reference log loss": number(row.reference_log_loss),
            "uncertainty": number(row.uncertainty),
            "drift": number(row.drift),
            f"log loss of {best}": number(row.log_loss),
            **_leader_at(findings, row.cutoff),
        }
        for row in periods[
            (periods["companies"] == "all")
            & (periods["model"] == best)
            & (periods["n_companies"] > 0)
            & periods["cutoff"].notna()
        ].itertuples()
    ]
    return Section(
        "Does it hold over time?",
        figure=draw("over_time", findings),
        alt="Skill, AUC and rates cutoff by cutoff, for the same companies.",
        text=[
            "The reference is the base rate known at the cutoff. Its loss is the uncertainty that "
            "even the observed rate would leave, and drift: what it loses because the rate moved. "
            "A model that saves no more than the drift tells no customers apart."
        ],
        tables=[table("All companies at each cutoff", rows)],
    )


def _leader_at(findings: Findings, cutoff: pd.Timestamp) -> dict[str, str]:
    """Return which model has the lowest log loss at a cutoff, and how far the overall one lags."""
    best, rows = findings.models[0], at_cutoff(findings, cutoff)
    leader = leader_of(rows)
    by = "" if leader == best else difference_with_interval(*lead(rows, leader, best))
    return {"lowest log loss": leader, "lower by": by}
