"""Turn code into text that is the same in every process: its source, or else its bytecode."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from types import CodeType
from typing import Any

from scale_eval.models.identity.computed_values import DEFINITION
from scale_eval.models.identity.described_value import describe


def text_of(thing: Any) -> str:
    """Return the text of a class or function without comments and layout, or its bytecode."""
    tree = _tree_of(thing)
    return "\n".join(map(plain_text, tree.body)) if tree else bytecode(thing)


def node_of(thing: Any) -> ast.stmt | None:
    """Return the statement that defines a class or function; None where it has no text."""
    tree = _tree_of(thing)
    return tree.body[0] if tree and isinstance(tree.body[0], DEFINITION) else None


def _tree_of(thing: Any) -> ast.Module | None:
    try:
        text = inspect.getsource(getattr(thing, "__code__", thing))  # not of what it wraps
        return ast.parse(textwrap.dedent(text))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


def plain_text(statement: ast.stmt) -> str:
    """Return a statement without comments, docstrings and layout."""
    tree = ast.parse(ast.unparse(statement))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def bytecode(thing: Any) -> str:
    """Return what a class, function or code object does, without its place in a file."""
    if isinstance(thing, type):
        members = {k: v for k, v in vars(thing).items() if callable(v) or not k.startswith("__")}
        return repr([(name, bytecode(members[name])) for name in sorted(members)])
    if isinstance(thing, CodeType):
        constants = [bytecode(constant) for constant in thing.co_consts]
        return repr((thing.co_code, thing.co_names, constants))
    function = getattr(thing, "__func__", getattr(thing, "fget", thing))
    if inspect.isfunction(function):
        defaults = (function.__defaults__, function.__kwdefaults__)
        return bytecode(function.__code__) + describe(defaults, Path.cwd()).digest
    return describe(thing, Path.cwd()).digest
