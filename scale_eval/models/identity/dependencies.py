"""Find what a user's code depends on beside its own text: other modules, globals, closures.

Modules that are files are read, not run: of each, only the statements count that what is used
depends on, without comments, docstrings and layout. In a notebook and in ``__main__`` what counts
is the globals that functions name, as they are now.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    ModuleType,
)
from typing import Any

from scale_eval.models.identity.code_parts import (
    LEVELS_FOLLOWED,
    content_of,
    functions_of,
    globals_in,
    imports_in_code,
    is_wrapper,
    layers,
    names_in,
    origin,
    parts_of,
)
from scale_eval.models.identity.code_text import node_of, plain_text, text_of
from scale_eval.models.identity.computed_values import (
    DEFINITION,
    computed_values,
    counts_by_value,
)
from scale_eval.models.identity.described_value import Described, describe
from scale_eval.models.identity.loaded_code import require_loaded
from scale_eval.models.identity.not_compared import not_compared
from scale_eval.models.identity.used_source import Statement, all_statements, used_statements
from scale_eval.models.identity.user_modules import (
    UserModule,
    find_user_module,
    import_by_call,
    imports_in,
    is_users_module,
    modules_in,
)

_SCALARS = {type(None), bool, int, float, complex, str, bytes}


def dependencies(thing: Any) -> dict[str, str]:
    """Return a hash of each thing that a model or a function of the user depends on, by its name.

    The names are those of statements of the user's modules, such as ``helper.DAYS``, and of globals
    and closed-over variables, such as ``WINDOW``. What stands in the file of a class or function
    itself is left out, except for values that this file computes. The entry of a value says which
    parts of it cannot be compared, such as a connection: see `not_compared`. Raises
    `ValueError` where a module has changed on disk since it was imported.
    """
    found = _Dependencies()
    found.add_object(thing, is_root=True)
    hashes = {name: _hash(found.texts[name]) for name in sorted(found.texts)}
    return hashes | {name: not_compared(each) for name, each in found.not_comparable.items()}


class _Dependencies:
    """What was found so far."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}
        self.not_comparable: dict[str, Described] = {}
        self._seen: set[Any] = set()  # definitions and statements
        self._depths: dict[int, int] = {}  # the level of each object that was followed
        self._read: set[int] = set()  # functions whose code was read
        self._alive: list[Any] = []  # so that no id is used twice

    def add_object(self, value: Any, depth: int = 0, *, is_root: bool = False) -> None:
        """Add what an object's class and parts depend on."""
        if depth > LEVELS_FOLLOWED or type(value) in _SCALARS or self._is_known(value, depth):
            return
        inner: list[Any] = []
        if isinstance(value, partial):
            inner = [value.func, value.args, value.keywords]
        elif inspect.ismethod(value):
            inner = [value.__func__, value.__self__]
        elif isinstance(value, type) or inspect.isfunction(value) or is_wrapper(value):
            self.add_definition(value, is_root=is_root)
        elif isinstance(value, dict | MappingProxyType):
            inner = list(value.values())
        elif isinstance(value, list | tuple | set | frozenset | deque):
            inner = list(value)
        elif not isinstance(value, ModuleType):
            self.add_definition(type(value), is_root=is_root)
        for each in [*inner, *parts_of(value)]:
            self.add_object(each, depth + 1)

    def add_definition(self, thing: Any, *, is_root: bool = False) -> None:
        """Add what a class or function depends on; with its own text unless it `is_root`."""
        if isinstance(thing, type):
            for base in thing.__mro__[:-1]:
                self._add_definition(base, is_root=is_root)
                for each in parts_of(base):
                    self.add_object(each)
            if type(thing) is not type:
                self.add_definition(type(thing))
            return
        *wrappers, defined = layers(thing)
        for each in wrappers:
            is_function = isinstance(each, FunctionType)
            self._add_definition(each if is_function else type(each), is_root=False)
        self._add_definition(defined, is_root=is_root)
        for each in parts_of(thing):  # such as the kinds of a singledispatch
            self.add_object(each)

    def _add_definition(self, thing: Any, *, is_root: bool) -> None:
        key = ("definition", id(thing), is_root)
        if not isinstance(thing, type | FunctionType) or key in self._seen:
            return
        self._seen.add(key)
        self._alive.append(thing)
        module_name, whole = origin(thing)
        module = sys.modules.get(module_name)
        name = whole.partition(".")[0]
        if module is not None and is_users_module(module) and hasattr(module, name):
            self._add_statements(module.__name__, name, is_root=is_root)
            if "<locals>" in whole:
                self._add_code(thing)
        elif _is_of_notebook(module_name):
            if not is_root:
                self._add(whole, text_of(thing))
            self._add_code(thing)

    def _is_known(self, value: Any, depth: int) -> bool:
        """Return whether a value was followed as far down already as it would be from here."""
        if self._depths.get(id(value), depth + 1) <= depth:
            return True
        self._depths[id(value)] = depth
        self._alive.append(value)
        return False

    def _add(self, name: str, text: str) -> None:
        self.texts.setdefault(name, set()).add(text)

    def _described(self, name: str, value: Any, folder: Path) -> str:
        """Return the hash of a value, and note what of it cannot be compared."""
        described = describe(value, folder)
        if described.not_comparable:
            self.not_comparable[name] = described
        return described.digest

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
        if used is None and name != "*":
            self._add_unwritten(module, name, chosen)

    def _add_statement(self, module: UserModule, statement: Statement, *, is_root: bool) -> None:
        names = sorted(statement.defines)
        label = ".".join([module.name, *names[:1]])
        text = "" if is_root else plain_text(statement.node)
        values = vars(sys.modules[module.name]) if module.name in sys.modules else {}
        folder = Path(module.path).parent
        if isinstance(statement.node, ast.Import | ast.ImportFrom):
            return
        for name in names:
            if name not in values:
                continue
            if counts_by_value(statement.node, values[name]):
                text += self._described(label, values[name], folder)
            if isinstance(statement.node, DEFINITION):
                defined = layers(values[name])[-1]
                self._add_computed(defined, statement.node, module.name, folder)
                for each in parts_of(values[name]):
                    self.add_object(each)
            else:
                self.add_object(values[name])
        if text:
            self._add(label, text)

    def _add_unwritten(self, module: UserModule, name: str, statements: list[Statement]) -> None:
        """Add a name of a module that no statement of it defines: computed, or in its package."""
        values = vars(sys.modules[module.name]) if module.name in sys.modules else {}
        if name in values and not isinstance(values[name], ModuleType):
            label, folder = f"{module.name}.{name}", Path(module.path).parent
            self._add(label, self._described(label, values[name], folder))
            self.add_object(values[name])
        elif any("__getattr__" in each.defines for each in statements):  # it imports when asked
            for each in modules_in(module):
                self._add_statements(each, "*")

    def _add_imports(self, module: UserModule, statements: list[Statement]) -> None:
        """Add what statements use of the modules that they import."""
        for statement in statements:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    for imported, name, variable in imports_in(node, module.package):
                        self._add_import(imported, name, variable, statements)
                elif imported := import_by_call(node, module.package):
                    self._add_statements(imported, "*")

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
        """Add what a function, or the functions of a class, depend on, and values that it holds."""
        if id(thing) in self._read:
            return
        self._read.add(id(thing))
        self._alive.append(thing)
        within = f"{thing.__qualname__}." if isinstance(thing, type) else ""
        for function in functions_of(thing):
            if function.__code__.co_qualname.startswith(within):
                self._add_names(function)
            else:  # a decorator's, or put on the class later
                self._add_definition(function, is_root=False)
        self._add_computed(thing, node_of(thing), "", Path.cwd())

    def _add_names(self, function: FunctionType) -> None:
        """Add what a function names in its globals and closure."""
        code = function.__code__
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if variable != "__class__":
                self._add_value(f"{function.__qualname__}.{variable}", content_of(cell), code)
        for name in globals_in(code):
            if name in function.__globals__:
                self._add_value(name, function.__globals__[name], code)
        for imported, name in imports_in_code(code):
            self._add_named(imported, [name] if name else names_in(code))

    def _add_computed(self, thing: Any, node: ast.stmt | None, module: str, folder: Path) -> None:
        """Add the values of a class or function that its text does not say."""
        for name, value in computed_values(thing, node):
            label = f"{module}.{thing.__qualname__}.{name}".lstrip(".")
            if inspect.isfunction(value):
                self.add_definition(value)
            else:
                self._add(label, self._described(label, value, folder))
                self.add_object(value)

    def _add_value(self, name: str, value: Any, code: CodeType) -> None:
        """Add the value of a variable: a definition, a module, an object, or data."""
        if isinstance(value, ModuleType):
            self._add_named(value.__name__, names_in(code))
        elif isinstance(value, type) or inspect.isfunction(value):
            self.add_definition(value)
        else:
            self._add(name, self._described(name, value, Path.cwd()))
            self.add_object(value)

    def _add_named(self, module_name: str, names: list[str]) -> None:
        """Add those of `names` that a module defines; all of it where it defines none of them."""
        module = find_user_module(module_name)
        if module is None:
            return
        defined = {name for each in all_statements(module.source) for name in each.defines}
        for name in [each for each in names if each in defined] or ["*"]:
            self._add_statements(module_name, name)


def _is_of_notebook(module: str) -> bool:
    """Return whether a thing of `module` is of a notebook or a script, or of no module at all."""
    first = module.partition(".")[0]
    return first in ("__main__", "__mp_main__") or first not in sys.modules


def _hash(texts: set[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


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
