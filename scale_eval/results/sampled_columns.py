"""The columns of a figure that is estimated from a sample of companies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scale_eval.results.conditions import condition_of_sample
from scale_eval.statistics import survey
from scale_eval.statistics.survey import Design, Figure
from scale_eval.statistics.undefined import Undefined


def columns_of(
    design: Design,
    name: str,
    figure: Callable[[], Figure],
    refusal: str = "",
    sizes: Sequence[np.ndarray] = (),
) -> dict[str, Any]:
    """Return the columns of a figure.

    Parameters
    ----------
    name : str
        The column `figure`.
    figure : callable
        Makes it; raises `Undefined`.
    refusal : str
        The reason why it has no interval, whatever its influence.
    sizes : sequence of ndarray, shape (n,)
        Those of `condition_of_sample`; none where each company counts once.
    """
    try:
        made = figure()
    except Undefined as undefined:
        reason = undefined.reason
        return {"figure": name, "value": np.nan, "reason": reason, "ci_reason": reason}
    row: dict[str, Any] = {
        "figure": name,
        "value": made.value,
        "reason": "",
        "ci_reason": "",
        "n_counted": int(np.count_nonzero(made.amounts)),
        "n_effective": design.n_effective(made.amounts),
    }
    if np.isnan(made.influence).any():
        refusal = "no_spread"
    if refusal:
        return row | {"ci_reason": refusal}
    try:
        error, low, high = made.interval(design)
        df = design.error(made.influence).df
    except Undefined as undefined:
        return row | {"ci_reason": undefined.reason}
    row |= {"std_error": error, "ci_low": low, "ci_high": high, "degrees_of_freedom": df}
    return row | {"ci_condition": condition_of_sample(design, made.amounts, sizes)}


def columns_of_quantile(design: Design, name: str, values: np.ndarray, at: float) -> dict[str, Any]:
    """Return the columns of a quantile of companies' values, shape (n,), NaN not counted."""
    row: dict[str, Any] = {"figure": name, "reason": "", "ci_reason": ""}
    counted = ~np.isnan(values)
    try:
        value, error, low, high = survey.quantile(design, values, at)
    except Undefined as undefined:
        return row | {"reason": undefined.reason, "ci_reason": undefined.reason}
    return row | {
        "value": value,
        "std_error": error,
        "ci_low": low,
        "ci_high": high,
        "n_counted": int(counted.sum()),
        "n_effective": design.n_effective(counted.astype(float)),
    }
