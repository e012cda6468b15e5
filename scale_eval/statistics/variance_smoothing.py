"""Smoothing of many noisy variances by what was known before the outcomes.

A company's own estimate of how much chance moves its figure rests on the same outcomes as the
figure: where few customers happened to buy, a loss is low and its estimated variance as well.
Weights from such estimates favour the companies that were lucky: of 300 like companies of 80
customers, the mean of random effects is wrong by five standard errors, though each estimate is
unbiased. So the variances are modelled as in surveys, by a generalised variance function: a
variance is what chance gives a company of its size and known rate.

Source: Wolter 2007, Introduction to Variance Estimation, ch. 7; McCullagh & Nelder 1989, ch. 8
(gamma quasi-likelihood), whose fit is unbiased for the mean of the estimates.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

PRIOR_SD = 0.5
"""Standard deviation of the prior of an exponent around 0: a few companies cannot tell it."""

MAX_STEPS = 100
LAST_STEP = 1e-10
LARGEST_STEP = 1.0


def smooth(
    estimates: np.ndarray, bases: np.ndarray, covariates: np.ndarray, trusted: np.ndarray
) -> np.ndarray:
    """Return variances that are a smooth function of bases and covariates.

    variance = base exp(a + b covariates), by penalised quasi-likelihood of the estimates: each has
    a variance proportional to the square of its mean, and the prior of b is normal around 0 with
    standard deviation `PRIOR_SD`.

    Parameters
    ----------
    estimates : ndarray of shape (k,)
        Unbiased; 0 or more.
    bases : ndarray of shape (k,)
        Variances up to a common factor, from theory; above 0.
    covariates : ndarray of shape (k, n_covariates)
        Logarithms of what may change them.
    trusted : ndarray of bool, shape (k,)
        The estimates to fit; variances are returned for all.

    Returns
    -------
    ndarray of shape (k,)
        All 0 where every trusted estimate is 0, or none is trusted.
    """
    y, base = estimates[trusted], bases[trusted]
    if not y.sum() > 0:
        return np.zeros(len(estimates))
    centre = covariates[trusted].mean(axis=0)
    design = np.column_stack([np.ones(len(bases)), covariates - centre])
    x = design[trusted]
    penalty = np.full(x.shape[1], PRIOR_SD**-2)
    penalty[0] = 0.0
    coefficients = np.zeros(x.shape[1])
    coefficients[0] = np.log(y.sum() / base.sum())
    squares, columns, penalties = x.T @ x, np.ascontiguousarray(x.T), np.diag(penalty)
    for _ in range(MAX_STEPS):
        excess = y / (base * np.exp(x @ coefficients)) - 1
        dispersion = max(float(excess @ excess) / len(excess), 1e-12)
        gradient = columns @ excess / dispersion - penalty * coefficients
        information = squares / dispersion + penalties
        _, step, failed = dposv(information, gradient)  # it is positive definite, but for rounding
        if failed:
            step = np.linalg.solve(information, gradient)
        largest = float(np.abs(step).max())
        step *= min(1.0, LARGEST_STEP / max(largest, 1e-300))
        coefficients += step
        if largest <= LAST_STEP:
            break
    return np.asarray(bases * np.exp(design @ coefficients))
