"""Say whether probabilities can be taken at their word, the first question of a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scale_eval.report.findings import Findings
from scale_eval.report.verdict.calibration import T_OF_GROUPS, faults, is_off
from scale_eval.report.verdict.phrases import MIN_FOR_THE_NEXT
from scale_eval.report.wording import listed, number, span

NEARLY_ONE = 0.1
"""Largest relative error, by its interval, of probabilities that are taken at their word."""

APART = 0.25
"""Relative difference of single companies' observed over expected that is mentioned."""


CHANGED = 0.1
"""Relative change of the level, in the latest windows, that is mentioned."""


def at_their_word(findings: Findings, model: str) -> Iterator[str]:
    """Say whether the probabilities of a model are what is observed, on average."""
    row = findings.figure("observed_expected_ratio", model)
    found = [f"{fault} {size}" for fault, size in faults(findings, model)]
    if pd.isna(row["value"]) and not found:
        return
    low, high = _interval(row)
    shown = "observed over expected "
    shown += "is not known" if pd.isna(row["value"]) else number(row["value"], 0.01)
    if np.isfinite(low):
        shown += f" ({span(low, high, 0.01)})"
    elsewhere = _elsewhere(findings, model, row)
    whose = f"The probabilities of {model}"
    nearly = len(found) == 1 and abs(np.log(max(float(row["value"]), 1e-9))) <= NEARLY_ONE
    if nearly and is_off(row, 1.0):
        yield f"{whose} are nearly right on average, {found[0]}: {shown}{elsewhere}."
    elif found:
        yield (
            f"{whose} cannot be taken at their word: they are {listed(found)}; {shown}{elsewhere}. "
            "Recalibrate them before they are used as rates."
        )
    elif np.isfinite(low) and max(abs(np.log(max(low, 1e-9))), abs(np.log(high))) <= NEARLY_ONE:
        yield f"{whose} can be taken at their word on average, within 10 %: {shown}{elsewhere}."
    else:
        yield (
            f"Whether the probabilities of {model} can be taken at their word, within 10 %, is not "
            f"settled: {shown}{elsewhere}."
        )


def _interval(row: pd.Series) -> tuple[float, float]:
    """Return the interval over companies, or that of chance among customers where there is none."""
    if not pd.isna(row["ci_low"]):
        return float(row["ci_low"]), float(row["ci_high"])
    half = T_OF_GROUPS * float(row["sampling_std_error"])
    return float(row["value"]) - half, float(row["value"]) + half


def _elsewhere(findings: Findings, model: str, row: pd.Series) -> str:
    """Say how far companies differ, where the average hides it."""
    if findings.n_companies >= MIN_FOR_THE_NEXT:
        low, high = row["prediction_low"], row["prediction_high"]
        if pd.isna(low) or not np.log(high / max(low, 1e-9)) > APART:
            return ""
        return f"; at a company not yet seen between {span(low, high, 0.01).replace('to', 'and')}"
    metric = "observed_expected_ratio"
    own = findings.companies(metric)[model].dropna()
    text = ""
    if len(own) > 1 and own.min() > 0 and np.log(own.max() / own.min()) > APART:
        text = f"; at single companies {span(own.min(), own.max(), 0.01)}"
    latest = findings.companies(metric, "latest")[model].dropna()
    if len(latest) and latest.min() > 0 and abs(np.log(latest.mean() / row["value"])) > CHANGED:
        ends = number(latest.iloc[0], 0.01)
        if len(latest) > 1:
            ends = span(latest.min(), latest.max(), 0.01)
        text += f"; in the latest {findings.window} of each, {ends}"
    return text
