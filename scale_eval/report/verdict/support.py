"""Write the sentences that support a verdict: what to expect, for whom, by which measure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.models import BASELINES
from scale_eval.report.findings import PRIMARY, Findings
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT, interval_of, margin_of
from scale_eval.report.wording import (
    chance,
    companies,
    listed,
    number,
    percent,
    percent_with_interval,
    share,
    span,
    step_of,
)

MISCALIBRATED = 0.05
"""Largest relative error of probabilities that a verdict does not mention."""


def against_the_base_rate(findings: Findings, best: str) -> Iterator[str]:
    """Say what the best model saves, and which models are worse than the base rate."""
    if best == "base_rate":
        return
    skill = findings.figure("log_loss_skill", best)
    if pd.isna(skill["value"]):
        return
    if skill["value"] > 0:
        saved = percent_with_interval(skill["value"], skill["ci_low"], skill["ci_high"])
        yield f"Against the base rate known at the cutoff {best} saves {saved} of log loss."
        yield from _drift(findings, best)
    worse = [
        model
        for model in findings.models
        if model != "base_rate"
        and (pair := findings.pair(PRIMARY, model, "base_rate"))
        and pair.surely_worse
    ]
    if worse:
        yield f"Worse than that base rate: {listed(worse)}."


def _drift(findings: Findings, best: str) -> Iterator[str]:
    """Say how much of the saving is drift of the rate of buyers, where it is most of it."""
    rows = findings.periods
    for row in rows[rows["cutoff"].isna() & (rows["model"] == best)].head(1).itertuples():
        if row.saved > 0 and row.drift >= row.saved:
            yield (
                "All of that is drift: the rate changed after the cutoff, and against the rate "
                f"then observed {best} saves nothing."
            )
        elif row.saved > 0 and row.drift > row.saved / 2:
            yield (
                f"Of what it saves, {percent(row.drift / row.saved)} is drift of the rate, which "
                "a base rate brought up to date would save as well."
            )


def other_metrics(findings: Findings, best: str) -> Iterator[str]:
    """Say which model ranks customers best, and how that fits its log loss."""
    few = findings.n_companies < MIN_FOR_THE_NEXT
    ranks = findings.leaderboard().get("roc_auc", pd.Series(dtype=float)).dropna()
    if best not in ranks:
        return
    rival = ranks.drop(best).idxmax() if len(ranks) > 1 else best
    pair = findings.pair("roc_auc", rival, best) if rival != best else None
    if pair is None:
        return
    low = pair.by_chance()[0] if few else pair.low
    step = step_of(pair.better_by)
    if low > 0 and pair.better_by > pair.margin:
        interval = "" if few else f" ({interval_of(pair)})"
        yield (
            f"{rival} ranks better, calibrated worse: its AUC is higher by "
            f"{number(pair.better_by, step)}{interval}, its log loss is not lower. Where only the "
            f"order of customers matters, take {rival}."
        )
    elif ranks.idxmax() == best and pair.better_by < -pair.margin:
        yield f"{best} also ranks customers best (AUC {number(ranks[best])})."
    else:
        others = [m for m in ranks.index if m != best and ranks[m] > ranks[best] - pair.margin]
        if others:
            yield (
                f"{listed(others)} {'ranks' if len(others) == 1 else 'rank'} customers as well as "
                f"{best} or nearly (AUC {number(ranks[best])}); the difference is in the "
                "probabilities."
            )
        else:
            yield f"{best} ranks customers with an AUC of {number(ranks[best])}."


def other_estimand(findings: Findings, best: str) -> Iterator[str]:
    """Say where another model is better over all customers than at the average company."""
    for rival in findings.models:
        pair = findings.pair(PRIMARY, best, rival, "row") if rival != best else None
        if pair is None or pair.better_by >= -pair.margin:
            continue
        surely = "" if pair.high < 0 else ", though not beyond doubt"
        yield (
            f"It differs between questions: over all customers pooled, where large companies "
            f"count by their size, {rival} has the lower log loss (by "
            f"{number(-pair.better_by, step_of(pair.better_by))}){surely}."
        )
        return


def for_whom(findings: Findings, best: str) -> Iterator[str]:
    """Name the classes of size for which another model is better."""
    for stratum in findings.strata:
        for rival in findings.models:
            if rival == best:
                continue
            pair = findings.pair(PRIMARY, best, rival, stratum=stratum)
            if pair is not None and pair.n >= MIN_FOR_THE_NEXT and pair.surely_worse:
                yield (
                    f"At companies of {stratum} choose {rival} instead: log loss lower by "
                    f"{number(-pair.better_by, step_of(pair.better_by))} "
                    f"({span(-pair.high, -pair.low, step_of(pair.better_by))}) there."
                )
                break


def next_company(findings: Findings, best: str) -> Iterator[str]:
    """Say what to expect at a company that was not evaluated."""
    row = findings.figure("roc_auc", best)
    if not pd.isna(row["prediction_low"]):
        yield (
            f"At a company not yet seen expect of {best} a true AUC between "
            f"{number(row['prediction_low'], 0.01)} and {number(row['prediction_high'], 0.01)} "
            f"(by {companies(int(row['n_heterogeneity']))} with enough buyers)."
        )
    if len(findings.models) < 2:
        return
    rival = next(model for model in findings.models if model != best)
    pair = findings.pair(PRIMARY, best, rival)
    if pair is not None and not np.isnan(pair.p_better_by_margin):
        yield (
            f"At the next company {best} is truly better than {rival} by more than "
            f"{margin_of(pair)} of log loss with a probability of "
            f"{chance(pair.p_better_by_margin)}, and worse by more than that with "
            f"{chance(pair.p_worse_by_margin)}."
        )


def calibration(findings: Findings) -> Iterator[str]:
    """Name the models whose probabilities are too high, too low, too bold or too timid."""
    models_by_fault: dict[str, list[str]] = {}
    for model in findings.models:
        if model in BASELINES and model != findings.models[0]:
            continue
        for fault in _faults(findings, model):
            models_by_fault.setdefault(fault, []).append(model)
    for fault, models in models_by_fault.items():
        yield f"Probabilities of {listed(models)} are {fault}."


def _faults(findings: Findings, model: str) -> Iterator[str]:
    ratio = findings.figure("observed_expected_ratio", model)
    if _is_off(ratio, 1.0) and ratio["value"] > 0 and abs(np.log(ratio["value"])) > MISCALIBRATED:
        excess = 1 / ratio["value"] - 1
        yield f"too {'high' if excess > 0 else 'low'} by {share(abs(excess))}"
    slope = findings.figure("calibration_slope", model)
    if _is_off(slope, 1.0) and not 0.8 < slope["value"] < 1.25:
        fault = "too bold" if slope["value"] < 1 else "too timid"
        if slope["value"] <= 0:
            fault = "the wrong way round"
        yield f"{fault} (slope {number(slope['value'], 0.01)})"


def _is_off(row: pd.Series, target: float) -> bool:
    """Return whether the interval, or the value where there is none, misses the target."""
    if pd.isna(row["value"]):
        return False
    return bool(pd.isna(row["ci_low"]) or not row["ci_low"] <= target <= row["ci_high"])
