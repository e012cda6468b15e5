"""Logistic regression with a ridge on RFM features, fitted by compiled code.

With z the features less their means, over their standard deviations, it minimises

    Σ log(1 + e^η) - y η + |w|² / (2 C),   η = intercept + w · z,

as scikit-learn's `LogisticRegression` behind a `StandardScaler` does: the intercept is free of the
penalty, and a feature that does not vary is left at 0. The loss is convex, and with both classes
present it has one minimum, which Newton's method reaches by steps that are halved where they do not
lower it (Boyd & Vandenberghe 2004, Convex Optimization, section 9.5).
"""

from __future__ import annotations

import math

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.datasets.purchases import MIN_CUSTOMERS
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.history import History
from scale_eval.evaluation.training_window import carry_to_horizon
from scale_eval.metrics.compiled.elementary import exp_of, log_of
from scale_eval.metrics.compiled.simd import LANES, lanes_of, load, store, total, where
from scale_eval.models.rfm import FEATURES, features_of_window, rfm_features

MAX_STEPS = 100
LAST_STEP = 1e-4  # in the weights; the one after it would be about its square
ROUNDING = 1e-14  # relative, of the loss: a smaller gain of a step is rounding
MOST_FACTORS = 1000  # of up to 2 each: their product is below the largest float
LOG_2 = math.log(2.0)
EPSILON = np.finfo(np.float64).eps


class RidgeLogistic:
    """Logistic regression on RFM features, trained on the buyers of the labelled window.

    Parameters
    ----------
    C : float
        Inverse strength of the ridge. The default is ten times scikit-learn's ridge, because
        companies are small and half-years differ: in samples of four companies C = 1 had the
        larger log loss at each size from 60 to 1,200 customers.
    """

    name = "rfm_logistic"
    reads = "summary"
    draws = False
    trains = True

    def __init__(self, C: float = 0.1) -> None:
        self.C = C

    def fit(self, history: History) -> RidgeLogistic:
        """Train on the labelled window; raises `Skipped` where it is too short or has one class."""
        self.labelled_ = history.labelled().require_both_classes()
        self.note_ = self.labelled_.note
        features = rfm_features(self.labelled_.history)
        self.fitted_ = fit(features, self.labelled_.bought, float(self.C))
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the probability of a purchase within the horizon; shape (n_customers,)."""
        probabilities = probabilities_of(self.fitted_, rfm_features(history))
        return self.labelled_.to_horizon(probabilities)

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Fit at each window, as `fit` does."""
        self.fits_ = np.empty((len(arrays.label_window), 3, 1 + len(FEATURES)))
        return _fit_windows(arrays, float(self.C), self.fits_)

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Predict at each window, as `predict_proba` does."""
        _predict_windows(arrays, self.fits_, fitted, probabilities)


@compiled
def _fit_windows(arrays: WindowArrays, C: float, fits: np.ndarray) -> np.ndarray:
    """Fill `fits`, shape (n_windows, 3, 1 + n_features); return where that was possible."""
    fitted = np.empty(len(fits), np.bool_)
    for i in range(len(fits)):
        fitted[i] = False
        w = arrays.training_window[i]
        n, n_bought = arrays.n_customers[w], arrays.n_bought[w]
        if n >= MIN_CUSTOMERS and 0 < n_bought < n:
            bought = arrays.bought[arrays.start[w] : arrays.start[w] + n]
            own = fit(features_of_window(arrays, w), bought, C)
            for row in range(own.shape[0]):
                for column in range(own.shape[1]):
                    fits[i, row, column] = own[row, column]
            fitted[i] = True
    return fitted


@compiled
def _predict_windows(
    arrays: WindowArrays, fits: np.ndarray, fitted: np.ndarray, probabilities: np.ndarray
) -> None:
    for i in range(len(fits)):
        if fitted[i]:
            w = arrays.label_window[i]
            own = probabilities[arrays.start[w] : arrays.start[w] + arrays.n_customers[w]]
            predicted = probabilities_of(fits[i], features_of_window(arrays, w))
            for customer in range(len(predicted)):
                own[customer] = predicted[customer]
            carry_to_horizon(own, arrays.exponent[i])


@compiled
def fit(features: np.ndarray, bought: np.ndarray, C: float) -> np.ndarray:
    """Fit intercept and weights of the least penalised loss; return them with their scale.

    Parameters
    ----------
    features : ndarray of float64, shape (n_customers, n_features)
    bought : ndarray of bool, shape (n_customers,)
        It holds both True and False.
    C : float
        Inverse strength of the ridge.

    Returns
    -------
    ndarray of shape (3, 1 + n_features)
        Rows: the number subtracted from a feature, the number that it is then divided by, its
        weight. The first column is the intercept, as the weight of a feature that is always 1.
    """
    n, n_weights = len(features), features.shape[1] + 1
    fitted = np.empty((3, n_weights))
    for j in range(n_weights):
        fitted[0, j] = fitted[1, j] = fitted[2, j] = 0.0
    means, scales, weights = fitted[0], fitted[1], fitted[2]
    n_padded = (n + LANES - 1) // LANES * LANES  # whole lanes: zeros follow the customers
    z, sign = np.empty((n_weights, n_padded)), np.empty(n_padded)
    for i in range(n_padded):
        sign[i] = 1.0  # sign * η is the log odds of what did not happen
        z[0, i] = 1.0 if i < n else 0.0
        for j in range(1, n_weights):
            z[j, i] = features[i, j - 1] if i < n else 0.0
    scales[0] = 1.0
    for j in range(1, n_weights):
        means[j], scales[j] = _standardise(z[j], n)
    n_bought = 0
    for i in range(n):
        if bought[i]:
            sign[i] = -1.0
            n_bought += 1

    weights[0] = math.log(n_bought / (n - n_bought))
    trial, gradient, step = np.empty(n_weights), np.empty(n_weights), np.empty(n_weights)
    trial_gradient = np.empty(n_weights)
    hessian, trial_hessian = np.empty((n_weights, n_weights)), np.empty((n_weights, n_weights))
    work = np.empty(n_padded), np.empty(n_padded), np.empty(n_padded)
    loss = _loss(weights, z, n, sign, C, work, gradient, hessian)
    for _ in range(MAX_STEPS):
        _solve(hessian, gradient, step)
        longest = 0.0
        for j in range(n_weights):
            longest = max(longest, abs(step[j]))
        size = 1.0
        while True:
            for j in range(n_weights):
                trial[j] = weights[j] - size * step[j]
            if longest * size <= LAST_STEP:
                for j in range(n_weights):
                    weights[j] = trial[j]
                return fitted
            trial_loss = _loss(trial, z, n, sign, C, work, trial_gradient, trial_hessian)
            if trial_loss <= loss * (1.0 + ROUNDING):
                break
            size *= 0.5
        for j in range(n_weights):
            weights[j] = trial[j]
        gradient, trial_gradient = trial_gradient, gradient
        hessian, trial_hessian = trial_hessian, hessian
        loss = trial_loss
    return fitted


@compiled
def probabilities_of(fitted: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-η) of each row of `features`, by the result of `fit`; (n_customers,)."""
    n = len(features)
    padded = np.zeros((n + LANES - 1) // LANES * LANES)
    means, scales, weights = fitted[0], fitted[1], fitted[2]
    for i in range(n):
        eta = weights[0]
        for j in range(1, len(weights)):
            eta += weights[j] * ((features[i, j - 1] - means[j]) / scales[j])
        padded[i] = -eta
    for i in range(0, len(padded), LANES):
        store(padded, i, 1.0 / (1.0 + exp_of(load(padded, i))))
    return padded[:n]


@compiled
def _standardise(feature, n):  # type: ignore[no-untyped-def]
    """Make the mean 0 and the variance 1 in place; return the former mean and standard deviation.

    A feature that varies only by rounding is divided by 1. The bound is scikit-learn's: the
    error of a variance in two passes (Chan, Golub & LeVeque 1983, Algorithms for computing the
    sample variance, The American Statistician 37(3), 242-247).
    """
    mean = 0.0
    for i in range(n):
        mean += feature[i]
    mean /= n
    squares, correction = 0.0, 0.0
    for i in range(n):
        feature[i] -= mean
        squares += feature[i] ** 2
        correction += feature[i]
    variance = (squares - correction**2 / n) / n
    scale = 1.0
    if variance > n * EPSILON * variance + (n * mean * EPSILON) ** 2:
        scale = math.sqrt(variance)
        for i in range(n):
            feature[i] /= scale
    return mean, scale


@compiled
def _loss(weights, z, n, sign, C, work, gradient, hessian):  # type: ignore[no-untyped-def]
    """Return the penalised loss at `weights`; fill its gradient and its Hessian's lower triangle.

    Each row of `z` holds one feature of the n customers, then zeros.
    """
    n_weights, n_padded = z.shape
    residual, curvature, weighted = work
    nothing = lanes_of(0.0)
    losses, products, factors = lanes_of(0.0), lanes_of(1.0), 0
    for i in range(0, n_padded, LANES):
        eta = lanes_of(0.0)
        for j in range(n_weights):
            eta += weights[j] * load(z[j], i)
        eta = eta * load(sign, i)  # the log odds of what did not happen
        odds = exp_of(min(eta, nothing - eta))
        likely = 1.0 / (1.0 + odds)
        store(curvature, i, odds * likely * likely)
        store(residual, i, load(sign, i) * where(eta > nothing, likely, odds * likely))
        losses += max(eta, nothing)
        products = products * (1.0 + odds)
        factors += 1
        if factors == MOST_FACTORS:
            losses += log_of(products)
            products, factors = lanes_of(1.0), 0
    # Nothing is known of the padding: each of its customers adds log(2).
    loss = total(losses + log_of(products)) - (n_padded - n) * LOG_2
    for j in range(n_weights):
        sums, squares = lanes_of(0.0), lanes_of(0.0)
        for i in range(0, n_padded, LANES):
            feature = load(z[j], i)
            sums += load(residual, i) * feature
            product_lanes = load(curvature, i) * feature
            store(weighted, i, product_lanes)
            squares += product_lanes * feature
        gradient[j], hessian[j, j] = total(sums), total(squares)
        for k in range(0, j - 1, 2):  # two sums at a time: one would wait for itself
            one, other = lanes_of(0.0), lanes_of(0.0)
            for i in range(0, n_padded, LANES):
                one += load(weighted, i) * load(z[k], i)
                other += load(weighted, i) * load(z[k + 1], i)
            hessian[j, k], hessian[j, k + 1] = total(one), total(other)
        if j % 2:
            one = lanes_of(0.0)
            for i in range(0, n_padded, LANES):
                one += load(weighted, i) * load(z[j - 1], i)
            hessian[j, j - 1] = total(one)
    for j in range(1, n_weights):
        loss += weights[j] ** 2 / (2.0 * C)
        gradient[j] += weights[j] / C
        hessian[j, j] += 1.0 / C
    return loss


@compiled
def _solve(hessian, gradient, step):  # type: ignore[no-untyped-def]
    """Fill `step` with the solution of hessian · step = gradient; overwrite `hessian`."""
    n = len(gradient)
    for i in range(n):
        for j in range(i + 1):
            element = hessian[i, j]
            for k in range(j):
                element -= hessian[i, k] * hessian[j, k]
            hessian[i, j] = element / hessian[j, j] if i > j else math.sqrt(element)
        step[i] = gradient[i]
        for k in range(i):
            step[i] -= hessian[i, k] * step[k]
        step[i] /= hessian[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            step[i] -= hessian[k, i] * step[k]
        step[i] /= hessian[i, i]
