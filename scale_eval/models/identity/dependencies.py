"""Find what a user's code depends on beside its own text: other modules, globals, closures.

Modules that are files are read, not run: of each, only the statements count that what is used
depends on, without comments, docstrings and layout. In a notebook and in ``__main__`` what counts
is the globals that functions name, as they are now.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from scale_eval.models.identity.code_text import DEEPEST, bytecode
from scale_eval.models.identity.global_values import is_told_by_value, value_hash
from scale_eval.models.identity.loaded_code import require_loaded
from scale_eval.models.identity.used_source import Statement, all_statements, used_statements
from scale_eval.models.identity.user_modules import (
    UserModule,
    find_user_module,
    imports_in,
    is_users_module,
)


def dependencies(thing: Any) -> dict[str, str]:
    """Return a hash of each thing that a model or a function of the user depends on, by its name.

    The names are those of statements of the user's modules, such as ``helper.DAYS``, and of globals
    and closed-over variables, such as ``WINDOW``. What stands in the file of a class or function
    itself is left out, except for values that this file computes. Raises `ValueError` where a
    module has changed on disk since it was imported.
    """
    found = _Dependencies()
    found.add_object(thing)
    return {name: _hash(found.texts[name]) for name in sorted(found.texts)}


class _Dependencies:
    """What was found so far."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}
        self._seen: set[Any] = set()
        self._read: set[int] = set()  # functions whose code was read
        self._alive: list[Any] = []  # so that no id is used twice

    def add_object(self, value: Any, depth: int = 0) -> None:
        """Add what an object's class and parts depend on."""
        if depth > DEEPEST or self._is_known(value):
            return
        inner: list[Any] = []
        if isinstance(value, partial):
            inner = [value.func, value.args, value.keywords]
        elif inspect.ismethod(value):
            inner = [value.__func__, value.__self__]
        elif isinstance(value, type) or inspect.isroutine(value):
            self.add_definition(value, is_root=True)
        elif isinstance(value, dict):
            inner = list(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            inner = list(value)
        elif not isinstance(value, ModuleType):
            self.add_definition(type(value), is_root=True)
            inner = list(getattr(value, "__dict__", {}).values())
        for each in inner:
            self.add_object(each, depth + 1)

    def add_definition(self, thing: Any, *, is_root: bool = False) -> None:
        """Add what a class or function depends on; with its own text unless it `is_root`."""
        for each in thing.__mro__[:-1] if isinstance(thing, type) else [inspect.unwrap(thing)]:
            module = sys.modules.get(getattr(each, "__module__", None) or "")
            name = getattr(each, "__qualname__", "").partition(".")[0]
            if module is not None and is_users_module(module) and hasattr(module, name):
                self._add_statements(module.__name__, name, is_root=is_root)
                if "<locals>" in each.__qualname__:
                    self._add_code(each)
            elif module is None or module.__name__ in ("__main__", "__mp_main__"):
                if not is_root and not self._is_known((each.__qualname__, "text")):
                    self._add(each.__qualname__, _text_of(each))
                self._add_code(each)

    def _is_known(self, value: Any) -> bool:
        key = value if isinstance(value, tuple) and value[-1:] == ("text",) else id(value)
        if key in self._seen:
            return True
        self._seen.add(key)
        self._alive.append(value)
        return False

    def _add(self, name: str, text: str) -> None:
        self.texts.setdefault(name, set()).add(text)

    # Modules that are files.

    def _add_statements(self, module_name: str, name: str, *, is_root: bool = False) -> None:
        """Add the statements of a module on which a name in it depends; all of them for ``*``."""
        key = ("statements", module_name, name, is_root)
        module = find_user_module(module_name)
        if key in self._seen or module is None:
            return
        self._seen.add(key)
        used = None if name == "*" else used_statements(module.source, name)
        chosen = all_statements(module.source) if used is None else used
        require_loaded(module, chosen)
        for statement in chosen:
            self._add_statement(module, statement, is_root=is_root)
        self._add_imports(module, chosen)

    def _add_statement(self, module: UserModule, statement: Statement, *, is_root: bool) -> None:
        names = sorted(statement.defines)
        label = ".".join([module.name, *names[:1]])
        text = "" if is_root else _plain_text(statement.node)
        values = vars(sys.modules[module.name]) if module.name in sys.modules else {}
        for name in names:
            if name in values and is_told_by_value(statement.node, values[name]):
                text += value_hash(values[name], Path(module.path).parent)
        if text and not isinstance(statement.node, ast.Import | ast.ImportFrom):
            self._add(label, text)

    def _add_imports(self, module: UserModule, statements: list[Statement]) -> None:
        """Add what statements use of the modules that they import."""
        for statement in statements:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    for imported, name, variable in imports_in(node, module.package):
                        self._add_import(imported, name, variable, statements)

    def _add_import(
        self, imported: str, name: str, variable: str, statements: list[Statement]
    ) -> None:
        if name and find_user_module(f"{imported}.{name}") is not None:
            imported, name = f"{imported}.{name}", ""
        if name:
            self._add_statements(imported, name)
            return
        if find_user_module(imported) is None:
            return
        first = imported if variable != imported.partition(".")[0] else variable
        for path in _attributes(variable, statements):
            names = [*first.split("."), *path]
            n = max(
                (k for k in range(1, len(names) + 1) if find_user_module(".".join(names[:k]))),
                default=0,
            )
            if n:
                self._add_statements(".".join(names[:n]), names[n] if n < len(names) else "*")

    # Code that has no file of its own.

    def _add_code(self, thing: Any) -> None:
        """Add what the functions of a class, or a function, name in their globals and closures."""
        for function in _functions(thing):
            if id(function) in self._read:
                continue
            self._read.add(id(function))
            self._alive.append(function)
            code = function.__code__
            for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
                if variable != "__class__":
                    self._add_value(f"{function.__qualname__}.{variable}", _content(cell), code)
            for name in _globals(code):
                if name in function.__globals__:
                    self._add_value(name, function.__globals__[name], code)
            for imported, name in _imports(code):
                self._add_named(imported, [name] if name else _names(code))

    def _add_value(self, name: str, value: Any, code: CodeType) -> None:
        """Add the value of a variable: a definition, a module, an object, or data."""
        if isinstance(value, ModuleType):
            self._add_named(value.__name__, _names(code))
        elif isinstance(value, type) or inspect.isfunction(value):
            self.add_definition(value)
        else:
            hashed = value_hash(value, Path.cwd())
            if hashed:
                self._add(name, hashed)
            else:
                self.add_object(value)

    def _add_named(self, module_name: str, names: list[str]) -> None:
        """Add those of `names` that a module defines; all of it where it defines none of them."""
        module = find_user_module(module_name)
        if module is None:
            return
        defined = {name for each in all_statements(module.source) for name in each.defines}
        for name in [each for each in names if each in defined] or ["*"]:
            self._add_statements(module_name, name)


def _hash(texts: set[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def _functions(thing: Any) -> Iterator[Any]:
    """Yield the functions of a class, or a function itself, without what wraps them."""
    if isinstance(thing, type):
        for value in vars(thing).values():
            for each in (value, *(getattr(value, k, None) for k in ("fget", "__func__", "func"))):
                if inspect.isfunction(each):
                    yield inspect.unwrap(each)
    elif inspect.isfunction(thing):
        yield thing


def _code_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_in(constant)


def _names(code: CodeType) -> list[str]:
    """Return the global names and the attributes that a function's code names, without repeats."""
    return list(dict.fromkeys(name for each in _code_in(code) for name in each.co_names))


def _globals(code: CodeType) -> list[str]:
    """Return the global names alone."""
    instructions = (each for inner in _code_in(code) for each in dis.get_instructions(inner))
    names = (str(i.argval) for i in instructions if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return list(dict.fromkeys(names))


def _imports(code: CodeType) -> Iterator[tuple[str, str]]:
    """Yield the modules that a function imports while it runs, and the name that it takes or ""."""
    for each in _code_in(code):
        instructions = list(dis.get_instructions(each))
        for i, instruction in enumerate(instructions):
            if instruction.opname != "IMPORT_NAME":
                continue
            taken = []
            for later in instructions[i + 1 :]:
                if later.opname == "IMPORT_FROM":
                    taken.append(str(later.argval))
                elif not later.opname.startswith("STORE_"):
                    break
            yield from ((str(instruction.argval), name) for name in taken or [""])


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _text_of(thing: Any) -> str:
    """Return the text of a class or function without comments and layout, or its bytecode."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return bytecode(thing)
    return "\n".join(_plain_text(statement) for statement in tree.body)


def _plain_text(statement: ast.stmt) -> str:
    """Return a statement without comments, docstrings and layout."""
    tree = ast.parse(ast.unparse(statement))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _attributes(variable: str, statements: list[Statement]) -> Iterator[list[str]]:
    """Yield the attributes that statements take of a variable; an empty list for the variable."""
    for statement in statements:
        inner: set[int] = set()
        for node in ast.walk(statement.node):
            path: list[str] = []
            base: ast.AST = node
            while isinstance(base, ast.Attribute):
                path.insert(0, base.attr)
                base = base.value
            is_variable = isinstance(base, ast.Name) and base.id == variable
            if is_variable and id(node) not in inner:
                yield path
            if isinstance(node, ast.Attribute):
                inner.add(id(node.value))
