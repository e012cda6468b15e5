"""The margin of a metric in a run: the smallest difference of practical interest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scale_eval.metrics import Metric
from scale_eval.results.panel import Panel
from scale_eval.results.ratio_terms import Terms

Margins = Mapping[str, float]
"""The margins that the user set, by metric."""


def margin_of(panel: Panel, metric: Metric, margins: Margins) -> float:
    """Return the margin that the user set, or else the metric's default in this run.

    The default of a loss is `relative_margin` times the mean loss of its reference at the average
    company: the mean over each company's common windows, then over companies. It is one number, so
    that ties mean the same for all pairs of models and all sizes of company. Where no common window
    has a reference, or where the reference loses nothing, the default is `Metric.margin`.
    """
    if metric.name in margins:
        return margins[metric.name]
    if metric.reference is None or metric.relative_margin is None:
        return metric.margin
    reference = _mean_reference(panel, metric.reference)
    return metric.relative_margin * reference if reference > 0 else metric.margin


def _mean_reference(panel: Panel, reference: str) -> float:
    """Return the mean of a column over companies; NaN where no common window has it.

    The reference of a window is the same for every model: that of the first one is taken.
    """
    windows = np.flatnonzero(panel.common)
    if not len(windows):
        return np.nan
    first = int(np.flatnonzero(panel.ok.any(axis=0))[0])
    losses = panel.columns[reference][:, first]
    counted = np.where(np.isnan(losses), np.nan, 1.0)
    figures = Terms(losses, counted).over(panel, windows).figures
    known = figures[~np.isnan(figures)]
    return float(known.mean()) if len(known) else np.nan
