"""Tell whether a module is, in this process, what its file says now."""

from __future__ import annotations

import ast
import inspect
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

from scale_eval.models.identity.code_parts import layers
from scale_eval.models.identity.used_source import Statement
from scale_eval.models.identity.user_modules import UserModule

_STARTED = time.time()


def require_loaded(module: UserModule, statements: Iterable[Statement]) -> None:
    """Raise `ValueError` where functions or classes of a module are not those of its file.

    That is so where the file was changed after it was imported, as in a notebook: what would be
    evaluated is the old code, under the name of the new.
    """
    imported = sys.modules.get(module.name)
    path = Path(module.path)
    if imported is None or not path.is_file() or path.stat().st_mtime < _STARTED:
        return
    names = {
        name
        for each in statements
        if isinstance(each.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for name in each.defines
    }
    try:
        now = dict(_code_of(compile(module.source, module.path, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):
        return
    for name in sorted(names):
        thing = vars(imported).get(name)
        members = vars(thing).values() if isinstance(thing, type) else [thing]
        for each in members:
            function = getattr(each, "__func__", getattr(each, "fget", each))
            if not inspect.isfunction(function) or function.__module__ != module.name:
                continue
            code = getattr(layers(function)[-1], "__code__", function.__code__)
            written = now.get(code.co_qualname)
            if written is not None and not _is_same(code, written):
                raise ValueError(
                    f"{module.path} has changed since this process imported it, and "
                    f"{code.co_qualname} is still what it was: import it anew "
                    f"(importlib.reload({module.name}), or %autoreload 2), or start again"
                )


def _code_of(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from _code_of(constant)


def _is_same(one: CodeType, other: CodeType) -> bool:
    """Return whether two functions do the same; line numbers do not count."""
    if (one.co_code, one.co_names) != (other.co_code, other.co_names):
        return False
    constants = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _is_same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else a == b
        for a, b in constants
    )
