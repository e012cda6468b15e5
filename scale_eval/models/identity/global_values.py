"""Hash the values of globals: plain data, which is equal in every process."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
from datetime import date, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scale_eval.models.identity.code_text import DEEPEST

_PLAIN = (type(None), bool, int, float, complex, str, bytes, date, time, timedelta, Path)
_UNREPEATABLE = {
    *("time", "time_ns", "monotonic", "perf_counter", "now", "utcnow", "today", "uuid1", "uuid4"),
    *("getpid", "urandom", "token_hex", "getnode", "gethostname", "getuser", "mkdtemp"),
}
"""Functions whose value differs from process to process, and says nothing of the code."""


def is_told_by_value(statement: ast.stmt, value: Any) -> bool:
    """Return whether a variable has a value that its assignment does not say, but that repeats.

    Either it is computed, or it was given another value than the one that is written there. What
    begins empty, such as a cache, is expected to change.
    """
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return False
    called = {
        getattr(node, "attr", getattr(node, "id", ""))
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    if called & _UNREPEATABLE or statement.value is None:
        return False
    with contextlib.suppress(ValueError, TypeError, MemoryError, RecursionError):
        written = ast.literal_eval(statement.value)
        is_container = isinstance(written, dict | list | set)
        single = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        return single and not (is_container and not written) and bool(written != value)
    return True


def value_hash(value: Any, folder: Path) -> str:
    """Return a hash of plain data: numbers, text, arrays, tables, and what holds them; else "".

    `folder` is taken out of texts, so that the same files in another folder are the same.
    """
    try:
        text = _text(value, folder, DEEPEST)
    except _NotPlainError:
        return ""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _NotPlainError(Exception):
    """A value is no plain data."""


def _text(value: Any, folder: Path, depth: int) -> str:
    if depth < 0:
        raise _NotPlainError
    kind = type(value)
    if isinstance(value, Enum):
        return f"{kind.__qualname__}.{value.name}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype} {value.shape} {content}"
    if isinstance(value, np.generic):
        return f"{kind.__name__} {value!r}"
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        table = value.to_frame() if not isinstance(value, pd.DataFrame) else value
        content = hashlib.sha256(table.to_csv().encode()).hexdigest()
        return f"{kind.__name__} {content} {list(map(str, table.dtypes))}"
    if isinstance(value, str | os.PathLike):
        return f"{kind.__name__} {_without(os.fspath(value), folder)!r}"
    if isinstance(value, _PLAIN):
        return f"{kind.__name__} {value!r}"
    if isinstance(value, dict):
        items = [
            _text(k, folder, depth - 1) + _text(v, folder, depth - 1) for k, v in value.items()
        ]
        return f"{kind.__name__} {items}"
    if isinstance(value, list | tuple):
        return f"{kind.__name__} {[_text(item, folder, depth - 1) for item in value]}"
    if isinstance(value, set | frozenset):
        return f"{kind.__name__} {sorted(_text(item, folder, depth - 1) for item in value)}"
    raise _NotPlainError


def _without(text: Any, folder: Path) -> str:
    text = str(text)
    for each in {str(folder), str(folder.resolve()), str(Path.cwd())}:
        if len(each) > 1:
            text = text.replace(each, ".")
    return text
