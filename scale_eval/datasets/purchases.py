"""Decide which transactions are purchases."""

from __future__ import annotations

import numpy as np

PURCHASE_RULES = ("non_negative", "positive", "all")
"""The rules: a purchase is a row with ``value >= 0`` (the default), with ``value > 0``, or any.

A negative value is a refund. Under ``positive`` a free order is no purchase either.
"""


def is_purchase(values: np.ndarray, rule: str) -> np.ndarray:
    """Return whether each of `values` is a purchase under `rule`, one of `PURCHASE_RULES`."""
    if rule == "non_negative":
        return values >= 0
    if rule == "positive":
        return values > 0
    return np.ones(len(values), dtype=bool)


MIN_CUSTOMERS = 10
"""Customers that a default cutoff needs, and a labelled window to train on."""
