"""What a model's log loss saves against a known rate: drift + discrimination - miscalibration.

The terms are those of CORP (Dimitriadis, Gneiting & Jordan 2021), with Cox's logistic recalibration
(Cox 1958) in place of isotonic regression, which fits the noise of a small window. Without their
chance, with H the entropy of the observed rate and L* the log loss after the best recalibration
that hindsight finds, the terms are

    drift          = reference loss - H
    discrimination = H - L*
    miscalibration = loss - L*

Hindsight flatters: H and L* are too low, because the rate and the line are fitted to the outcomes
they are judged by. In small windows that is most of the terms, so its expected size is taken out:

    H  falls short by b = H(r) - E H(K / n), K binomial of n customers at the known rate r
    L* falls short by b + s b, s the probability at rate r that outcomes are of both classes

b is about 1 / (2 n), and less where less than one buyer (or one other) is expected. L* has a second
parameter, the slope, which by Wilks 1938 gains 1 / (2 n) by chance; outcomes of one class have no
slope, and neither have constant predictions, for which L* falls short by b alone. The corrections
depend on what was known at the cutoff and on the predictions, never on the outcomes, so that the
mean over many windows stays unbiased; they cancel in the sum of the terms. Simulated windows of 50
to 200 customers in `tests/statistics/test_saved_loss.py` say how little bias is left.

Arrays of models are of shape (n_windows, n_models), those of windows of shape (n_windows,).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from scale_eval.compiling import compiled

EXPANSION_FROM = 15.0
"""Expected number of the rarer outcome from which a series replaces the sum over outcomes."""

NEGLIGIBLE = 1e-12
"""Probability of the outcomes at which the sum ends."""


class SavedLoss(NamedTuple):
    """The terms, shape (n_windows, n_models); any of them can fall below 0 by chance.

    Attributes
    ----------
    drift : ndarray
        What the known rate loses against the rate that came. It is small where the known rate
        itself was estimated well and did not change.
    discrimination : ndarray
        What telling customers apart saves against the rate that came.
    miscalibration : ndarray
        What the model loses because its probabilities have another level or another spread than
        those that came.
    """

    drift: np.ndarray
    discrimination: np.ndarray
    miscalibration: np.ndarray


def saved_loss(
    log_loss: np.ndarray,
    reference_log_loss: np.ndarray,
    recalibrated_log_loss: np.ndarray,
    n_customers: np.ndarray,
    n_positive: np.ndarray,
    known_rate: np.ndarray,
    is_constant: np.ndarray,
) -> SavedLoss:
    """Decompose reference_log_loss - log_loss of each window and model.

    Parameters
    ----------
    log_loss : ndarray of float64, shape (n_windows, n_models)
        In nats per customer.
    reference_log_loss : ndarray of float64, shape (n_windows,)
        The loss of `known_rate`.
    recalibrated_log_loss : ndarray of float64, shape (n_windows, n_models)
        See `logistic.best_log_likelihood`.
    n_customers, n_positive : ndarray, shape (n_windows,)
        Counts; n_customers > 0.
    known_rate : ndarray of float64, shape (n_windows,)
        The rate known at the cutoff, from 0 to 1.
    is_constant : ndarray of bool, shape (n_windows, n_models)
        Whether all customers of the window have the same prediction.

    Returns
    -------
    SavedLoss
        NaN where one of the arguments is.
    """
    n, observed = n_customers.astype(np.float64), n_positive / n_customers
    uncertainty = (entr(observed) + entr(1 - observed))[:, np.newaxis]
    of_rate = entropy_bias(n, known_rate)[:, np.newaxis]
    both = (1 - known_rate**n - (1 - known_rate) ** n)[:, np.newaxis]
    of_slope = np.where(is_constant, 0.0, both * of_rate)
    drift = reference_log_loss[:, np.newaxis] - uncertainty - of_rate
    best = np.where(is_constant, uncertainty, recalibrated_log_loss)
    return SavedLoss(
        np.broadcast_to(drift, log_loss.shape),
        uncertainty - best - of_slope,
        log_loss - best - of_rate - of_slope,
    )


def sampling_deviations(
    terms: SavedLoss, n_customers: np.ndarray, is_constant: np.ndarray
) -> SavedLoss:
    """Return the standard deviations of the terms over other customers of the same windows.

    2 n times a term is a likelihood ratio: about its truth, a noncentral chi-squared variable with
    a degree of freedom for each parameter that is fitted (Wilks 1938, Wald 1943). That is the level
    for the drift, the slope for the discrimination, both for the miscalibration; there is no slope
    on constant predictions. All arrays are of one shape.
    """
    slopes = 1 - np.asarray(is_constant, dtype=np.float64)
    n = np.asarray(n_customers, dtype=np.float64)
    parameters = (np.ones_like(slopes), slopes, 1 + slopes)
    return SavedLoss(
        *(
            np.sqrt(2 * fitted + 8 * n * np.maximum(term, 0)) / (2 * n)
            for term, fitted in zip(terms, parameters, strict=True)
        )
    )


def entropy_bias(n: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return how far the entropy of an observed rate falls short of H(rate) on average.

    That is H(rate) - E H(K / n), with K binomial of n at `rate`.
    A sum over K where fewer than `EXPANSION_FROM` of the rarer outcome are expected, else the
    series 1 / (2 n) + ... of Harris 1975 to the third order, which is right to 1e-4 / n there.

    Parameters
    ----------
    n : ndarray, shape (n_windows,)
        Whole numbers above 0.
    rate : ndarray of float64, shape (n_windows,)
        From 0 to 1; NaN gives NaN.
    """
    return _entropy_biases(np.asarray(n, np.float64), np.asarray(rate, np.float64))


@compiled
def _entropy_biases(n: np.ndarray, rate: np.ndarray) -> np.ndarray:
    biases = np.empty(len(n))
    for i in range(len(n)):
        rare = min(rate[i], 1 - rate[i])
        if n[i] * rare >= EXPANSION_FROM:
            inverse, squared = 1 / rare + 1 / (1 - rare), rare**-2 + (1 - rare) ** -2
            biases[i] = 1 / (2 * n[i]) + (inverse - 1) / (12 * n[i] ** 2)
            biases[i] += (squared - inverse) / (12 * n[i] ** 3)
        else:
            biases[i] = _entropy(rare) - _expected_entropy(n[i], rare)
    return biases


@compiled
def _expected_entropy(n: float, rate: float) -> float:
    """Return E H(K / n) by the probabilities of K = 0, 1, ..., each from the one before."""
    probability = (1 - rate) ** n
    left, expected, k = 1 - probability, 0.0, 0.0
    while left > NEGLIGIBLE and k < n:
        probability *= (n - k) / (k + 1) * rate / (1 - rate)
        k += 1
        left -= probability
        expected += probability * _entropy(k / n)
    return expected


@compiled
def _entropy(rate: float) -> float:
    if rate <= 0 or rate >= 1:
        return 0.0
    return -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
