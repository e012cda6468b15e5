"""Find the values that a text computes, and that it therefore does not say."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from scale_eval.models.identity.code_parts import layers

_UNREPEATABLE = {
    *("time", "time_ns", "monotonic", "perf_counter", "now", "utcnow", "today", "uuid1", "uuid4"),
    *("getpid", "urandom", "token_hex", "getnode", "gethostname", "getuser", "mkdtemp"),
}
"""Functions whose value differs from process to process, and says nothing of the code."""

_ASSIGNMENT = (ast.Assign, ast.AnnAssign, ast.AugAssign)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITION = (*_FUNCTION, ast.ClassDef)


def counts_by_value(statement: ast.stmt, value: Any) -> bool:
    """Return whether a variable has a value that its assignment does not say, but that repeats.

    Either it is computed, or it was given another value than the one that is written there. What
    begins empty, such as a cache, is expected to change.
    """
    if not isinstance(statement, _ASSIGNMENT):
        return False
    called = {
        getattr(node, "attr", getattr(node, "id", ""))
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    if called & _UNREPEATABLE or statement.value is None:
        return False
    with contextlib.suppress(Exception):  # it is no literal, or cannot be compared
        written = ast.literal_eval(statement.value)
        is_container = isinstance(written, dict | list | set)
        single = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        return single and not (is_container and not written) and bool(written != value)
    return True


def computed_values(thing: Any, node: ast.stmt | None) -> Iterator[tuple[str, Any]]:
    """Yield the values that a class or function holds, and that its text does not say.

    These are default arguments, and members of a class that are computed or were set later, with
    their names. `node` is its statement; None where there is none, and all such values are yielded.
    """
    if isinstance(thing, FunctionType):
        yield from _computed_defaults(thing, node)
        return
    if not isinstance(thing, type):
        return
    body = {name: each for each in getattr(node, "body", ()) for name in _bound(each)}
    for name, value in list(vars(thing).items()):
        within = body.get(name)
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(function, FunctionType):
            defined = layers(function)[-1]
            if isinstance(defined, FunctionType) and (isinstance(within, _FUNCTION) or not node):
                for argument, default in _computed_defaults(defined, within):
                    yield f"{name}.{argument}", default
        elif isinstance(value, type) and isinstance(within, ast.ClassDef):
            for inner, held in computed_values(value, within):
                yield f"{name}.{inner}", held
        elif _is_value(name, value) and (
            not isinstance(within, _ASSIGNMENT) or counts_by_value(within, value)
        ):
            yield name, value


def _is_value(name: str, member: Any) -> bool:
    """Return whether a member of a class is a value: neither code, nor put there by Python."""
    is_code = isinstance(member, type | functools.cached_property)
    is_pythons = name == "_abc_impl" or (name.startswith("_") and name.endswith("_"))
    return not (is_code or is_pythons or inspect.isdatadescriptor(member))


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, DEFINITION):
        return [statement.name]
    nodes = ast.walk(statement)
    return [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _computed_defaults(function: FunctionType, node: ast.stmt | None) -> Iterator[tuple[str, Any]]:
    written: dict[str, ast.expr | None] = {}
    if isinstance(node, _FUNCTION):
        of = node.args
        named = [each.arg for each in of.posonlyargs + of.args]
        written = dict(zip(named[::-1], of.defaults[::-1], strict=False))
        written |= {a.arg: d for a, d in zip(of.kwonlyargs, of.kw_defaults, strict=True)}
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    defaults = dict(zip(positional[::-1], (function.__defaults__ or ())[::-1], strict=False))
    defaults |= function.__kwdefaults__ or {}
    for name, value in defaults.items():
        text = written.get(name)
        if text is None or not _is_written(text, value):
            yield name, value


def _is_written(text: ast.expr, value: Any) -> bool:
    with contextlib.suppress(Exception):  # it is no literal, or cannot be compared
        return bool(ast.literal_eval(text) == value)
    return False
