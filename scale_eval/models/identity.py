"""Identify what a model's results depend on besides the data: its source and its parameters.

A run is resumed only with the same models; a changed one is refused with what differs.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.models.predictions import Predictions
from scale_eval.models.used_source import used_source

_PACKAGE = "scale_eval"
_DEEPEST = 8  # levels of objects inside objects, which may refer to each other


def identity_of_model(model: Any) -> dict[str, Any]:
    """Return the hash of a model's `source`, and its `parameters` as text.

    The source is that of its class and the classes above it, and of the functions, the estimators
    and the objects of its own module among its parameters; modules that these import are left out.
    The parameters are its attributes, or `get_params()` where it or an attribute has that. Those of
    `Predictions` are the content of the file, not its path.
    """
    if isinstance(model, Predictions):
        parameters: dict[str, Any] = {"content": model.content_hash()}
    else:
        parameters = _parameters(model)
    sources = dict.fromkeys(map(identity_of_source, _definitions(model, parameters)))
    return {
        "source": hashlib.sha256("\n".join(sources).encode()).hexdigest(),
        "parameters": {name: _text(parameters[name]) for name in sorted(parameters)},
    }


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
            defined = inspect.unwrap(thing)
            source = Path(inspect.getfile(defined)).read_bytes()
            if thing.__module__.partition(".")[0] != _PACKAGE:
                source = used_source(source, defined.__qualname__.partition(".")[0])
    except (OSError, TypeError):
        source = _bytecode(thing).encode()
    closed_over = [_text(cell.cell_contents) for cell in getattr(thing, "__closure__", None) or ()]
    return hashlib.sha256(source + "\n".join(closed_over).encode()).hexdigest()


def _parameters(model: Any) -> dict[str, Any]:
    if _has_parameters(model):
        return model.get_params(deep=True)
    parameters = dict(getattr(model, "__dict__", {}))
    for name, value in list(parameters.items()):
        if _has_parameters(value):
            inner = value.get_params(deep=True)
            parameters |= {f"{name}__{key}": inner[key] for key in inner}
    return parameters


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
    if depth > _DEEPEST:
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


def _text(value: Any, depth: int = 0) -> str:
    """Return `repr`, with arrays and tables in full and without addresses in memory.

    An object whose `repr` says no more than its address is described by its attributes.
    """
    if isinstance(value, pd.DataFrame | pd.Series):
        return hashlib.sha256(value.to_csv().encode()).hexdigest()
    if depth > _DEEPEST:
        return type(value).__qualname__
    deeper = depth + 1
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item, deeper) for item in value)}]"
    if isinstance(value, dict):
        items = [f"{_text(key, deeper)}: {_text(value[key], deeper)}" for key in value]
        return f"{{{', '.join(items)}}}"
    if type(value).__repr__ is object.__repr__:
        attributes = getattr(value, "__dict__", {})
        items = [f"{name}={_text(attributes[name], deeper)}" for name in sorted(attributes)]
        return f"{type(value).__qualname__}({', '.join(items)})"
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _bytecode(thing: Any) -> str:
    """Return what a class, function or code object does, without its place in a file."""
    if isinstance(thing, type):
        members = {k: v for k, v in vars(thing).items() if callable(v) or not k.startswith("__")}
        return repr([(name, _bytecode(members[name])) for name in sorted(members)])
    if isinstance(thing, CodeType):
        constants = [_bytecode(constant) for constant in thing.co_consts]
        return repr((thing.co_code, thing.co_names, constants))
    if isinstance(thing, frozenset):
        return repr(sorted(map(repr, thing)))
    function = getattr(thing, "__func__", getattr(thing, "fget", thing))
    if inspect.isfunction(function):
        defaults = (function.__defaults__, function.__kwdefaults__)
        return _bytecode(function.__code__) + _text(defaults)
    return _text(thing)
