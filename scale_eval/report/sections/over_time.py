"""The section that says whether results hold over time."""

from __future__ import annotations

import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.half_years import at_cutoff, lead, leader_of
from scale_eval.report.plots import draw
from scale_eval.report.section import Section, table
from scale_eval.report.wording import (
    difference_with_interval,
    metric_label,
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
            "drift": number(row.drift),
            "discrimination": number(row.discrimination),
            "miscalibration": number(row.miscalibration),
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
            "The reference is the base rate known at the cutoff. What a model saves against it is "
            "drift + discrimination - miscalibration. Drift is what the base rate loses because "
            "the rate that came was not the one it knew; discrimination is what the model saves by "
            "telling customers apart; miscalibration is what it loses because its probabilities "
            "are off in level or spread. What small samples would feign is taken out, so that a "
            "term can be below 0."
        ],
        tables=[table("All companies at each cutoff", rows)],
    )


def _leader_at(findings: Findings, cutoff: pd.Timestamp) -> dict[str, str]:
    """Return which model is best at a cutoff, and how far the overall best one lags."""
    best, rows = findings.models[0], at_cutoff(findings, cutoff)
    leader = leader_of(rows)
    by = "" if leader in (best, "") else difference_with_interval(*lead(rows, leader, best))
    return {f"best by {metric_label(findings.primary)}": leader, "by": by}
