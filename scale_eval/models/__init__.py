"""Models: two verbs, `fit(history)` and `predict_proba(history)`, and those that come with it."""

from scale_eval.evaluation.model import Model, NamedModel
from scale_eval.evaluation.reference import base_rates
from scale_eval.models.baselines import BaseRate, Frequency, Recency
from scale_eval.models.bgnbd import BGNBD
from scale_eval.models.identity import identity_of_source
from scale_eval.models.predictions import Predictions
from scale_eval.models.registry import BASELINES, BUILT_IN, load_object, resolve
from scale_eval.models.rfm import rfm_features
from scale_eval.models.ridge_logistic import RidgeLogistic, rfm_logistic
from scale_eval.models.scikit_learn import ClassifierModel, rfm_gradient_boosting

__all__ = [
    "BASELINES",
    "BGNBD",
    "BUILT_IN",
    "BaseRate",
    "ClassifierModel",
    "Frequency",
    "Model",
    "NamedModel",
    "Predictions",
    "Recency",
    "RidgeLogistic",
    "base_rates",
    "identity_of_source",
    "load_object",
    "resolve",
    "rfm_features",
    "rfm_gradient_boosting",
    "rfm_logistic",
]
