"""The models that come with the package, by name; each has a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from scale_eval.lazy import Registry

if TYPE_CHECKING:
    from scale_eval.evaluation.model import FitsMany, Model, NamedModel

BUILT_IN: Registry[Callable[[], Model | FitsMany]] = Registry(
    {
        "base_rate": "scale_eval.models.baselines:BaseRate",
        "recency": "scale_eval.models.baselines:Recency",
        "frequency": "scale_eval.models.baselines:Frequency",
        "rfm_logistic": "scale_eval.models.ridge_logistic:RidgeLogistic",
        "rfm_gradient_boosting": "scale_eval.models.scikit_learn:rfm_gradient_boosting",
        "bgnbd": "scale_eval.models.bgnbd:BGNBD",
        "global_rfm_logistic": "scale_eval.models.global_rfm:global_rfm_logistic",
        "global_rfm_gradient_boosting": "scale_eval.models.global_rfm:global_rfm_gradient_boosting",
    }
)
"""The models that come with the package, by name.

A class among them that has `fit_windows` is trusted with more than a history, see
`scale_eval.evaluation.model.FitsWindows`.
"""

WHY_NOT_COMPILED = {
    "rfm_gradient_boosting": "scikit-learn fits its trees anew at each company and cutoff",
    "global_rfm_logistic": "it is fitted to all companies, and predicts cutoff by cutoff",
    "global_rfm_gradient_boosting": "it is fitted to all companies, by trees of scikit-learn",
}
"""Why a model has no `fit_windows`, so that an evaluation by it takes longer; all others have."""

BASELINES = ("base_rate", "recency")
"""The models that are always run: a model that cannot beat them is not worth deploying."""

DEFAULT_MODELS = (*BASELINES, "rfm_logistic", "bgnbd")
"""The models of a run that names none."""


def is_built_in(model: NamedModel) -> bool:
    """Return whether a model comes with the package and holds nothing of the user's."""
    own = type(model.prototype).__module__.partition(".")[0] == __name__.partition(".")[0]
    return own and (not hasattr(model.prototype, "estimator") or model.name in BUILT_IN)
