"""Any scikit-learn classifier as a model, and the one that comes with the package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from scale_eval.evaluation.history import History
from scale_eval.models.rfm import FEATURES, rfm_features

TRIED_ROWS = 60
"""Random rows to which a classifier is fitted to see whether it gives probabilities."""


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
            _require_probabilities_when_fitted(estimator)
        self.estimator = estimator
        self.name = name or kind
        self.features = features

    def fit(self, history: History) -> ClassifierModel:
        """Train on the labelled window; raises `Skipped` where it is too short or has one class."""
        self.labelled_ = history.labelled().require_both_classes()
        self.note_ = self.labelled_.note
        self.estimator_ = _seeded_copy(self.estimator, self.random_state)
        with warnings.catch_warnings():  # LogisticRegression warns of n_jobs=1 too
            warnings.filterwarnings("ignore", "'n_jobs' has no effect", FutureWarning)
            self.estimator_.fit(self.features(self.labelled_.history), self.labelled_.bought)
        return self

    def predict_proba(self, history: History) -> np.ndarray:
        """Return the probability of a purchase within the horizon; shape (n_customers,)."""
        bought = list(self.estimator_.classes_).index(True)
        probabilities = self.estimator_.predict_proba(self.features(history))[:, bought]
        return self.labelled_.to_horizon(probabilities)


def _seeded_copy(estimator: Any, random_state: int) -> Any:
    """Return an unfitted copy that draws from `random_state` and starts no processes."""
    from sklearn.base import clone  # slow to import, and many runs do not need it

    copy = clone(estimator)
    for parameter in copy.get_params():
        match parameter.rpartition("__")[-1]:
            case "random_state":
                copy.set_params(**{parameter: random_state})
            case "n_jobs":
                copy.set_params(**{parameter: 1})
    return copy


def _require_probabilities_when_fitted(estimator: Any) -> None:
    """Raise `TypeError` for a classifier that gives no probabilities, even when it is fitted.

    Some have `predict_proba` only then: it is that of a final or best estimator. So a copy is
    fitted to a few random rows; where they do not suit it, the evaluations say what does not.
    """
    fitted = _seeded_copy(estimator, 0)
    if hasattr(type(estimator), "predict_proba"):
        random = np.random.default_rng(0)
        rows = np.abs(random.normal(size=(TRIED_ROWS, len(FEATURES))))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fitted.fit(rows, rows[:, 0] > np.median(rows[:, 0]))
            except Exception:
                return
    try:
        fitted.predict_proba  # noqa: B018 - raises where a condition of it is not met
    except AttributeError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        why = "" if cause is error else f" ({cause})"
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba, so it gives no probabilities{why}; "
            "if it decides by a score, wrap it in sklearn.calibration.CalibratedClassifierCV"
        ) from error


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
