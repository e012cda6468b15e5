"""Recency, frequency and monetary value: the features that models of this package learn from."""

from __future__ import annotations

import numpy as np

from scale_eval.history import History
from scale_eval.models.purchase_days import PurchaseDays

FEATURES = ("recency_days", "log_purchase_days", "mean_log_value", "log_refunds")
"""Names of the columns of `rfm_features`."""


def rfm_features(history: History) -> np.ndarray:
    """One row of `FEATURES` for each customer; float64 of shape (n_customers, 4), always finite.

    ``recency_days``: cutoff - last purchase. ``log_purchase_days``: log of the distinct days with a
    purchase. ``mean_log_value``: mean of log(1 + value) over purchases, negative values as 0.
    ``log_refunds``: log(1 + transactions that are no purchase).

    What measures a customer's whole span is not among them: at the earlier cutoff where a model
    trains the company is younger, and what short spans taught led astray on the longer ones. In
    samples of 60 to 1,200 customers from four companies, adding log tenure took the mean log loss
    of `rfm_logistic` from .455 to .463, recency / tenure to .467, recency / mean gap to .481.
    """
    summary, n = history.summary, history.n_customers
    log_values = np.log1p(np.maximum(history.values[history.is_purchase], 0.0))
    log_value_sums = np.bincount(
        history.codes[history.is_purchase], weights=log_values, minlength=n
    )
    return np.column_stack(
        [
            history.days_before_cutoff(summary.last_purchase),
            np.log(PurchaseDays.of(history).count),
            log_value_sums / summary.n_purchases,
            np.log1p(summary.n_refunds),
        ]
    )
