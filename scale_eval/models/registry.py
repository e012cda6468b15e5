"""Find a model by its name, by ``package.module:Class``, by a file, a class or an instance."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from scale_eval.evaluation.model import NamedModel
from scale_eval.evaluation.no_prediction import message_of
from scale_eval.evaluation.users_object import looking_at
from scale_eval.models.built_in import BASELINES, BUILT_IN
from scale_eval.models.identity.model_identity import identity_of_model
from scale_eval.models.predictions import Predictions
from scale_eval.models.scikit_learn import ClassifierModel
from scale_eval.spelling import did_you_mean, did_you_mean_one_of

_PREDICTIONS = "predictions:"
_SCOPES = ("company", "all")
_READS = ("transactions", "summary")


def resolve(model: Any) -> NamedModel:
    """Return the model that `model` names or is.

    Parameters
    ----------
    model : str, class, function or instance
        A name in `BUILT_IN`; ``"predictions:FILE.parquet"``; ``"package.module:Name"``; or an
        object: a class or a function to be called without arguments, an instance, or a scikit-learn
        classifier, which becomes a `ClassifierModel`.

    Raises
    ------
    ValueError
        There is no such model, or the object is not a model; the message says what to do.
    """
    text = model if isinstance(model, str) else ""
    candidate = _load(model) if isinstance(model, str) else model
    if isinstance(candidate, type) or inspect.isroutine(candidate):
        candidate = _instantiated(candidate)
    name = text or type(candidate).__name__
    with looking_at("model", name):
        own_name = getattr(candidate, "name", None)
        name = own_name if isinstance(own_name, str) and own_name else name
        if _is_scikit_learn_classifier(candidate):
            candidate = _classifier_model(candidate, name)
        _check(candidate, name)
        is_trusted = type(candidate) in BUILT_IN.values() and hasattr(candidate, "fit_windows")
        return NamedModel(name, candidate, identity_of_model(candidate), is_trusted)


def _is_scikit_learn_classifier(candidate: Any) -> bool:
    if "sklearn.base" not in sys.modules:
        return False  # no instance of its classes can exist before scikit-learn is imported
    from sklearn.base import BaseEstimator, is_classifier

    return isinstance(candidate, BaseEstimator) and bool(is_classifier(candidate))


def _classifier_model(classifier: Any, name: str) -> ClassifierModel:
    try:
        return ClassifierModel(classifier, name)
    except TypeError as error:
        raise ValueError(str(error)) from error


def load_object(text: str, kind: str) -> Any:
    """Import what ``package.module:Name`` names; a `ValueError` calls it a `kind`."""
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise ValueError(f"there is no {kind} {text!r}; write package.module:Name for one of yours")
    try:
        module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(
            f"{kind} {text!r}: cannot import {module_name} ({message_of(error)}); run from the "
            "directory that holds it, or install its package"
        ) from error
    with looking_at(kind, text):
        if not hasattr(module, name):
            raise ValueError(f"{kind} {text!r}: {module_name} has no {name}{_near(name, module)}")
        return getattr(module, name)


def _near(name: str, module: ModuleType) -> str:
    """Suggest the nearest name that a module defines, or all; imported ones are left out."""
    defined = [
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and not inspect.ismodule(value)
        and (
            not (inspect.isclass(value) or inspect.isroutine(value))
            or getattr(value, "__module__", "") == module.__name__
        )
    ]
    return did_you_mean_one_of(name, defined) if defined else ""


def _load(text: str) -> Any:
    if text in BUILT_IN:
        return BUILT_IN[text]
    if text.startswith(_PREDICTIONS):
        return Predictions(text.removeprefix(_PREDICTIONS))
    if ":" in text:
        return load_object(text, "model")
    raise ValueError(
        f"there is no model {text!r}{did_you_mean(text, BUILT_IN, '.')} Known: "
        f"{', '.join(BUILT_IN)}; "
        "write package.module:Class for one of yours, predictions:FILE.parquet for predictions"
    )


def _instantiated(factory: Callable[..., Any]) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise ValueError(
            f"{factory.__name__} cannot be called without arguments ({error}); give an instance, "
            "or name a function without arguments that makes one"
        ) from error
    except ValueError:  # some functions in C do not tell
        pass
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(f"{factory.__name__} cannot be made: {message_of(error)}") from error


def _check(candidate: Any, name: str) -> None:
    if isinstance(candidate, list | tuple | dict):
        raise ValueError(
            f"a model is {candidate!r:.80}: write one model after another, as in "
            "['bgnbd', MyModel()]; a model is called by its attribute `name`"
        )
    missing = [
        name for name in ("fit", "predict_proba") if not callable(getattr(candidate, name, None))
    ]
    if missing:
        raise ValueError(
            f"{name!r} ({type(candidate).__name__}) lacks {' and '.join(missing)}; a model has "
            "fit(history) and predict_proba(history), or is a classifier of scikit-learn"
        )
    if any(map(inspect.iscoroutinefunction, (candidate.fit, candidate.predict_proba))):
        raise ValueError(f"{name!r} has an async method, which nobody awaits: write def alone")
    if inspect.isgeneratorfunction(candidate.fit):
        raise ValueError(f"{name!r} has a yield in fit, so that a call of it does nothing")
    for attribute, allowed in (("scope", _SCOPES), ("reads", _READS)):
        value = getattr(candidate, attribute, allowed[0])
        if value not in allowed:
            raise ValueError(
                f"{name!r} has {attribute} {value!r}; it is one of {', '.join(allowed)}"
            )


def _listed(models: Any) -> list[Any]:
    """Return the models as a list; a single one may stand alone.

    Raises `ValueError` for a mapping or a table, and for what is neither a model nor many.
    """
    is_single = isinstance(models, str | bytes | type) or callable(models)
    with looking_at("model", type(models).__name__):
        if is_single or hasattr(models, "fit") or not isinstance(models, Iterable):
            return [models]
    if isinstance(models, Mapping) or hasattr(models, "columns"):
        raise ValueError(
            f"models is a {type(models).__name__}: write a list, such as ['bgnbd', MyModel()]; a "
            "model is called by its attribute `name`"
        )
    return list(models)


def named_models(models: Sequence[Any]) -> dict[str, NamedModel]:
    """Return the models that a run of `models` evaluates, by name: these and the baselines.

    Raises `ValueError` for a model that does not exist, and for two of one name.
    """
    by_user = _listed(models)
    chosen: dict[str, NamedModel] = {}
    for each in [*BASELINES, *by_user]:
        model = resolve(each)
        other = chosen.get(model.name)
        if other and (other.identity != model.identity or not isinstance(each, str | type)):
            raise ValueError(
                f"there are two models named {model.name!r}; give one of them another `name`"
            )
        chosen.setdefault(model.name, model)
    return chosen
