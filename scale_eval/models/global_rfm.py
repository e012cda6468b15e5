"""One model for all companies: RFM features and features of the company, pooled over many.

A small company has too few customers to learn from; here it borrows strength from the others. What
distinguishes a company are its own features: its base rate (shrunk towards that of all companies,
the more so the fewer its customers), its age and its size at the cutoff.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from scale_eval.datasets.instants import DAY
from scale_eval.evaluation.history import History
from scale_eval.evaluation.no_prediction import Skipped
from scale_eval.models.rfm import FEATURES, rfm_features
from scale_eval.models.ridge_logistic import fit, probabilities_of

COMPANY_FEATURES = ("logit_base_rate", "log_age_days", "log_customers")

PSEUDO_CUSTOMERS = 10.0
"""The weight of the base rate of all companies in that of one company, in customers."""

MOST_CUSTOMERS = 1_000
"""The most customers of one company to train on, so that giants do not outweigh the others."""


class Learner(Protocol):
    """A classifier of the pooled features."""

    def fit(self, features: np.ndarray, bought: np.ndarray) -> Any:
        """Learn from float64 of shape (n, n_features) and bool of shape (n,)."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return a probability for each row; shape (n,)."""


class GlobalModel:
    """A model of all companies: it pools the labelled histories of many at one cutoff.

    It does not train on companies whose past is shorter than two horizons, but predicts for them.

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
        """Train on the labelled windows of companies, which all end before their cutoff.

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
            chosen = _evenly_spaced(len(each.bought))
            features.append(self._features(each.history)[chosen])
            bought.append(each.bought[chosen])
        self.note_ = f"one model of {len(labelled)} companies"
        if hasattr(self.learner, "random_state"):
            self.learner.random_state = self.random_state
        self.learner.fit(np.concatenate(features), np.concatenate(bought))
        return self

    def fitted_arrays(self) -> dict[str, np.ndarray] | None:
        """Return all that was learned, as arrays; None for a learner that has other things."""
        if not isinstance(self.learner, RidgeLearner):
            return None
        return {
            "base_rate": np.array(self.base_rate_),
            "note": np.array(self.note_),
            "learner": self.learner.fitted_,
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `fitted_arrays` returned, instead of fitting."""
        assert isinstance(self.learner, RidgeLearner)
        self.base_rate_, self.note_ = float(arrays["base_rate"]), str(arrays["note"])
        self.learner.fitted_ = arrays["learner"]

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the probability of a purchase within the horizon; shape (n_customers,)."""
        return self.learner.probabilities(self._features(history))

    def predict_many(self, histories: list[History]) -> list[np.ndarray]:
        """Predict for each history in one call: a call to trees takes milliseconds at any size."""
        features = np.concatenate([self._features(history) for history in histories])
        ends = np.cumsum([history.n_customers for history in histories])
        return np.split(self.learner.probabilities(features), ends[:-1])

    def _features(self, history: History) -> np.ndarray:
        """Return FEATURES and COMPANY_FEATURES of each customer; shape (n_customers, 7)."""
        n_bought, n = 0.0, 0
        try:
            labelled = history.labelled()
        except Skipped:
            pass
        else:
            n = len(labelled.bought)
            n_bought = n * float(labelled.to_horizon(labelled.n_bought / n))
        rate = (n_bought + PSEUDO_CUSTOMERS * self.base_rate_) / (n + PSEUDO_CUSTOMERS)
        rate = min(rate, 1.0 - 1e-9)  # 1 where all customers bought
        features = np.empty((history.n_customers, len(FEATURES) + len(COMPANY_FEATURES)))
        features[:, : len(FEATURES)] = rfm_features(history)
        features[:, len(FEATURES) :] = (
            math.log(rate / (1.0 - rate)),
            math.log1p((history.cutoff_us - history.first_us) / DAY),
            math.log(max(history.n_customers, 1)),
        )
        return features


class RidgeLearner:
    """Logistic regression with scikit-learn's default ridge."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, features: np.ndarray, bought: np.ndarray) -> None:
        """Learn as `scale_eval.models.ridge_logistic.fit` does."""
        self.fitted_ = fit(features, bought, self.C)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return a probability for each row; shape (n,)."""
        return probabilities_of(self.fitted_, features)


class BoostingLearner:
    """Two hundred boosted trees of scikit-learn."""

    random_state = 0

    def __init__(self) -> None:
        from sklearn.ensemble import (
            HistGradientBoostingClassifier,  # slow to import, and most processes do not need it
        )

        self.estimator = HistGradientBoostingClassifier(
            max_iter=200,
            learning_rate=0.05,
            max_leaf_nodes=31,
            min_samples_leaf=100,
            l2_regularization=1.0,
            early_stopping=False,
        )

    def fit(self, features: np.ndarray, bought: np.ndarray) -> None:
        """Learn from float64 of shape (n, n_features) and bool of shape (n,)."""
        self.estimator.set_params(random_state=self.random_state)
        self.estimator.fit(features, bought)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return a probability for each row; shape (n,)."""
        return np.ascontiguousarray(self.estimator.predict_proba(features)[:, 1])


def global_rfm_logistic() -> GlobalModel:
    """Return a logistic regression of all companies together."""
    return GlobalModel(RidgeLearner(), "global_rfm_logistic")


def global_rfm_gradient_boosting() -> GlobalModel:
    """Return boosted trees of all companies together."""
    return GlobalModel(BoostingLearner(), "global_rfm_gradient_boosting")


def _evenly_spaced(n: int) -> slice:
    """Return at most MOST_CUSTOMERS of n, evenly spaced, since sorted ids may follow time."""
    return slice(None, None, -(-n // MOST_CUSTOMERS))
