"""Find the part of a module's source that one of its classes or functions depends on."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import NamedTuple

_BY_TEXT = {"eval", "exec", "globals"}
"""Functions through which code can use a name of its module that does not stand in it."""


class Statement(NamedTuple):
    """A statement of a module: its text, the names in it, and those that it defines."""

    text: bytes
    names: set[str]
    defines: set[str]
    node: ast.stmt


def used_source(source: bytes, name: str) -> bytes:
    """Return the statements of a module on which one of its top-level names depends.

    These are its definition, what the definition names, what that names, and so on: functions,
    classes, constants and imports. Statements that define no name, such as a call, count always;
    docstrings of modules, type checkers' blocks and what runs only as a script do not. All of the
    source is returned where this cannot be told.
    """
    used = used_statements(source, name)
    return source if used is None else b"\n".join(each.text for each in used)


def used_statements(source: bytes, name: str) -> list[Statement] | None:
    """Return the statements on which a name depends, as `used_source`; None for all of them."""
    by_name, always, statements = _divided(source)
    if name not in by_name:
        return None
    used: set[int] = set()
    to_visit = [*always, *by_name[name]]
    while to_visit:
        i = to_visit.pop()
        if i in used:
            continue
        used.add(i)
        names = statements[i].names
        if names & _BY_TEXT:
            return None
        to_visit += [j for each in names for j in by_name.get(each, ())]
    return [statements[i] for i in sorted(used)]


def all_statements(source: bytes) -> list[Statement]:
    """Return all statements of a module that do something; none for a source that is no Python."""
    return _divided(source)[2]


@lru_cache(maxsize=32)
def _divided(
    source: bytes,
) -> tuple[dict[str, list[int]], list[int], list[Statement]]:
    """Divide a module into statements.

    Returns
    -------
    dict of list of int
        The positions of the statements that define each name; empty for a source that is no Python.
    list of int
        The positions of those that count always.
    list of Statement
    """
    by_name: dict[str, list[int]] = {}
    always: list[int] = []
    statements: list[Statement] = []
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return by_name, always, statements
    lines = source.splitlines()
    for statement in body:
        if _is_idle(statement):
            continue
        first = min([statement.lineno, *(d.lineno for d in _decorators(statement))])
        text = b"\n".join(lines[first - 1 : statement.end_lineno])
        names = _defined(statement)
        for name in names:
            by_name.setdefault(name, []).append(len(statements))
        if not names:
            always.append(len(statements))
        statements.append(Statement(text, _named(statement), names, statement))
    return by_name, always, statements


def _is_idle(statement: ast.stmt) -> bool:
    """Return whether a statement does nothing in a module that is imported."""
    if isinstance(statement, ast.If):
        condition = ast.unparse(statement.test)
        return condition.startswith("__name__ ==") or condition.endswith("TYPE_CHECKING")
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _decorators(statement: ast.stmt) -> list[ast.expr]:
    return getattr(statement, "decorator_list", [])


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement defines or changes; empty where it does something else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        return names - {"*"}
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return set()
    return {
        next((n.id for n in ast.walk(target) if isinstance(n, ast.Name)), "")
        for target in _single(targets)
    } - {""}


def _single(targets: list[ast.expr]) -> list[ast.expr]:
    """Return targets of an assignment with tuples and lists taken apart."""
    single: list[ast.expr] = []
    for target in targets:
        inner = target.elts if isinstance(target, ast.Tuple | ast.List) else None
        single += [target] if inner is None else _single(inner)
    return single


def _named(statement: ast.stmt) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Global):
            names.update(node.names)
    return names
