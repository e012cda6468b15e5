"""Recency, frequency and monetary value: the features that models of this package learn from."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.instants import DAY
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.customer_summaries import (
    LAST_PURCHASE,
    LOG_SPEND,
    N_PURCHASE_DAYS,
    N_PURCHASES,
    N_REFUNDS,
)
from scale_eval.evaluation.history import History
from scale_eval.metrics.compiled.elementary import log_of
from scale_eval.metrics.compiled.simd import LANES, load, store

FEATURES = ("recency_days", "log_purchase_days", "mean_log_value", "log_refunds")
"""The names of the columns of `rfm_features`."""


def rfm_features(history: History) -> np.ndarray:
    """Return a row of `FEATURES` for each customer; float64 of shape (n_customers, 4), finite.

    ``recency_days``: cutoff - last purchase. ``log_purchase_days``: log of the distinct days with a
    purchase. ``mean_log_value``: mean of log(1 + value) over purchases, negative values as 0.
    ``log_refunds``: log(1 + transactions that are not purchases).

    None of them measures a customer's whole span: at the earlier cutoff, where a model trains, the
    company is younger, and weights that fit short spans predict badly at longer ones. In samples
    of 60 to 1,200 customers from four companies, adding log tenure took the mean log loss of
    `rfm_logistic` from .455 to .463, recency / tenure to .467, recency / mean gap to .481.
    """
    summary = history.summary
    return _features(
        summary.last_purchase,
        summary.n_purchase_days,
        summary.log_spend,
        summary.n_purchases,
        summary.n_refunds,
        history.cutoff_us,
    )


@compiled
def features_of_window(arrays: WindowArrays, w: int) -> np.ndarray:
    """Return `rfm_features` at the cutoff of a window."""
    first, last = arrays.start[w], arrays.start[w] + arrays.n_customers[w]
    fields = arrays.fields
    return _features(
        fields[LAST_PURCHASE, first:last],
        fields[N_PURCHASE_DAYS, first:last],
        arrays.reals[LOG_SPEND, first:last],
        fields[N_PURCHASES, first:last],
        fields[N_REFUNDS, first:last],
        arrays.cutoff[w],
    )


@compiled
def _features(  # type: ignore[no-untyped-def]
    last_purchase, n_purchase_days, log_spend, n_purchases, n_refunds, cutoff
):
    n = len(n_purchases)
    features = np.empty((n, 4))
    logs = np.ones((2, (n + LANES - 1) // LANES * LANES))
    for i in range(n):
        logs[0, i], logs[1, i] = n_purchase_days[i], 1.0 + n_refunds[i]
    for row in range(2):
        for i in range(0, logs.shape[1], LANES):
            store(logs[row], i, log_of(load(logs[row], i)))
    for i in range(n):
        features[i, 0] = (cutoff - last_purchase[i]) / DAY
        features[i, 1] = logs[0, i]
        features[i, 2] = log_spend[i] / n_purchases[i]
        features[i, 3] = logs[1, i]
    return features
