"""The section that shows how scores are spread."""

from __future__ import annotations

from scale_eval.report.findings import Findings
from scale_eval.report.plots import draw
from scale_eval.report.section import Section


def scores(findings: Findings) -> Section | None:
    """Make the section; None where there are no scores."""
    if not findings.models or findings.score_spread.empty:
        return None
    return Section(
        "How are the scores spread?",
        figure=draw("scores", findings),
        alt="Histograms of the probabilities that each model gave, of customers who bought and of "
        "those who did not.",
        text=[
            "The further apart the two, the better a model tells buyers from others. A bar that "
            "towers above its neighbours is of customers with the same score, who stand in no "
            "order."
        ],
    )
