"""Turn values and compiled code into text that is the same in every process."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from types import CodeType
from typing import Any

import numpy as np
import pandas as pd

DEEPEST = 8
"""Levels of objects inside objects, which may refer to each other."""

MOST_IN_TEXT = 10_000
"""Elements of an array that is written in full."""


def value_text(value: Any, depth: int = 0) -> str:
    """Return `repr`, without addresses in memory; of tables and of large arrays, a hash.

    An object whose `repr` says no more than its address is described by its attributes.
    """
    if type(value) in (type(None), bool, int, float):  # there may be many
        return repr(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        return hashlib.sha256(value.to_csv().encode()).hexdigest()
    if type(value) is np.ndarray and value.size > MOST_IN_TEXT and not value.dtype.hasobject:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype} {value.shape} {content}"
    if depth > DEEPEST:
        return type(value).__qualname__
    deeper = depth + 1
    if isinstance(value, set | frozenset):  # whose order differs from process to process
        text = f"{{{', '.join(sorted(value_text(item, deeper) for item in value))}}}"
        return text if type(value) is set else f"{type(value).__name__}({text})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item, deeper) for item in value)}]"
    if isinstance(value, dict):
        items = [f"{value_text(key, deeper)}: {value_text(value[key], deeper)}" for key in value]
        return f"{{{', '.join(items)}}}"
    if type(value).__repr__ is object.__repr__:
        attributes = getattr(value, "__dict__", {})
        items = [f"{name}={value_text(attributes[name], deeper)}" for name in sorted(attributes)]
        return f"{type(value).__qualname__}({', '.join(items)})"
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def bytecode(thing: Any) -> str:
    """Return what a class, function or code object does, without its place in a file."""
    if isinstance(thing, type):
        members = {k: v for k, v in vars(thing).items() if callable(v) or not k.startswith("__")}
        return repr([(name, bytecode(members[name])) for name in sorted(members)])
    if isinstance(thing, CodeType):
        constants = [bytecode(constant) for constant in thing.co_consts]
        return repr((thing.co_code, thing.co_names, constants))
    if isinstance(thing, frozenset):
        return repr(sorted(map(repr, thing)))
    function = getattr(thing, "__func__", getattr(thing, "fget", thing))
    if inspect.isfunction(function):
        defaults = (function.__defaults__, function.__kwdefaults__)
        return bytecode(function.__code__) + value_text(defaults)
    return value_text(thing)
