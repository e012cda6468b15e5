"""Identify what a model's results depend on besides the data: its source and its parameters.

A run is resumed only with the same models; a changed one is refused with what differs.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from scale_eval.models.identity.code_parts import (
    LEVELS_FOLLOWED,
    attributes_of,
    content_of,
    layers,
)
from scale_eval.models.identity.code_text import bytecode
from scale_eval.models.identity.declared_files import declared_files
from scale_eval.models.identity.dependencies import dependencies
from scale_eval.models.identity.described_value import Described, describe
from scale_eval.models.identity.not_compared import not_compared
from scale_eval.models.identity.readable import readable
from scale_eval.models.identity.used_source import used_source
from scale_eval.models.predictions import Predictions
from scale_eval.models.scikit_learn import ClassifierModel

_PACKAGE = "scale_eval"


def identity_of_model(model: Any) -> dict[str, Any]:
    """Return the hash of a model's `source`, its `parameters` as text, and hashes of what it uses.

    The source is that of its class and the classes above it, and of the functions, the estimators
    and the objects of its own module among its parameters. What these use elsewhere is `uses`, by
    name (see `dependencies`), and `files` are those that the model declares. The parameters are its
    attributes, and `get_params()` where it or an attribute has that; what is not plain data is
    written as its type and a hash of its content. Those of `Predictions` are the content of the
    file, not its path.
    """
    if isinstance(model, Predictions):
        parameters: dict[str, Any] = {"content": model.content_hash()}
    else:
        parameters = _parameters(model)
    definitions = dict.fromkeys(_definitions(model, parameters))
    sources = dict.fromkeys(map(identity_of_source, definitions))
    is_cloned = isinstance(model, ClassifierModel)
    described, texts = {}, {}
    for name in sorted(parameters):
        cloned = is_cloned or _is_inner(name, parameters)
        described[name] = describe(parameters[name], Path.cwd(), is_cloned=cloned)
        texts[name] = _text(parameters[name], described[name], is_cloned=cloned)
    identity: dict[str, Any] = {
        "source": hashlib.sha256("\n".join(sources).encode()).hexdigest(),
        "parameters": texts,
    }
    if type(model).__module__.partition(".")[0] != _PACKAGE or hasattr(model, "estimator"):
        identity["uses"] = dependencies(model) | {
            f"self.{name}": not_compared(each)
            for name, each in described.items()
            if each.not_comparable
        }
        identity["files"] = declared_files(model)
    return identity


def identity_of_source(thing: Any) -> str:
    """Return the SHA-256 of a class or function and of all that it uses in its module.

    Only its own code is hashed in a notebook and in ``__main__``, where the rest of the file does
    not count, and where there is no file; the whole file where it belongs to scale_eval. The
    variables that a function closes over are included.
    """
    try:
        if thing.__module__ == "__main__":
            source = inspect.getsource(thing).encode()
        else:
            defined = layers(thing)[-1]
            source = Path(inspect.getfile(defined)).read_bytes()
            if thing.__module__.partition(".")[0] != _PACKAGE:
                source = used_source(source, defined.__qualname__.partition(".")[0])
    except (OSError, TypeError):
        source = bytecode(thing).encode()
    cells = getattr(thing, "__closure__", None) or ()
    values = [content_of(cell) for cell in cells]
    closed_over = [_text(value, describe(value, Path.cwd())) for value in values]
    return hashlib.sha256(source + "\n".join(closed_over).encode()).hexdigest()


def _text(value: Any, described: Described, *, is_cloned: bool = False) -> str:
    """Return plain data as text, and any other value as its type and a hash of what it holds."""
    plain = readable(value, is_cloned=is_cloned)
    return f"{type(value).__qualname__} {described.digest}".rstrip() if plain is None else plain


def _parameters(model: Any) -> dict[str, Any]:
    parameters = attributes_of(model)
    if _has_parameters(model):  # `fit` sets what ends in an underscore
        own = {name: value for name, value in parameters.items() if not name.endswith("_")}
        return own | model.get_params(deep=True)
    for name, value in list(parameters.items()):
        if _has_parameters(value):
            inner = value.get_params(deep=True)
            parameters |= {f"{name}__{key}": inner[key] for key in inner}
    return parameters


def _is_inner(name: str, parameters: dict[str, Any]) -> bool:
    """Return whether a parameter is one of another, such as ``clf__C``, which says it in full."""
    outer, is_of, _ = name.partition("__")
    return bool(is_of) and outer in parameters


def _has_parameters(thing: Any) -> bool:
    return hasattr(thing, "get_params") and not isinstance(thing, type)


def _definitions(model: Any, parameters: dict[str, Any]) -> Iterator[Any]:
    yield from type(model).__mro__[:-1]
    for name in sorted(parameters):
        yield from _definitions_in(parameters[name], type(model).__module__)


def _definitions_in(value: Any, module: str, depth: int = 0) -> Iterator[Any]:
    """Yield the functions and classes that a parameter is, is an instance of, or holds.

    Of classes without `get_params`, only those of the model's module are yielded.
    """
    if depth > LEVELS_FOLLOWED:
        return
    inner: list[Any] = []
    if inspect.isfunction(value):
        yield value
    elif inspect.ismethod(value):
        yield value.__func__
    elif isinstance(value, type):
        if value.__module__ == module:
            yield from value.__mro__[:-1]
    elif _has_parameters(value):
        yield from type(value).__mro__[:-1]
    elif isinstance(value, partial):
        inner = [value.func, value.args, value.keywords]
    elif isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif type(value).__module__ == module:
        yield from type(value).__mro__[:-1]
        inner = list(getattr(value, "__dict__", {}).values())
    for each in inner:
        yield from _definitions_in(each, module, depth + 1)
