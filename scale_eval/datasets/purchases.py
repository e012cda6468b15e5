"""What counts as a purchase."""

from __future__ import annotations

import numpy as np

PURCHASE_RULES = ("non_negative", "positive", "all")
"""Which transactions are purchases: ``value >= 0`` (the default), ``value > 0``, or every one.

A negative value is a refund. Under ``positive`` a free order is no purchase either.
"""


def is_purchase(values: np.ndarray, rule: str) -> np.ndarray:
    """Which `values` are purchases under `rule`, one of `PURCHASE_RULES`; shape of `values`."""
    if rule == "non_negative":
        return values >= 0
    if rule == "positive":
        return values > 0
    return np.ones(len(values), dtype=bool)


MIN_CUSTOMERS = 10
"""Customers from which a default cutoff, and a labelled window to train on, is worth having."""
