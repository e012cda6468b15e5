"""Any scikit-learn classifier as a model, and the one that comes with the package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from scale_eval.evaluation.history import History
from scale_eval.models.rfm import rfm_features


class ClassifierModel:
    """A scikit-learn classifier as a model: it learns from features of a history who bought.

    It trains on `history.labelled()`, and its probability of the class True is carried to the
    horizon where the labelled window was shorter.

    Parameters
    ----------
    estimator : classifier with `predict_proba`
        Cloned before it is fitted; each `random_state` in it is set to the model's, each `n_jobs`
        to 1, because evaluations already run side by side.
    name : str, optional
        The model's name in the tables; by default the class of `estimator`.
    features : callable
        Takes a `History` and returns an array of shape (n_customers, n_features).
    """

    random_state = 0

    def __init__(
        self,
        estimator: Any,
        name: str | None = None,
        features: Callable[[History], np.ndarray] = rfm_features,
    ) -> None:
        kind = type(estimator).__name__
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"{kind} has no predict_proba, so it gives no probabilities; "
                "wrap it in sklearn.calibration.CalibratedClassifierCV"
            )
        self.estimator = estimator
        self.name = name or kind
        self.features = features

    def fit(self, history: History) -> ClassifierModel:
        """Train on the labelled window; raises `Skipped` where it is too short or has one class."""
        from sklearn.base import clone  # slow to import, and many runs do not need it

        self.labelled_ = history.labelled().require_both_classes()
        self.note_ = self.labelled_.note
        self.estimator_ = clone(self.estimator)
        for parameter in self.estimator_.get_params():
            match parameter.rpartition("__")[-1]:
                case "random_state":
                    self.estimator_.set_params(**{parameter: self.random_state})
                case "n_jobs":
                    self.estimator_.set_params(**{parameter: 1})
        with warnings.catch_warnings():  # LogisticRegression warns of n_jobs=1 too
            warnings.filterwarnings("ignore", "'n_jobs' has no effect", FutureWarning)
            self.estimator_.fit(self.features(self.labelled_.history), self.labelled_.bought)
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the probability of a purchase within the horizon; shape (n_customers,)."""
        bought = list(self.estimator_.classes_).index(True)
        probabilities = self.estimator_.predict_proba(self.features(history))[:, bought]
        return self.labelled_.to_horizon(probabilities)


def rfm_gradient_boosting() -> ClassifierModel:
    """Return fifty shallow boosted trees on RFM features; under 40 customers, the base rate."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=50,
        learning_rate=0.05,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
    )
    return ClassifierModel(trees, "rfm_gradient_boosting")
