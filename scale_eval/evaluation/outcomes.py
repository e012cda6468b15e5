"""The outcomes of a label window, which models are scored on and never see."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Outcomes(NamedTuple):
    """The outcomes of a history's customers in ``[cutoff, horizon_end)``; models never see them.

    Attributes
    ----------
    bought : ndarray of bool, shape (n_customers,)
        True for customers with at least one purchase in the window.
    future_spend : ndarray of float64, shape (n_customers,)
        Sum of the positive values of purchases in the window, gross of refunds.
    n_positive : int
        The number of customers who bought.
    """

    bought: np.ndarray
    future_spend: np.ndarray
    n_positive: int
