"""Baselines: a model that cannot beat them is not worth deploying."""

from __future__ import annotations

import numpy as np

from scale_eval.compiling import compiled
from scale_eval.evaluation.company_windows import WindowArrays
from scale_eval.evaluation.customer_summaries import LAST_PURCHASE, N_PURCHASES
from scale_eval.evaluation.history import History
from scale_eval.evaluation.reference import base_rates
from scale_eval.metrics.compiled.elementary import exp_of


class BaseRate:
    """Every customer buys with the base rate known at the cutoff, never with the test rate.

    The rate is ``(k + 1/2) / (n + 1)``, where k of n customers bought in the labelled window: the
    mean of Jeffreys' posterior, so never 0 or 1. It is carried to the horizon where that window was
    shorter.
    """

    name = "base_rate"
    reads = "summary"
    draws = False
    trains = True

    def fit(self, history: History) -> BaseRate:
        """Count the buyers of the labelled window; raises `Skipped` where the history has none."""
        labelled = history.labelled()
        rate = (labelled.n_bought + 0.5) / (len(labelled.bought) + 1.0)
        self.rate_ = float(labelled.to_horizon(rate))
        self.note_ = labelled.note
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the same probability for every customer; shape (n_customers,)."""
        return np.full(history.n_customers, self.rate_)

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Fit at each window, as `fit` does."""
        self.rates_ = base_rates(arrays)
        return ~np.isnan(self.rates_)

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Predict at each window, as `predict_proba` does."""
        _fill_windows(arrays, self.rates_, probabilities)


@compiled
def _fill_windows(arrays: WindowArrays, rates: np.ndarray, probabilities: np.ndarray) -> None:
    for i in range(len(rates)):
        w = arrays.label_window[i]
        for customer in range(arrays.start[w], arrays.start[w] + arrays.n_customers[w]):
            probabilities[customer] = rates[i]


class Recency:
    """Customers who bought last buy next: ``exp(-d / horizon)``, d = cutoff - last purchase.

    Both lengths are in microseconds, divided in float64; d is neither clipped nor rounded.
    """

    name = "recency"
    reads = "summary"
    draws = False
    trains = False

    def fit(self, history: History) -> Recency:
        """Learn nothing from the history."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return probabilities, shape (n_customers,); 1/e one horizon after the last purchase."""
        probabilities = np.empty(history.n_customers)
        last, cutoff = history.summary.last_purchase, history.cutoff_us
        _recency_into(last, cutoff, history.horizon_end_us - cutoff, probabilities)
        return probabilities

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Fit at each window, as `fit` does."""
        return np.ones(len(arrays.label_window), np.bool_)

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Predict at each window, as `predict_proba` does."""
        _recency_of_windows(arrays, probabilities)


@compiled
def _recency_into(
    last_purchase: np.ndarray, cutoff: int, horizon: int, probabilities: np.ndarray
) -> None:
    for i in range(len(probabilities)):
        probabilities[i] = exp_of(-(cutoff - last_purchase[i]) / horizon)


@compiled
def _recency_of_windows(arrays: WindowArrays, probabilities: np.ndarray) -> None:
    for w in arrays.label_window:
        first, cutoff = arrays.start[w], arrays.cutoff[w]
        last = first + arrays.n_customers[w]
        _recency_into(
            arrays.fields[LAST_PURCHASE, first:last],
            cutoff,
            arrays.horizon_end[w] - cutoff,
            probabilities[first:last],
        )


class Frequency:
    """Customers who bought often buy again: ``n / (n + 1)``, n = purchases before the cutoff."""

    name = "frequency"
    reads = "summary"
    draws = False
    trains = False

    def fit(self, history: History) -> Frequency:
        """Learn nothing from the history."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return probabilities, shape (n_customers,), of 1/2 or more."""
        n = history.summary.n_purchases
        return n / (n + 1.0)

    def fit_windows(self, arrays: WindowArrays) -> np.ndarray:
        """Fit at each window, as `fit` does."""
        return np.ones(len(arrays.label_window), np.bool_)

    def predict_windows(
        self, arrays: WindowArrays, fitted: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Predict at each window, as `predict_proba` does."""
        _frequency_of_windows(arrays, probabilities)


@compiled
def _frequency_of_windows(arrays: WindowArrays, probabilities: np.ndarray) -> None:
    for w in arrays.label_window:
        for customer in range(arrays.start[w], arrays.start[w] + arrays.n_customers[w]):
            n = arrays.fields[N_PURCHASES, customer]
            probabilities[customer] = n / (n + 1.0)
