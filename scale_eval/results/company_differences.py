"""How much better one model is than another at single companies, and how far chance makes that."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scale_eval.metrics import Metric
from scale_eval.results.compared_model import ComparedModel
from scale_eval.results.customer_influence import DEGREES_OF_FREEDOM, company_variances
from scale_eval.results.panel import Panel


def company_differences(panel: Panel, metric: Metric, a: str, b: str) -> pd.DataFrame:
    """Return how much better `a` is than `b` at each company, on the windows of both.

    Windows are those that every model predicted and where the metric is defined for both. Positive
    is better, whatever the direction of the metric; with a target, it is the distance from it.

    Returns
    -------
    DataFrame
        By `company_id`: `better_by`, and `low` and `high`, the 95 % interval of chance among the
        company's customers (Student's t with 15 degrees of freedom), NaN where evaluations keep no
        influence of customers.
    """
    influence = panel.influences(metric)
    first, second = (
        ComparedModel(panel, metric, panel.models.index(model), influence) for model in (a, b)
    )
    windows = np.flatnonzero(first.defined & second.defined)
    difference = metric.distance(second.figures(windows)) - metric.distance(first.figures(windows))
    better_by = -difference if metric.better == "higher" else difference
    half = np.full(panel.n_companies, np.nan)
    if influence is not None:
        variance = company_variances(first.moved(windows) - second.moved(windows))
        half = float(stdtrit(DEGREES_OF_FREEDOM, 0.975)) * np.sqrt(variance)
    return pd.DataFrame(
        {"better_by": better_by, "low": better_by - half, "high": better_by + half},
        index=pd.Index(panel.company_ids, name="company_id"),
    )
