"""Random effects that may go with precision: small companies may differ from large ones.

y_i = mu + beta x_i + u_i + e_i, where x is the standardised logarithm of the noise variance v, and
so stands for the size of a company; u ~ (0, tau2) and e ~ (0, v) as in `random_effects`. beta is
normal around 0 with variance tau2: companies are expected to differ by size about as much as they
differ otherwise, and the data say how much. Without beta the mean weighs companies by precision,
and is that of large companies: where a model's advantage flips with size, it is wrong by half the
standard deviation of the effects at any number of companies. mu is the mean over companies.

Given tau2 all is linear: marginally y has the covariance tau2 (I + x x') + diag(v), of which the
generalised Q is chi squared with k - 1 degrees of freedom. Arrays are of shape (k,).

Source: Thompson & Higgins 2002 (meta-regression); Robinson 1991 (random coefficients).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scale_eval.compiling import compiled

LEAST_SPREAD = 1e-3
"""Least standard deviation of log v for a trend: below it companies are alike."""


class TrendFit(NamedTuple):
    """The model fitted at one tau2.

    Attributes
    ----------
    tau2 : float
    mu, beta : float
        By generalised least squares, and the best linear prediction.
    var_mu, cov, var_beta : float
        Their covariance, of the errors.
    q, fall_of_q : float
        The generalised Q, and its derivative with its sign turned.
    """

    tau2: float
    mu: float
    beta: float
    var_mu: float
    cov: float
    var_beta: float
    q: float
    fall_of_q: float


def standardised(v: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return log v with mean 0 and standard deviation 1 over companies; 0 where all are alike.

    With `weights`, shape (k,), each company represents as many.
    """
    logs = np.log(v)
    logs = logs - np.average(logs, weights=weights)
    spread = float(np.sqrt(np.average(np.square(logs), weights=weights)))
    return logs / spread if spread > LEAST_SPREAD else np.zeros(len(v))


def fit_trend(y: np.ndarray, v: np.ndarray, x: np.ndarray, tau2: float) -> TrendFit:
    """Fit mean and trend at a given tau2, for two companies or more; the arrays are float64."""
    return TrendFit(tau2, *fit_trends(y, v, x, np.array([tau2], float))[0].tolist())


def fit_trends(y: np.ndarray, v: np.ndarray, x: np.ndarray, tau2: np.ndarray) -> np.ndarray:
    """Fit mean and trend at each tau2, shape (n,): the fields of `TrendFit` after it; (n, 7)."""
    fits = np.empty((len(tau2), len(TrendFit._fields) - 1))
    _fit(y, v, x, tau2, fits)
    return fits


@compiled
def _fit(
    y: np.ndarray, v: np.ndarray, x: np.ndarray, tau2_values: np.ndarray, fits: np.ndarray
) -> None:
    # Distances are from the effect that weighs most, so that q keeps its digits.
    centre = y[np.argmin(v)]
    for n, tau2 in enumerate(tau2_values):
        total = with_x = with_xx = with_y = with_xy = 0.0
        for i in range(len(y)):
            w = 1 / (tau2 + v[i])
            total += w
            with_x += w * x[i]
            with_xx += w * x[i] * x[i]
            with_y += w * (y[i] - centre)
            with_xy += w * x[i] * (y[i] - centre)
        shift, beta, var_mu, cov, var_beta = with_y / total, 0.0, 1 / total, 0.0, 0.0
        if tau2 > 0 and with_xx > 0:
            penalised = with_xx + 1 / tau2
            determinant = total * penalised - with_x * with_x
            shift = (penalised * with_y - with_x * with_xy) / determinant
            beta = (total * with_xy - with_x * with_y) / determinant
            var_mu, cov = penalised / determinant, -with_x / determinant
            var_beta = total / determinant
        q = squares = along = 0.0
        for i in range(len(y)):
            w, residual = 1 / (tau2 + v[i]), y[i] - centre - shift - beta * x[i]
            q += w * residual * residual
            squares += (w * residual) * (w * residual)
            along += w * residual * x[i]
        if beta != 0:
            q += beta * beta / tau2
        fields = (centre + shift, beta, var_mu, cov, var_beta, q, squares + along * along)
        for k in range(len(fields)):  # by a slice it would compile for two seconds
            fits[n, k] = fields[k]


def mean_over_companies(y: np.ndarray, v: np.ndarray, tau2: float) -> tuple[float, float]:
    """Return the mean effect over companies, and its standard error, for t with k - 1.

    The error is that of Knapp & Hartung 2003 with the trend, and of the sizes of the companies,
    which are a sample too: sqrt(q / (k - 1) var_mu + beta^2 / k).
    """
    k = len(y)
    fit = fit_trend(y, v, standardised(v), tau2)
    return fit.mu, float(np.sqrt(fit.q / (k - 1) * fit.var_mu + fit.beta**2 / k))
