"""Baselines: what a model must beat to be worth its keep."""

from __future__ import annotations

import numpy as np

from scale_eval.history import History


class BaseRate:
    """Everybody buys with the rate that was known at the cutoff; never the rate that then came.

    ``(k + 1/2) / (n + 1)``, where k of n customers bought in the labelled window: the mean of
    Jeffreys' posterior, so never 0 or 1. Carried to the horizon where that window was shorter.
    """

    name = "base_rate"
    reads = "summary"
    draws = False

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


def base_rate_reference(history: History) -> float:
    """The probability that `BaseRate` gives for `history`: the reference of every skill.

    Raises `Skipped` where `BaseRate` does.
    """
    return BaseRate().fit(history).rate_


class Recency:
    """Who bought last buys next: ``exp(-d / horizon)``, d = cutoff - last purchase.

    Both lengths are in microseconds, divided in float64; d is neither clipped nor rounded.
    """

    name = "recency"
    reads = "summary"
    draws = False

    def fit(self, history: History) -> Recency:
        """Nothing is learnt."""
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Probabilities of shape (n_customers,); 1/e one horizon after the last purchase."""
        horizon = history.horizon_end_us - history.cutoff_us
        return np.exp(-(history.cutoff_us - history.summary.last_purchase) / horizon)


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
