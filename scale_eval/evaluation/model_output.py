"""Check the output of a model: one probability for each customer, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scale_eval.evaluation.company_windows import CompanyWindow
from scale_eval.evaluation.no_prediction import WrongOutput


def checked_probabilities(output: Any, window: CompanyWindow) -> np.ndarray:
    """Return a model's output as float64 of shape (n_customers,).

    Raises
    ------
    WrongOutput
        It has another shape or length, holds something other than numbers in [0, 1], or is a Series
        that is not indexed by the customers in their order.
    """
    n = window.n_customers
    if isinstance(output, pd.Series):
        _check_index(output.index.astype(str).to_numpy(dtype=object), window.customer_ids)
    shape = np.shape(output)
    if len(shape) != 1:
        hint = "; take its column [:, 1]" if shape == (n, 2) else ""
        raise WrongOutput("wrong_shape", f"shape {shape} where ({n},) is wanted{hint}")
    if shape != (n,):
        raise WrongOutput("wrong_length", f"{shape[0]} probabilities for {n} customers")
    try:
        probabilities = np.array(output, dtype=np.float64)
    except (TypeError, ValueError):
        kind = getattr(output, "dtype", type(output).__name__)
        raise WrongOutput("not_numeric", f"values of type {kind}") from None
    n_missing = int(np.isnan(probabilities).sum())
    if n_missing:
        raise WrongOutput("not_a_number", f"{n_missing} of {n} probabilities are NaN")
    outside = (probabilities < 0) | (probabilities > 1)
    if outside.any():
        example = probabilities[outside][0]
        raise WrongOutput("outside_0_1", f"{int(outside.sum())} of {n}, such as {example:.6g}")
    return probabilities


def _check_index(ids: np.ndarray, customers: np.ndarray) -> None:
    """Compare the index of a Series with the customers; a wrong length is reported later."""
    if len(ids) != len(customers) or np.array_equal(ids, customers):
        return
    if set(ids) == set(customers):
        raise WrongOutput("wrong_order", "the Series is not in the order of customers")
    raise WrongOutput("wrong_customers", "the Series is not indexed by customer id")
