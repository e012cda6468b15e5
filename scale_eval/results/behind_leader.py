"""Compare each model with the one that leads over all cutoffs, also at single cutoffs."""

from __future__ import annotations

from typing import Any

import numpy as np

from scale_eval.results.estimates import mean_of
from scale_eval.results.panel import Panel
from scale_eval.results.saved import company_means

LED_BY = "log_loss"
"""The metric by which a model leads."""


def leader_of(panel: Panel) -> int:
    """Return the model with the lowest loss at the average company, on the common coverage.

    It is the position in the panel, the first of models that are level; 0 where no window is
    common.
    """
    losses = []
    for model in range(len(panel.models)):
        windows = panel.covered("common", model, panel.at(None))
        means = company_means(panel, windows, panel.values(LED_BY, model, windows))
        losses.append(means.mean() if len(means) else np.inf)
    return int(np.argmin(losses))


def behind_leader(panel: Panel, model: int, windows: np.ndarray, leader: int) -> dict[str, Any]:
    """Return by how much a model's loss is above the leader's at these windows, paired.

    The columns `behind_leader`, its mean over companies, and the ends of Student's 95 % interval.
    """
    loss, best = (panel.values(LED_BY, m, windows) for m in (model, leader))
    behind = company_means(panel, windows, loss - best)
    if not len(behind):
        return {}
    estimate = mean_of(behind)
    interval = estimate.interval()
    return {
        "behind_leader": estimate.value,
        "behind_leader_low": interval.low,
        "behind_leader_high": interval.high,
    }
