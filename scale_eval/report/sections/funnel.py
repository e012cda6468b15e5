"""The section that shows what small numbers do by themselves."""

from __future__ import annotations

from scale_eval.report.findings import Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section
from scale_eval.results.estimates import MIN_COMPANIES


def funnel(findings: Findings) -> Section | None:
    """Make the section; None below five companies, of which the spread cannot be told."""
    if findings.n_companies < MIN_COMPANIES:
        return None
    model = findings.best_ranking_model
    return Section(
        "What do small numbers do by themselves?",
        figure=draw("funnel", findings, model=model),
        alt=f"AUC of each company against its number of buyers, for {model}.",
        text=[
            "The fewer its buyers, the more chance decides a company's AUC. Inside the dashed "
            "lines a company differs from the others by no more than that."
        ],
    )
