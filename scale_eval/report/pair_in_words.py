"""Say in a few words what is known of the difference between two models."""

from __future__ import annotations

from scale_eval.report.findings import Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, reach

NOT_KNOWN, HERE = "not known", " here"


def in_words(findings: Findings, pair: Pair) -> str:
    """Return the verdict on one pair, as the verdict of the run would be on these two models."""
    low, high = reach(findings, pair)
    few = findings.n_companies < MIN_FOR_THE_NEXT
    equal = max(-low, high) < pair.margin if few else pair.equivalent
    here = HERE if few else ""
    if equal:
        return f"differ by less than the margin{here}" if few else "equal: shown"
    if low > 0:
        return f"better{here}" if pair.better_by > pair.margin else "better, within the margin"
    if high < 0:
        return f"worse{here}" if -pair.better_by > pair.margin else "worse, within the margin"
    return NOT_KNOWN


def surely_better(findings: Findings, pair: Pair) -> str:
    """Return the model that is better by more than chance and more than the margin, or ""."""
    words = in_words(findings, pair).removesuffix(HERE)
    return {"better": pair.a, "worse": pair.b}.get(words, "")
