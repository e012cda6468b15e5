"""Write the sentences that support a verdict: what the leader saves, and how it ranks customers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.pair import Pair
from scale_eval.report.verdict.drift import parts_of_the_saving
from scale_eval.report.verdict.identical import are_identical, distinct_models
from scale_eval.report.verdict.phrases import at_part, margin_of, reach
from scale_eval.report.wording import (
    figure_with_interval,
    listed,
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
            worse.append(model)
        elif not low > 0:
            not_better.append(model)
    rate = "that base rate" if best != "base_rate" else "base_rate"
    if worse:
        yield f"Worse than {rate}: {listed(worse, most=None)}."
    if not_better:
        yield f"Not shown to be better than {rate}: {listed(not_better)}."


def ranking(findings: Findings, best: str) -> Iterator[str]:
    """Say how well the leader ranks customers, and whether it is shown to rank them best."""
    row = findings.figure("roc_auc", best)
    if best == "base_rate" or pd.isna(row["value"]):
        return
    auc = f"{figure_with_interval(row)}{at_part(findings, int(row['n_companies_defined']))}"
    pairs = _pairs_by_auc(findings, best)
    alike = [pair.b for pair in pairs if pair.equivalent]
    if pairs and all(reach(findings, pair)[0] > 0 for pair in pairs):
        yield f"{best} also ranks customers best: AUC {auc}."
    elif alike:
        yield (
            f"{best} ranks customers with an AUC of {auc}; {listed(alike)} "
            f"{'ranks' if len(alike) == 1 else 'rank'} them as well (the AUC differs by less than "
            f"{margin_of(pairs[0])}), and what differs is the probabilities."
        )
    else:
        yield f"{best} ranks customers with an AUC of {auc}."


def _pairs_by_auc(findings: Findings, best: str) -> list[Pair]:
    """Return the comparisons of the leader's AUC with those of all others that rank customers."""
    others = [
        model
        for model in distinct_models(findings)
        if model not in (best, "base_rate") and not are_identical(findings, best, model)
    ]
    pairs = (findings.pair("roc_auc", best, other) for other in others)
    return [pair for pair in pairs if pair is not None]
