"""What customers' chance alone makes uncertain: these companies, in these half-years.

The models and cutoffs of a company share customers, so that variances come from the sums of
influence that each evaluation keeps, never from marginal standard errors: the variance of
sum_i c_i theta_i is G / (G - 1) sum_g (sum_i c_i IF_ig)^2, with the same G = 16 groups of customers
everywhere. The factor is there because a company's influences add to 0: two of its customers fall
into one group with a probability of 1 / G, and what they share is lost (measured: without it the
variance of a company's AUC is 6 % too small).
"""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.metrics import N_GROUPS
from scale_eval.results.panel import Panel

INFLUENCE = {
    "log_loss": "log_loss",
    "brier_score": "brier_score",
    "roc_auc": "roc_auc",
    "observed_expected_ratio": "log_observed_expected",
    "calibration_slope": "calibration_slope",
}
"""By metric: what its evaluations keep influence sums of (of O:E, the logarithm)."""

DEGREES_OF_FREEDOM = N_GROUPS - 1
"""Of a clustered variance of one company."""


def sums_by_company(
    panel: Panel, windows: np.ndarray, influence: np.ndarray, coefficient: np.ndarray
) -> np.ndarray:
    """What each company's groups of customers move sum_t c_t theta_t.

    Parameters
    ----------
    windows : ndarray of int, shape (n,)
        Ascending positions in the panel.
    influence : ndarray of float32, shape (n_windows, n_groups)
        Influence sums of every window of the panel, of one model.
    coefficient : ndarray, shape (n,)
        Taken in the precision of what it multiplies.

    Returns
    -------
    ndarray of float32, shape (n_companies, n_groups)
        0 for companies without such a window.
    """
    sums = np.zeros((panel.n_companies, influence.shape[1]), influence.dtype)
    _add(panel.company, windows, influence, coefficient.astype(influence.dtype), sums)
    return sums


def variance_by_company(
    panel: Panel, windows: np.ndarray, influence: np.ndarray, coefficient: np.ndarray
) -> np.ndarray:
    """Variance of sum_t c_t theta_t within each company, clustered by customer; as above.

    Returns
    -------
    ndarray of shape (n_companies,)
    """
    return squared(sums_by_company(panel, windows, influence, coefficient))


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add(
    company: np.ndarray, windows: np.ndarray, influence: np.ndarray, coefficient: np.ndarray,
    sums: np.ndarray,
) -> None:  # fmt: skip
    for i in range(len(windows)):
        of_company, of_window = sums[company[windows[i]]], influence[windows[i]]
        for group in range(len(of_window)):
            of_company[group] += coefficient[i] * of_window[group]


def of_few(panel: Panel, metric: str, model: int, windows: np.ndarray) -> np.ndarray:
    """By how much influence understates the chance of few customers; shape (n,).

    sqrt(n / (n - 1)), as ddof 1 has it, for what the metric stands on: customers (losses), buyers
    (O:E), or the rarer of buyers and others (AUC). Of one nothing is known; it counts as two.
    """
    n = panel.of_model("n_customers", model, windows)
    if metric not in ("log_loss", "brier_score"):
        positive = panel.of_model("n_positive", model, windows)
        ratio = metric == "observed_expected_ratio"
        n = positive if ratio else np.minimum(positive, n - positive)
    n = np.maximum(n, 2.0)
    return np.asarray(np.sqrt(n / (n - 1)))


def squared(sums: np.ndarray) -> np.ndarray:
    """The variance that each company's sums by group make; shape (n_companies,)."""
    squares = np.empty(len(sums))
    _add_squares(sums, squares)
    return squares * (N_GROUPS / DEGREES_OF_FREEDOM)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _add_squares(sums: np.ndarray, squares: np.ndarray) -> None:
    for company in range(len(sums)):
        of_company = 0.0
        for moved in sums[company]:
            of_company += np.float64(moved) * np.float64(moved)
        squares[company] = of_company
