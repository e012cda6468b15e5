"""Write the sentences on what the leader saves against the base rate, and which models do not."""

from __future__ import annotations

from collections.abc import Iterator

from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.verdict.drift import parts_of_the_saving
from scale_eval.report.verdict.phrases import at_part, reach
from scale_eval.report.wording import (
    listed,
    part_of_companies,
    percent_with_interval,
)


def against_the_base_rate(findings: Findings, best: str) -> Iterator[str]:
    """Say what the leader saves, and which models are worse than the base rate, or not better."""
    skill = findings.figure("log_loss_skill", best)
    if best != "base_rate" and skill["value"] > 0:
        saved = percent_with_interval(skill["value"], skill["ci_low"], skill["ci_high"])
        yield (
            f"Against the base rate known at the cutoff {best} saves {saved} of log "
            f"loss{at_part(findings, int(skill['n_companies_defined']))}."
        )
        yield from parts_of_the_saving(findings, best)
    worse, not_better = [], []
    for model in findings.models:
        pair = findings.pair(LOSS, model, "base_rate") if model != "base_rate" else None
        if pair is None:
            continue
        low, high = reach(findings, pair)
        if high < 0:
            better_at = f" (though better at {part_of_companies(pair.wins, pair.n)})"
            few = pair.wins and pair.n <= MOST_COMPANIES
            worse.append(model + (better_at if few else ""))
        elif not low > 0:
            not_better.append(model)
    rate = "that base rate" if best != "base_rate" else "base_rate"
    if worse:
        yield f"Worse than {rate}: {listed(worse, most=None)}."
    if not_better:
        yield f"Not shown to be better than {rate}: {listed(not_better)}."
