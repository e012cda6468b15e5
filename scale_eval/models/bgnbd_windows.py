"""Fit BG/NBD and predict by it at many windows in one compiled call each."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.instants import DAY
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.customer_summaries import FIRST_PURCHASE, LAST_PURCHASE, N_PURCHASE_DAYS
from scale_eval.models.bgnbd_compiled import customers_in_days, fit, probability_of_purchase


@compiled
def fit_windows(
    arrays: WindowArrays, prior_sd: float, centre: tuple[float, float, float, float]
) -> np.ndarray:
    """Fit `r`, `alpha`, `a`, `b` at each window; shape (n_windows, 4)."""
    params = np.empty((len(arrays.label_window), 4))
    for i in range(len(params)):
        params[i, 0] = params[i, 1] = params[i, 2] = params[i, 3] = 1.0
        w = arrays.label_window[i]
        if arrays.n_customers[w] > 0:
            x, t_x, T = _customers_of_window(arrays, w)
            r, alpha, a, b, _ = fit(x, t_x, T, prior_sd, centre)
            params[i, 0], params[i, 1], params[i, 2], params[i, 3] = r, alpha, a, b
    return params


@compiled
def predict_windows(arrays: WindowArrays, params: np.ndarray, probabilities: np.ndarray) -> None:
    """Fill `probabilities`, shape (start[-1],), at each window by `probability_of_purchase`."""
    for i in range(len(params)):
        w = arrays.label_window[i]
        x, t_x, T = _customers_of_window(arrays, w)
        r, alpha, a, b = params[i, 0], params[i, 1], params[i, 2], params[i, 3]
        t = (arrays.horizon_end[w] - arrays.cutoff[w]) / DAY
        own = probability_of_purchase(r, alpha, a, b, x, t_x, T, t)
        for customer in range(len(own)):
            probabilities[arrays.start[w] + customer] = own[customer]


@compiled
def _customers_of_window(arrays: WindowArrays, w: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, last = arrays.start[w], arrays.start[w] + arrays.n_customers[w]
    return customers_in_days(
        arrays.fields[N_PURCHASE_DAYS, first:last],
        arrays.fields[FIRST_PURCHASE, first:last],
        arrays.fields[LAST_PURCHASE, first:last],
        arrays.cutoff[w],
    )
