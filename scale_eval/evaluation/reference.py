"""The reference of every skill metric: the base rate that was known at the cutoff."""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.purchases import MIN_CUSTOMERS
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.training_window import carry_to_horizon


@compiled
def base_rates(arrays: WindowArrays) -> np.ndarray:
    """Return the rate of `BaseRate` at each window, shape (n_windows,); NaN where it skips."""
    rates = np.empty(len(arrays.training_window))
    for i in range(len(rates)):
        training = arrays.training_window[i]
        if arrays.n_customers[training] < MIN_CUSTOMERS:
            rates[i] = math.nan
            continue
        rates[i] = (arrays.n_bought[training] + 0.5) / (arrays.n_customers[training] + 1.0)
        carry_to_horizon(rates[i : i + 1], arrays.exponent[i])
    return rates
