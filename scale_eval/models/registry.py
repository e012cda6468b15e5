"""Which model is meant: from a name, ``package.module:Class``, a file, a class or an instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scale_eval.models import NamedModel

if TYPE_CHECKING:
    pass


if TYPE_CHECKING:
    pass

import importlib
import inspect
import sys
from collections.abc import Callable

from scale_eval.evaluation.model import FitsMany, Model
from scale_eval.models.baselines import BaseRate, Frequency, Recency
from scale_eval.models.bgnbd import BGNBD
from scale_eval.models.global_rfm import global_rfm_gradient_boosting, global_rfm_logistic
from scale_eval.models.identity import identity_of_model
from scale_eval.models.predictions import Predictions
from scale_eval.models.ridge_logistic import rfm_logistic
from scale_eval.models.scikit_learn import ClassifierModel, rfm_gradient_boosting
from scale_eval.spelling import did_you_mean

BUILT_IN: dict[str, Callable[[], Model | FitsMany]] = {
    "base_rate": BaseRate,
    "recency": Recency,
    "frequency": Frequency,
    "rfm_logistic": rfm_logistic,
    "rfm_gradient_boosting": rfm_gradient_boosting,
    "bgnbd": BGNBD,
    "global_rfm_logistic": global_rfm_logistic,
    "global_rfm_gradient_boosting": global_rfm_gradient_boosting,
}
"""The models that come with the package, by name."""

BASELINES = ("base_rate", "recency")
"""Models that are always run: whatever cannot beat them is not worth deploying."""

_PREDICTIONS = "predictions:"
_SCOPES = ("company", "all")
_READS = ("transactions", "summary")


def resolve(model: Any) -> NamedModel:
    """The model that is meant by `model`.

    Parameters
    ----------
    model : str, class, function or instance
        A name in `BUILT_IN`; ``"predictions:FILE.parquet"``; ``"package.module:Thing"``; or a thing
        itself. A thing is a class or a function to be called without arguments, an instance, or a
        scikit-learn classifier, which becomes a `ClassifierModel`.

    Raises
    ------
    ValueError
        There is no such model, or it is none; the message says what to do.
    """
    typed = model if isinstance(model, str) else ""
    thing = _load(typed) if isinstance(model, str) else model
    if isinstance(thing, type) or inspect.isroutine(thing):
        thing = _called(thing)
    own_name = getattr(thing, "name", None)
    name = own_name if isinstance(own_name, str) and own_name else typed or type(thing).__name__
    _check(thing, name)
    if _is_scikit_learn_classifier(thing):
        thing = ClassifierModel(thing, name)
    return NamedModel(name, thing, identity_of_model(thing))


def _is_scikit_learn_classifier(thing: Any) -> bool:
    if "sklearn.base" not in sys.modules:
        return False  # nothing can be of a class that nobody has imported
    from sklearn.base import BaseEstimator, is_classifier

    return isinstance(thing, BaseEstimator) and bool(is_classifier(thing))


def load_object(text: str, kind: str) -> Any:
    """What ``package.module:Name`` names; `kind` says in the `ValueError` what was looked for."""
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise ValueError(f"there is no {kind} {text!r}; write package.module:Name for one of yours")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{kind} {text!r}: cannot import {module_name} ({error}); run from the directory that "
            "holds it, or install its package"
        ) from error
    if not hasattr(module, name):
        raise ValueError(
            f"{kind} {text!r}: {module_name} has no {name}{did_you_mean(name, vars(module))}"
        )
    return getattr(module, name)


def _load(text: str) -> Any:
    if text in BUILT_IN:
        return BUILT_IN[text]
    if text.startswith(_PREDICTIONS):
        return Predictions(text.removeprefix(_PREDICTIONS))
    if ":" in text:
        return load_object(text, "model")
    raise ValueError(
        f"there is no model {text!r}{did_you_mean(text, BUILT_IN)}. Known: {', '.join(BUILT_IN)}; "
        "write package.module:Class for one of yours, predictions:FILE.parquet for predictions"
    )


def _called(factory: Callable[..., Any]) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise ValueError(
            f"{factory.__name__} cannot be called without arguments ({error}); give an instance, "
            "or name a function without arguments that makes one"
        ) from error
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{factory.__name__} cannot be made: {error}") from error


def _check(thing: Any, name: str) -> None:
    missing = [
        verb for verb in ("fit", "predict_proba") if not callable(getattr(thing, verb, None))
    ]
    if missing:
        raise ValueError(
            f"{name!r} ({type(thing).__name__}) lacks {' and '.join(missing)}; a model has "
            "fit(history) and predict_proba(history)"
        )
    for attribute, known in (("scope", _SCOPES), ("reads", _READS)):
        value = getattr(thing, attribute, known[0])
        if value not in known:
            raise ValueError(f"{name!r} has {attribute} {value!r}; it is one of {', '.join(known)}")


def named_models(models: Sequence[Any]) -> dict[str, NamedModel]:
    """The models that a run of `models` evaluates, by name: these and the baselines.

    Raises `ValueError` for a model that there is not, and for two of one name.
    """
    asked = [models] if isinstance(models, str) else list(models)
    chosen: dict[str, NamedModel] = {}
    for given in [*BASELINES, *asked]:
        model = resolve(given)
        other = chosen.get(model.name)
        if other and (other.identity != model.identity or not isinstance(given, str | type)):
            raise ValueError(
                f"there are two models named {model.name!r}; give one of them another `name`"
            )
        chosen.setdefault(model.name, model)
    return chosen


DEFAULT_MODELS = ("base_rate", "recency", "rfm_logistic", "bgnbd")
