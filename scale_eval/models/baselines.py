"""Baselines: what a model must beat to be worth its keep."""

from __future__ import annotations

import numba
import numpy as np

from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.customer_summaries import LAST_PURCHASE
from scale_eval.evaluation.history import History
from scale_eval.evaluation.reference import base_rates
from scale_eval.metrics.compiled.elementary import exp_of

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


class BaseRate:
    """Everybody buys with the rate that was known at the cutoff; never the rate that then came.

    ``(k + 1/2) / (n + 1)``, where k of n customers bought in the labelled window: the mean of
    Jeffreys' posterior, so never 0 or 1. Carried to the horizon where that window was shorter.
    """

    name = "base_rate"
    reads = "summary"
    draws = False
    trains = True

    def fit(self, history: History) -> BaseRate:
        """Count who bought in the labelled window; `Skipped` where the history has none."""
        labelled = history.labelled()
        rate = (labelled.n_bought + 0.5) / (len(labelled.bought) + 1.0)
        self.rate_ = float(labelled.to_horizon(rate))
        self.note_ = labelled.note
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """The same probability for every customer; shape (n_customers,)."""
        return np.full(history.n_customers, self.rate_)

    def fit_windows(self, known: WindowArrays) -> np.ndarray:
        """`fit` at each window."""
        self.rates_ = base_rates(known)
        return ~np.isnan(self.rates_)

    def predict_windows(
        self, known: WindowArrays, answered: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """`predict_proba` at each window."""
        _fill_folds(known, self.rates_, probabilities)


@_compiled
def _fill_folds(known: WindowArrays, rates: np.ndarray, probabilities: np.ndarray) -> None:
    for f in range(len(rates)):
        start = known.start[known.own[f]]
        probabilities[start : start + known.n_customers[known.own[f]]] = rates[f]


class Recency:
    """Who bought last buys next: ``exp(-d / horizon)``, d = cutoff - last purchase.

    Both lengths are in microseconds, divided in float64; d is neither clipped nor rounded.
    """

    name = "recency"
    reads = "summary"
    draws = False
    trains = False

    def fit(self, history: History) -> Recency:
        """Nothing is learnt."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Probabilities of shape (n_customers,); 1/e one horizon after the last purchase."""
        probabilities = np.empty(history.n_customers)
        last, cutoff = history.summary.last_purchase, history.cutoff_us
        _recency_into(last, cutoff, history.horizon_end_us - cutoff, probabilities)
        return probabilities

    def fit_windows(self, known: WindowArrays) -> np.ndarray:
        """`fit` at each window."""
        return np.ones(len(known.own), np.bool_)

    def predict_windows(
        self, known: WindowArrays, answered: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """`predict_proba` at each window."""
        _recency_of_folds(known, probabilities)


@_compiled
def _recency_into(
    last_purchase: np.ndarray, cutoff: int, horizon: int, probabilities: np.ndarray
) -> None:
    for i in range(len(probabilities)):
        probabilities[i] = exp_of(-(cutoff - last_purchase[i]) / horizon)


@_compiled
def _recency_of_folds(known: WindowArrays, probabilities: np.ndarray) -> None:
    for f in range(len(known.own)):
        w = known.own[f]
        first, last, cutoff = known.start[w], known.start[w] + known.n_customers[w], known.cutoff[w]
        _recency_into(
            known.fields[LAST_PURCHASE, first:last],
            cutoff,
            known.horizon_end[w] - cutoff,
            probabilities[first:last],
        )


class Frequency:
    """Who bought often buys again: ``n / (n + 1)``, n = purchases before the cutoff."""

    name = "frequency"
    reads = "summary"
    draws = False

    def fit(self, history: History) -> Frequency:
        """Nothing is learnt."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Probabilities of shape (n_customers,), 1/2 or more."""
        n = history.summary.n_purchases
        return n / (n + 1.0)
