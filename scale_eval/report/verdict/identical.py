"""Find models that are one and the same: they made the same predictions."""

from __future__ import annotations

from scale_eval.models import BASELINES
from scale_eval.report.findings import LOSS, Findings


def distinct_models(findings: Findings) -> dict[str, list[str]]:
    """Return the models that differ, best first, each with those that are identical to it.

    Of identical models a baseline stands for the others, or else the first.
    """
    groups: list[list[str]] = []
    for model in findings.models:
        group = next((g for g in groups if are_identical(findings, g[0], model)), None)
        if group is None:
            groups.append([model])
        else:
            group.append(model)
    ordered = [sorted(group, key=lambda model: model not in BASELINES) for group in groups]
    return {first: others for first, *others in ordered}


def are_identical(findings: Findings, a: str, b: str) -> bool:
    """Return whether two models have the same figures at every company, by every metric.

    No company's log loss differs, nor the part in it of any group of customers, nor the mean of any
    other metric.
    """
    pair = findings.pair(LOSS, a, b)
    if pair is None or pair.better_by != 0 or pair.std_error > 0 or pair.sampling_std_error > 0:
        return False
    first, second = sorted([a, b])
    rows = findings.comparisons
    rows = rows[(rows["model_a"] == first) & (rows["model_b"] == second)]
    return bool((rows["mean_difference"].fillna(0.0) == 0).all())
