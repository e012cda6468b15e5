"""Write plain data as Python does, so that an identity can be read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import FunctionType
from typing import Any

import numpy as np

MOST_IN_TEXT = 10_000
"""Elements of an array that is written in full."""

_DEEPEST = 8
"""Levels of plain data in plain data that are written."""

_PLAIN = {
    *(type(None), bool, int, float, complex, str, bytes, date, timedelta),
    *(PosixPath, PurePosixPath, PureWindowsPath, WindowsPath),
}


class _NotPlainError(Exception):
    """A value is more than a text says."""


def readable(value: Any, *, is_cloned: bool = False) -> str | None:
    """Return the text of plain data; None for a value of which no text says all.

    An estimator of scikit-learn that `is_cloned` says is cloned before it is fitted is plain data
    where its parameters are, and so is a model of this package, which clones those that it is
    given. Of functions and classes the name is enough: what they do is source.
    """
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        try:
            return _text(value, is_cloned, 0)
        except _NotPlainError:
            return None


def _text(value: Any, is_cloned: bool, depth: int) -> str:
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic):
        return repr(value)
    if kind in (datetime, time) and value.tzinfo is None:
        return repr(value)
    if isinstance(value, type | FunctionType):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    if kind is np.ndarray and value.size <= MOST_IN_TEXT and not value.dtype.hasobject:
        return repr(value)
    inner = partial(_text, is_cloned=is_cloned, depth=depth + 1)
    if depth <= _DEEPEST:
        if kind in (list, tuple, set, frozenset, dict):
            return _container_text(value, inner)
        if is_cloned and _shows_parameters(value):
            for each in value.get_params(deep=False).values():
                inner(each)
            text = repr(value)
            if "..." not in text:  # which stands for what is left out
                return text
        if _is_unfitted_of_package(value):
            inner = partial(_text, is_cloned=True, depth=depth + 1)
            items = [f"{name}={inner(each)}" for name, each in sorted(vars(value).items())]
            return f"{kind.__qualname__}({', '.join(items)})"
    raise _NotPlainError


def _container_text(value: Any, inner: Callable[[Any], str]) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inner(key)}: {inner(value[key])}' for key in value)}}}"
    texts = [inner(each) for each in value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(texts)}]"
    text = f"{{{', '.join(sorted(texts))}}}"  # their order differs from process to process
    return text if isinstance(value, set) else f"frozenset({text})"


def _shows_parameters(value: Any) -> bool:
    """Return whether the `repr` of an estimator is that of scikit-learn, which has them all."""
    module = getattr(type(value).__repr__, "__module__", None) or ""
    return hasattr(value, "get_params") and module.partition(".")[0] == "sklearn"


def _is_unfitted_of_package(value: Any) -> bool:
    kind = type(value)
    if not kind.__module__.startswith("scale_eval.") or kind.__repr__ is not object.__repr__:
        return False
    return not any(name.endswith("_") for name in vars(value))
