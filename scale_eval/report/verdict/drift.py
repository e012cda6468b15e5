"""Say what the best model's saving against the base rate is made of.

saved = drift + discrimination - miscalibration (`scale_eval.statistics.saved_loss`). Drift is what
the base rate loses, and not what the model foresaw: a model whose level is as wrong as the base
rate's gains nothing by it, and its miscalibration says so. The two are therefore told side by side,
each as the loss of the one whose it is. All are shares of the base rate's log loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from scipy.special import stdtrit

from scale_eval.report.findings import LOSS, Findings
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, reach
from scale_eval.report.wording import number, percent, percent_with_interval, step_of_difference


class _Term(NamedTuple):
    """A term with its 95 % interval and the margin, as shares of the base rate's log loss."""

    value: float
    low: float
    high: float
    margin: float

    @property
    def matters(self) -> bool:
        """Return whether the term is surely above 0, and larger than the margin."""
        return self.low > 0 and self.value > self.margin

    @property
    def is_small(self) -> bool:
        """Return whether the term is surely smaller than the margin."""
        return self.high < self.margin


def parts_of_the_saving(findings: Findings, best: str) -> Iterator[str]:
    """Say what a saving is made of, where it is surely one; of parts that are noise, nothing."""
    rows = findings.periods
    rows = rows[rows["cutoff"].isna() & (rows["model"] == best)]
    pair = findings.pair(LOSS, best, "base_rate")
    if pair is None or rows.empty or pd.isna(rows.iloc[0]["discrimination"]):
        return
    if not (reach(findings, pair)[0] > 0 and pair.better_by > pair.margin):
        return
    drift, discrimination, miscalibration = (
        _term(rows.iloc[0], name, pair.margin)
        for name in ("drift", "discrimination", "miscalibration")
    )
    apart = percent_with_interval(*discrimination[:3])
    if findings.n_companies < MIN_FOR_THE_NEXT:
        apart = percent(discrimination.value)
    whose = "" if findings.sample is None else "In the sample, "
    if discrimination.matters:
        sentence = f"{whose}telling customers apart saves {apart} of it."
    elif discrimination.is_small:
        sentence = f"{whose}hardly any of that comes from telling customers apart."
    else:
        sentence = f"{whose}whether it tells customers apart is not settled."
    yield sentence[0].upper() + sentence[1:]
    lost = percent(miscalibration.value)
    if drift.matters:
        beside = ""
        if miscalibration.matters:
            beside = f", and {best} {lost} because its probabilities were off in level or spread"
        elif miscalibration.is_small:
            beside = f"; {best} loses next to nothing by miscalibration"
        yield (
            f"The base rate loses {percent(drift.value)} because the rate that came was not the "
            f"one known at the cutoff, which nobody could know then (drift){beside}."
        )
    elif miscalibration.matters:
        yield f"{best} loses {lost} because its probabilities were off in level or spread."
    if miscalibration.matters:
        yield (
            f"Recalibration would win back {lost} at most{_by_corp(findings, best)}, if the same "
            "error comes again."
        )


def _term(row: pd.Series, name: str, margin: float) -> _Term:
    """Return a term of `periods`, of these companies where they are few.

    Otherwise its interval is the wider one of two, over companies and over customers: few of many
    companies are small, and theirs is most of the chance (docs/reference/statistics.md).
    """
    n, reference = int(row["n_companies"]), float(row["reference_log_loss"])
    half = 1.959964 * float(row[f"{name}_sampling_std_error"])
    if n >= MIN_FOR_THE_NEXT:
        half = max(half, float(stdtrit(n - 1, 0.975)) * float(row[f"{name}_std_error"]))
    value = float(row[name])
    return _Term(*(number / reference for number in (value, value - half, value + half, margin)))


def _by_corp(findings: Findings, model: str) -> str:
    """Return what the best recalibration of all customers pooled would save (CORP), in brackets."""
    rows = findings.decompositions
    rows = rows[(rows["model"] == model) & (rows["loss"] == LOSS)]
    if rows.empty or pd.isna(rows.iloc[0]["miscalibration"]):
        return ""
    saved = float(rows.iloc[0]["miscalibration"])
    step = step_of_difference(saved)
    return f" (in hindsight, over all customers pooled: {number(saved, step)} of log loss, CORP)"
