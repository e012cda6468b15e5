"""The models that come with the package, and how a model is found.

========================  =======================================================================
`baselines`               `base_rate` and `recency`, which are always run, and `frequency`
`ridge_logistic`          `rfm_logistic`: logistic regression on the features of `rfm`
`bgnbd`                   `bgnbd`: the formulas; `bgnbd_compiled` and `bgnbd_windows` compute them
`scikit_learn`            `rfm_gradient_boosting`, and any scikit-learn classifier as a model
`global_rfm`              `global_rfm_logistic`, `global_rfm_gradient_boosting`: of all companies
`predictions`             predictions made elsewhere, from a file
`built_in`                their names
`registry`                how a model is found, a user's too
`identity`                the hash of a model's source and parameters
`warm_up`                 compilation before anything is timed
========================  =======================================================================

The contract of a model is in `scale_eval.evaluation.model`. To add one, write its file and enter it
in `built_in.BUILT_IN`.
"""

from typing import TYPE_CHECKING

from scale_eval.lazy import lazy_names

if TYPE_CHECKING:
    from scale_eval.evaluation.model import Model, NamedModel
    from scale_eval.models.baselines import BaseRate, Frequency, Recency
    from scale_eval.models.bgnbd import BGNBD
    from scale_eval.models.built_in import BASELINES, BUILT_IN
    from scale_eval.models.identity.model_identity import identity_of_source
    from scale_eval.models.predictions import Predictions
    from scale_eval.models.registry import load_object, resolve
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BASELINES": "scale_eval.models.built_in",
        "BGNBD": "scale_eval.models.bgnbd",
        "BUILT_IN": "scale_eval.models.built_in",
        "BaseRate": "scale_eval.models.baselines",
        "ClassifierModel": "scale_eval.models.scikit_learn",
        "Frequency": "scale_eval.models.baselines",
        "Model": "scale_eval.evaluation.model",
        "NamedModel": "scale_eval.evaluation.model",
        "Predictions": "scale_eval.models.predictions",
        "Recency": "scale_eval.models.baselines",
        "RidgeLogistic": "scale_eval.models.ridge_logistic",
        "identity_of_source": "scale_eval.models.identity.model_identity",
        "load_object": "scale_eval.models.registry",
        "resolve": "scale_eval.models.registry",
        "rfm_features": "scale_eval.models.rfm",
        "rfm_gradient_boosting": "scale_eval.models.scikit_learn",
    },
)
