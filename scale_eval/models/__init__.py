"""The models that come with the package, and how a model is found.

========================  =======================================================================
`baselines`               `base_rate` and `recency`, which are always run, and `frequency`
`ridge_logistic`          `rfm_logistic`: logistic regression on the features of `rfm`
`bgnbd`                   `bgnbd`: the formulas; `bgnbd_compiled` and `bgnbd_windows` compute them
`scikit_learn`            `rfm_gradient_boosting`, and any scikit-learn classifier as a model
`global_rfm`              `global_rfm_logistic`, `global_rfm_gradient_boosting`: of all companies
`predictions`             predictions made elsewhere, from a file
`registry`                their names, and how a user's model is found
`identity`                the hash of a model's source and parameters
`warm_up`                 compilation before anything is timed
========================  =======================================================================

The contract of a model is in `scale_eval.evaluation.model`. To add one, write its file and enter it
in `registry.BUILT_IN`.
"""

from scale_eval.evaluation.model import Model, NamedModel
from scale_eval.models.baselines import BaseRate, Frequency, Recency
from scale_eval.models.bgnbd import BGNBD
from scale_eval.models.identity import identity_of_source
from scale_eval.models.predictions import Predictions
from scale_eval.models.registry import BASELINES, BUILT_IN, load_object, resolve
from scale_eval.models.rfm import rfm_features
from scale_eval.models.ridge_logistic import RidgeLogistic
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
    "identity_of_source",
    "load_object",
    "resolve",
    "rfm_features",
    "rfm_gradient_boosting",
]
