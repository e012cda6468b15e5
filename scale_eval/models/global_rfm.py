"""One model for all companies: RFM features beside what sets a company apart, pooled over many.

A small company has too few customers to learn from; here it borrows from the others. It keeps what
is its own through features of the company: its base rate (drawn to that of all, by how few
customers it stands on), its age and its size at the cutoff.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from scale_eval.datasets.instants import DAY
from scale_eval.evaluation.history import History, Skipped
from scale_eval.models.rfm import FEATURES, rfm_features
from scale_eval.models.ridge_logistic import fit, probabilities_of

COMPANY_FEATURES = ("logit_base_rate", "log_age_days", "log_customers")

PSEUDO_CUSTOMERS = 10.0
"""Customers with the base rate of all companies that each company is given besides its own."""

MOST_CUSTOMERS = 1_000
"""Of a company, to train on: giants are not to drown the others."""


class Learner(Protocol):
    """What is fitted on the pooled features."""

    def fit(self, features: np.ndarray, bought: np.ndarray) -> Any:
        """Of float64, shape (n, n_features), and bool, shape (n,)."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of shape (n,)."""


class GlobalModel:
    """Pools the labelled histories of many companies at one cutoff.

    Companies whose past is shorter than two horizons do not train, but are predicted.

    Parameters
    ----------
    learner : Learner
    name : str
    """

    scope = "all"
    reads = "summary"
    draws = True
    random_state = 0

    def __init__(self, learner: Learner, name: str) -> None:
        self.learner = learner
        self.name = name

    def fit(self, histories: Iterable[History]) -> GlobalModel:
        """Train on who bought in the labelled windows of companies; all before their cutoff.

        Raises
        ------
        Skipped
            ``history_too_short``: no company's past is two horizons long; ``history_one_class``.
        """
        labelled = []
        for history in histories:
            try:
                earlier = history.labelled()
            except Skipped:
                continue
            if earlier.exponent == 1.0:
                labelled.append(earlier)
        if not labelled:
            raise Skipped("history_too_short", "no company has a past of two horizons to train on")
        n = sum(len(each.bought) for each in labelled)
        n_bought = sum(each.n_bought for each in labelled)
        if not 0 < n_bought < n:
            raise Skipped("history_one_class", f"{n_bought} of {n} customers bought")
        self.base_rate_ = n_bought / n
        features, bought = [], []
        for each in labelled:
            chosen = _spread(len(each.bought))
            features.append(self._features(each.history)[chosen])
            bought.append(each.bought[chosen])
        self.note_ = f"one model of {len(labelled)} companies"
        if hasattr(self.learner, "random_state"):
            self.learner.random_state = self.random_state
        self.learner.fit(np.concatenate(features), np.concatenate(bought))
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Probability of a purchase within the horizon; shape (n_customers,)."""
        return self.learner.probabilities(self._features(history))

    def predict_many(self, histories: list[History]) -> list[np.ndarray]:
        """`predict_proba` of each: trees take milliseconds a call, and microseconds a customer."""
        features = np.concatenate([self._features(history) for history in histories])
        ends = np.cumsum([history.n_customers for history in histories])
        return np.split(self.learner.probabilities(features), ends[:-1])

    def _features(self, history: History) -> np.ndarray:
        """FEATURES and COMPANY_FEATURES of each customer; shape (n_customers, 7)."""
        n_bought, n = 0.0, 0
        try:
            labelled = history.labelled()
        except Skipped:
            pass
        else:
            n = len(labelled.bought)
            n_bought = n * float(labelled.to_horizon(labelled.n_bought / n))
        rate = (n_bought + PSEUDO_CUSTOMERS * self.base_rate_) / (n + PSEUDO_CUSTOMERS)
        rate = min(rate, 1.0 - 1e-9)  # of customers who all bought
        features = np.empty((history.n_customers, len(FEATURES) + len(COMPANY_FEATURES)))
        features[:, : len(FEATURES)] = rfm_features(history)
        features[:, len(FEATURES) :] = (
            math.log(rate / (1.0 - rate)),
            math.log1p((history.cutoff_us - history.first_us) / DAY),
            math.log(max(history.n_customers, 1)),
        )
        return features


class RidgeLearner:
    """Logistic regression with scikit-learn's own ridge."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, features: np.ndarray, bought: np.ndarray) -> None:
        """See `scale_eval.models.ridge_logistic.fit`."""
        self.fitted_ = fit(features, bought, self.C)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of shape (n,)."""
        return probabilities_of(self.fitted_, features)


class BoostingLearner:
    """Two hundred boosted trees."""

    random_state = 0

    def __init__(self) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier  # most processes need none

        self.estimator = HistGradientBoostingClassifier(
            max_iter=200,
            learning_rate=0.05,
            max_leaf_nodes=31,
            min_samples_leaf=100,
            l2_regularization=1.0,
            early_stopping=False,
        )

    def fit(self, features: np.ndarray, bought: np.ndarray) -> None:
        """Of float64, shape (n, n_features), and bool, shape (n,)."""
        self.estimator.set_params(random_state=self.random_state)
        self.estimator.fit(features, bought)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Of shape (n,)."""
        return np.ascontiguousarray(self.estimator.predict_proba(features)[:, 1])


def global_rfm_logistic() -> GlobalModel:
    """Logistic regression of all companies together."""
    return GlobalModel(RidgeLearner(), "global_rfm_logistic")


def global_rfm_gradient_boosting() -> GlobalModel:
    """Boosted trees of all companies together."""
    return GlobalModel(BoostingLearner(), "global_rfm_gradient_boosting")


def _spread(n: int) -> slice:
    """At most MOST_CUSTOMERS of n, evenly spaced: ids are sorted, and may tell of age."""
    return slice(None, None, -(-n // MOST_CUSTOMERS))
