"""Compare each model with the one that leads over all cutoffs, also at single cutoffs."""

from __future__ import annotations

from typing import Any

import numpy as np

from scale_eval.results.estimates import mean_of
from scale_eval.results.panel import Panel

LED_BY = "log_loss"
"""The metric by which a model leads."""


def leader_of(panel: Panel) -> int:
    """Return the model with the lowest loss at the average company, on the common coverage.

    It is the position in the panel, the first of models that are level; 0 where no window is
    common.
    """
    losses = [
        _company_means(panel, windows, panel.columns[LED_BY][windows, model]).mean()
        if len(windows := panel.covered("common", model, panel.at(None)))
        else np.inf
        for model in range(len(panel.models))
    ]
    return int(np.argmin(losses))


def behind_leader(panel: Panel, model: int, windows: np.ndarray, leader: int) -> dict[str, Any]:
    """Return by how much a model's loss is above the leader's at these windows, paired.

    The columns `behind_leader`, its mean over companies, and the ends of Student's 95 % interval.
    """
    losses = panel.columns[LED_BY]
    behind = _company_means(panel, windows, losses[windows, model] - losses[windows, leader])
    if not len(behind):
        return {}
    estimate = mean_of(behind)
    interval = estimate.interval()
    return {
        "behind_leader": estimate.value,
        "behind_leader_low": interval.low,
        "behind_leader_high": interval.high,
    }


def _company_means(panel: Panel, windows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the means of companies over their windows with a value, one a company with any."""
    held = ~np.isnan(values)
    company = panel.company[windows[held]]
    n = np.bincount(company, minlength=panel.n_companies)
    sums = np.bincount(company, weights=values[held], minlength=panel.n_companies)
    return np.asarray(sums[n > 0] / n[n > 0])
