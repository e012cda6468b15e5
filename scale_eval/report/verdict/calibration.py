"""Find probabilities that are too high, too low, too bold or too timid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scale_eval.metrics import N_GROUPS
from scale_eval.models import BASELINES
from scale_eval.report.at_a_glance import MOST_COMPANIES
from scale_eval.report.findings import Findings
from scale_eval.report.wording import listed, number, share

T_OF_GROUPS = float(stdtrit(N_GROUPS - 1, 0.975))
"""Student's quantile of errors that are estimated from the groups of customers."""

MISCALIBRATED = 0.05
"""Largest relative error of probabilities that a verdict does not mention."""


def calibration(findings: Findings, best: str) -> Iterator[str]:
    """Name the other models whose probabilities are too high, too low, too bold or too timid."""
    found: dict[str, list[tuple[str, str]]] = {}
    for model in findings.models:
        if model in BASELINES or model == best:
            continue
        for fault, size in faults(findings, model):
            found.setdefault(fault, []).append((model, size))
    for fault, models in found.items():
        if len(models) == 1:
            model, size = models[0]
            yield f"Probabilities of {model} are {fault} {size}."
        else:
            sizes = [f"{model} ({size.strip('()')})" for model, size in models]
            yield f"Probabilities of {listed(sizes)} are {fault}."


def faults(findings: Findings, model: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the probabilities of a model, and by how much."""
    ratio = findings.figure("observed_expected_ratio", model)
    if is_off(ratio, 1.0) and ratio["value"] > 0 and abs(np.log(ratio["value"])) > MISCALIBRATED:
        excess = 1 / ratio["value"] - 1
        yield (
            f"too {'high' if excess > 0 else 'low'}",
            f"by {share(abs(excess))}{_apart(findings, model)}",
        )
    slope = findings.figure("calibration_slope", model)
    if pd.isna(slope["value"]):  # where few companies have enough buyers, all share one slope
        slope = findings.figure("calibration_slope", model, "within_company")
    if is_off(slope, 1.0) and not 0.8 < slope["value"] < 1.25:
        fault = "too bold" if slope["value"] < 1 else "too timid"
        if slope["value"] <= 0:
            fault = "the wrong way round"
        yield fault, f"(slope {number(slope['value'], 0.01)})"


def _apart(findings: Findings, model: str) -> str:
    """Say where a model is right on single companies, of a few, though not on average."""
    own = findings.companies("observed_expected_ratio")[model].dropna()
    right = own[(own > 0) & (np.abs(np.log(own.clip(lower=1e-9))) <= MISCALIBRATED)]
    if not 1 < len(own) <= MOST_COMPANIES or right.empty:
        return ""
    return f", but right at {listed([str(company) for company in right.index])}"


def is_off(row: pd.Series, target: float) -> bool:
    """Return whether a figure is shown to miss its target.

    Its interval does, or, where there is none (of one company, say), that of chance among the
    customers.
    """
    if pd.isna(row["value"]):
        return False
    low, high = row["ci_low"], row["ci_high"]
    if pd.isna(low):
        half = T_OF_GROUPS * row["sampling_std_error"]
        low, high = row["value"] - half, row["value"] + half
    return bool(target < low or high < target)
