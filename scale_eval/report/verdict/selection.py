"""Say how far a model is favoured by being picked: the winner's curse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.report.findings import PRIMARY, Findings
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, two_digits
from scale_eval.report.wording import (
    companies,
    count,
    interval_step,
    number,
    span,
    step_of_difference,
)
from scale_eval.results.tables.choice_regret import OVERALL


def selection(findings: Findings, choice: str | None) -> Iterator[str]:
    """Say that the model named was picked on these data, and how much of its lead it kept.

    The choice is made again on all windows of a company but the last, and judged at the last.
    """
    if choice is None or len(findings.models) < 2:
        return
    picked = f"{choice} was picked from {count(len(findings.models), 'model')} on these data, which"
    row = _checked(findings)
    if row is None or row["reason"]:
        yield f"{picked} flatters it; {_unchecked(findings)}."
    else:
        yield f"{picked} {_lead_kept(findings, choice, row)}"
    rival = next(model for model in findings.models if model != choice)
    pair = findings.pair(PRIMARY, choice, rival)
    p = np.nan if pair is None else getattr(pair, "mean_p_adjusted", np.nan)
    if p > 0.05:
        yield (f"Allowing for all the comparisons, its mean lead over {rival} has p = {number(p)}.")


def _checked(findings: Findings) -> pd.Series | None:
    """Return the choice that is judged at each company's own last window."""
    rows = findings.choice_regret
    if rows.empty:
        return None
    rows = rows[(rows["rule"] == OVERALL) & rows["cutoff"].isna()]
    rows = rows[rows["against"] == "runner_up"]
    return rows.iloc[0] if len(rows) else None


def _unchecked(findings: Findings) -> str:
    if findings.n_cutoffs <= 1:
        return f"with one {findings.window} it cannot be checked by how much"
    return f"no company has an earlier {findings.window}, by which it could be checked how much"


def _lead_kept(findings: Findings, choice: str, row: pd.Series) -> str:
    window, other = findings.window, row["other"]
    n, interval = int(row["n_companies"]), ""
    low, high, step = row["kept_low"], row["kept_high"], step_of_difference(row["promised"])
    if n >= MIN_FOR_THE_NEXT and not np.isnan(low):
        step = interval_step(row["kept"], low, high, step)
        interval = f" ({span(low, high, step)})"
    promised, kept = number(row["promised"], step), number(row["kept"], step)
    where = f" (at the {companies(n)} with both)" if n < findings.n_companies else ""
    if row["model"] != choice:
        told = f"flatters it: on the earlier {window}s alone{where} {row['model']} would have been "
        if row["regret"] <= 0:
            return f"{told}picked, and it was the best in the last too."
        lost = two_digits(row["regret"])
        return f"{told}picked, and in the last it was worse than {row['best']} by {lost}."
    if row["kept"] >= row["promised"]:
        return (
            f"may flatter it, but this does not show: chosen on the earlier {window}s{where}, "
            f"where it led {other} by {promised}, it led by {kept}{interval} in the last."
        )
    if row["kept"] > 0:
        return (
            f"flatters it: chosen on the earlier {window}s{where} it had led {other} by "
            f"{promised} and kept {kept}{interval} of it in the last."
        )
    return (
        f"flatters it: chosen on the earlier {window}s{where} it had led {other} by {promised}, "
        f"and kept nothing of it in the last ({kept}{interval})."
    )
