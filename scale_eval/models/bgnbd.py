"""BG/NBD: customers buy at a gamma-distributed rate until a beta-geometric dropout.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2),
275-284, https://doi.org/10.1287/mksc.1040.0098. While alive a customer buys as a Poisson process of
rate λ ~ Gamma(r, rate α), and after each purchase dies with probability p ~ Beta(a, b).

Three numbers describe a customer: `x` repeat purchases, the last of them at `t_x`, observed until
`T`, both counted from the first purchase. With

    z = log(a / (b + x - 1)) + (r + x) log((α + T) / (α + t_x)),

the log odds of being dead where x > 0, their likelihood (equation 6) is

    L = Γ(r + x) / Γ(r) · α^r / (α + T)^(r + x) · B(a, b + x) / B(a, b) · (1 + [x > 0] e^z).

Everything here is computed from z and log-gamma, which stay finite for thousands of purchases. The
functions are written to be read, and take any x and weights; the model computes the same with
`scale_eval.models.bgnbd_compiled`, and a test compares the two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln

from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.history import History
from scale_eval.models import bgnbd_compiled, bgnbd_windows
from scale_eval.models.bgnbd_compiled import FURTHEST


class Parameters(NamedTuple):
    """Shape `r` and rate `alpha` (a time) of buying, `a` and `b` of dying; all are positive."""

    r: float
    alpha: float
    a: float
    b: float


PRIOR_CENTRE = Parameters(r=1.0, alpha=30.0, a=1.0, b=1.0)
"""The centre of the prior on the log parameters, and the start of a fit; `alpha` in days."""

_CENTRE = tuple(PRIOR_CENTRE)  # calls of compiled code are faster with a plain tuple


def _log_odds_dead(params: Parameters, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return z; -inf for x = 0, for no one dies before a repeat purchase."""
    odds = np.divide(params.a, params.b + x - 1.0, out=np.zeros(np.shape(x)), where=x > 0)
    log_odds = np.log(odds, out=np.full(np.shape(x), -np.inf), where=x > 0)
    return log_odds + (params.r + x) * np.log1p((T - t_x) / (params.alpha + t_x))


def log_likelihood(params: Parameters, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return the log likelihood of each customer (equation 6); arrays of shape (n_customers,)."""
    r, alpha, a, b = params
    return (
        gammaln(r + x)
        - gammaln(r)
        - r * np.log1p(T / alpha)
        - x * np.log(alpha + T)
        + gammaln(b + x)
        - gammaln(b)
        + gammaln(a + b)
        - gammaln(a + b + x)
        + np.logaddexp(0.0, _log_odds_dead(params, x, t_x, T))
    )


def gradient(params: Parameters, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return the derivatives of `log_likelihood` by log r, alpha, a, b; shape (4, n_customers)."""
    r, alpha, a, b = params
    dead = expit(_log_odds_dead(params, x, t_x, T))
    idle = (T - t_x) / (alpha + t_x)
    either = digamma(a + b) - digamma(a + b + x)
    by_r = digamma(r + x) - digamma(r) - np.log1p(T / alpha) + dead * np.log1p(idle)
    by_alpha = (r * T / alpha - x - dead * (r + x) * idle) / (alpha + T)
    by_a = either + dead / a
    by_b = either + digamma(b + x) - digamma(b) - dead / np.maximum(b + x - 1.0, b)
    return np.stack([r * by_r, alpha * by_alpha, a * by_a, b * by_b])


def fit_parameters(
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    weights: np.ndarray | None = None,
    prior_sd: float = 2.0,
) -> Parameters:
    """Fit the parameters by maximum likelihood, with a prior that steadies small companies.

    Parameters
    ----------
    x, t_x, T : ndarray of shape (n_customers,)
        Repeat purchases, time of the last, time observed; in days if there is a prior.
    weights : ndarray of shape (n_customers,), optional
        The number of customers that each row stands for; by default 1.
    prior_sd : float
        The log parameters have independent normal priors of this standard deviation around the
        logs of `PRIOR_CENTRE`. `inf` gives plain maximum likelihood, in any unit of time.
    """
    rows, which = np.unique(np.column_stack([x, t_x, T]), axis=0, return_inverse=True)
    counts = np.bincount(which.ravel(), weights=weights, minlength=len(rows))
    customers = (rows[:, 0], rows[:, 1], rows[:, 2])
    total = counts.sum()
    centre = np.array(PRIOR_CENTRE)

    def loss(shift: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean negative log posterior and its gradient at log(parameter / centre)."""
        params = Parameters(*(centre * np.exp(shift)))
        # Sums, not BLAS products: their last bits do not depend on the number of threads.
        likelihood = (counts * log_likelihood(params, *customers)).sum()
        slope = (counts * gradient(params, *customers)).sum(axis=1)
        penalty = shift / prior_sd**2
        return (shift @ penalty / 2 - likelihood) / total, (penalty - slope) / total

    best = minimize(
        loss,
        np.zeros(4),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-FURTHEST, FURTHEST)] * 4,
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000},
    )
    return Parameters(*(centre * np.exp(best.x)).tolist())


def probability_alive(
    params: Parameters, x: np.ndarray, t_x: np.ndarray, T: np.ndarray
) -> np.ndarray:
    """Return P(alive at T | x, t_x, T) = 1 / (1 + [x > 0] e^z); shape (n_customers,).

    Fader, Hardie & Lee (2008), Computing P(alive) Using the BG/NBD Model,
    http://brucehardie.com/notes/021/.
    """
    return expit(-_log_odds_dead(params, x, t_x, T))


def probability_of_purchase(
    params: Parameters,
    x: np.ndarray,
    t_x: np.ndarray,
    T: np.ndarray,
    t: float | np.ndarray,
) -> np.ndarray:
    """Return P(at least one purchase in (T, T + t] | x, t_x, T); shape (n_customers,).

    Given that a customer is alive at T, the part of the likelihood with the rate λ is λ^x e^(-λT),
    times the Gamma(r, α) prior; so λ ~ Gamma(r + x, α + T), whatever p is. A customer who is alive
    does not die before the next purchase, which falls into the window with probability 1 - e^(-λt).
    Averaged over λ:

        P(alive) · (1 - ((α + T) / (α + T + t))^(r + x)).

    The paper derives the expected number of purchases, E[Y(t) | x, t_x, T], in the same way. The
    probability of a purchase is at most P(alive); the two must not be confused.
    """
    rate = (params.r + x) * np.log1p(t / (params.alpha + T))
    return probability_alive(params, x, t_x, T) * -np.expm1(-rate)


class BGNBD:
    """BG/NBD, fitted to all of the company's own customers up to the cutoff.

    Purchases of one day (UTC) are one purchase. In days: x = purchase days - 1, t_x from the first
    to the last of them, T from the first to the last day before the cutoff. It needs no labelled
    window: the horizon enters as t.

    Parameters
    ----------
    prior_sd : float
        See `fit_parameters`; `inf` for plain maximum likelihood.
    """

    name = "bgnbd"
    reads = "summary"
    draws = False
    trains = False

    def __init__(self, prior_sd: float = 2.0) -> None:
        self.prior_sd = prior_sd

    def fit(self, history: History) -> BGNBD:
        """Fit the four parameters, `params_`; times in days."""
        *params, _ = bgnbd_compiled.fit(*_customers(history), float(self.prior_sd), _CENTRE)
        self.params_ = Parameters(*params)
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the probability of a purchase within the horizon; shape (n_customers,)."""
        return bgnbd_compiled.probability_of_purchase(
            *self.params_, *_customers(history), history.horizon_days
        )

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Fit at each window, as `fit` does."""
        self.params_by_window_ = bgnbd_windows.fit_windows(arrays, float(self.prior_sd), _CENTRE)
        return np.ones(len(arrays.label_window), np.bool_)

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Predict at each window, as `predict_proba` does."""
        bgnbd_windows.predict_windows(arrays, self.params_by_window_, probabilities)


def _customers(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `x`, `t_x` and `T` of each customer, times in days."""
    summary = history.summary
    return bgnbd_compiled.customers_in_days(
        summary.n_purchase_days, summary.first_purchase, summary.last_purchase, history.cutoff_us
    )
