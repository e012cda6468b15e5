"""The reference of every skill: the base rate that was known at the cutoff."""

from __future__ import annotations

import math

import numba
import numpy as np

from scale_eval.datasets.purchases import MIN_CUSTOMERS
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.history import carry_to_horizon


@numba.njit(nogil=True, cache=True, error_model="numpy")
def base_rates(known: WindowArrays) -> np.ndarray:
    """What `BaseRate` gives at each window, the reference of every skill; NaN where it skips."""
    rates = np.empty(len(known.own))
    for f in range(len(rates)):
        past = known.past[f]
        if known.n_customers[past] < MIN_CUSTOMERS:
            rates[f] = math.nan
            continue
        rates[f] = (known.n_bought[past] + 0.5) / (known.n_customers[past] + 1.0)
        carry_to_horizon(rates[f : f + 1], known.exponent[f])
    return rates
