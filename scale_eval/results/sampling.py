"""What customers' chance alone makes uncertain: these companies, in these half-years.

The models and cutoffs of a company share customers, so that variances come from the sums of
influence that each evaluation keeps, never from marginal standard errors: the variance of
sum_i c_i theta_i is sum_g (sum_i c_i IF_ig)^2, with the same 16 groups g of customers everywhere.
"""

from __future__ import annotations

import numpy as np

from scale_eval.results.panel import Panel

INFLUENCE = {
    "log_loss": "log_loss",
    "brier_score": "brier_score",
    "roc_auc": "roc_auc",
    "observed_expected_ratio": "log_observed_expected",
    "calibration_slope": "calibration_slope",
}
"""By metric: what its evaluations keep influence sums of (of O:E, the logarithm)."""

N_GROUPS_USED = 16
"""Squares of which a clustered variance is the sum: its degrees of freedom."""


def variance_by_company(
    panel: Panel, windows: np.ndarray, influence: np.ndarray, coefficient: np.ndarray
) -> np.ndarray:
    """Variance of sum_t c_t theta_t within each company, clustered by customer.

    Parameters
    ----------
    windows : ndarray of int, shape (n,)
        Ascending positions in the panel.
    influence : ndarray, shape (n, n_groups)
        Their influence sums.
    coefficient : ndarray, shape (n,)

    Returns
    -------
    ndarray of shape (n_companies,)
        0 for companies without such a window.
    """
    variance = np.zeros(panel.n_companies)
    if len(windows):
        company = panel.company[windows]
        starts = np.flatnonzero(np.diff(company, prepend=-1))
        moved = coefficient[:, np.newaxis] * influence
        variance[company[starts]] = np.square(np.add.reduceat(moved, starts)).sum(axis=1)
    return variance
