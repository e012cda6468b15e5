"""Say how far a model is favoured by being picked: the winner's curse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.verdict.identical import are_identical, distinct_models
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, at_part, two_digits
from scale_eval.report.wording import count, difference_with_interval, number
from scale_eval.results.tables.choice_regret import OVERALL


def selection(findings: Findings, choice: str | None) -> Iterator[str]:
    """Say that the model named was picked on these data, and how much of its lead it kept.

    The choice is made again on all windows of a company but the last, and judged at the last.
    """
    rivals = [model for model in distinct_models(findings) if model != choice]
    if choice is None or not rivals:
        return
    picked = f"{choice} was picked from {count(len(findings.models), 'model')} on these data, which"
    row = _checked(findings) if findings.primary == LOSS else None
    if row is None or row["reason"]:
        yield f"{picked} flatters it; {_unchecked(findings)}."
    elif row["model"] == choice or are_identical(findings, row["model"], choice):
        yield f"{picked} {_lead_kept(findings, row)}."
    else:
        yield f"{picked} flatters it: {_other_choice(findings, row)}."
    pair = findings.pair(findings.primary, choice, rivals[0])
    speaks_of_others = findings.n_companies >= MIN_FOR_THE_NEXT  # as p does
    if speaks_of_others and pair is not None and pair.mean_p_adjusted > 0.05:
        yield (
            f"Allowing for all the comparisons, its mean lead over {rivals[0]} has p = "
            f"{number(pair.mean_p_adjusted)}."
        )


def _checked(findings: Findings) -> pd.Series | None:
    """Return the choice that is judged at each company's own last window."""
    rows = findings.choice_regret
    rows = rows[(rows["rule"] == OVERALL) & rows["cutoff"].isna()]
    rows = rows[rows["against"] == "runner_up"]
    return rows.iloc[0] if len(rows) else None


def _unchecked(findings: Findings) -> str:
    if findings.primary != LOSS:
        return "by how much is checked for the log loss only"
    if findings.n_cutoffs <= 1:
        return f"with one {findings.window} it cannot be checked by how much"
    return f"no company has an earlier {findings.window}, by which it could be checked how much"


def _lead_kept(findings: Findings, row: pd.Series) -> str:
    other, where = row["model_b"], at_part(findings, int(row["n_companies"]))
    promised, earlier = two_digits(row["promised"]), f"the earlier {findings.window}s{where}"
    value, *ends = row["kept"], row["kept_low"], row["kept_high"]
    if row["n_companies"] < MIN_FOR_THE_NEXT:
        ends = [np.nan, np.nan]
    kept = difference_with_interval(value, *ends)
    pair = findings.pair(findings.primary, row["model"], other)
    if pair is not None and row["promised"] <= pair.margin:
        return (
            f"flatters it; by how much cannot be judged on {earlier}, where it had led {other} by "
            f"{promised}, less than the margin"
        )
    if value >= row["promised"]:
        return (
            f"may flatter it, but this does not show: chosen on {earlier}, where it led {other} by "
            f"{promised}, it led by {kept} in the last"
        )
    chosen = f"flatters it: chosen on {earlier} it had led {other} by {promised}"
    if value > 0:
        return f"{chosen} and kept {kept} of it in the last"
    behind = difference_with_interval(-value, *(-end for end in reversed(ends)))
    return f"{chosen}, and in the last {other} led by {behind}"


def _other_choice(findings: Findings, row: pd.Series) -> str:
    where = at_part(findings, int(row["n_companies"]))
    told = f"on the earlier {findings.window}s{where} {row['model']} would have been picked"
    if row["regret"] > 0:
        lost = two_digits(row["regret"])
        return f"{told}, and in the last it was worse than {row['model_best']} by {lost}"
    return f"{told}, and it was the best in the last too"
