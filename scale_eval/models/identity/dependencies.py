"""Find what a user's code depends on beside its own text: other modules, globals, closures.

Modules that are files are read, not run: of each, only the statements count that what is used
depends on, without comments, docstrings and layout. In a notebook and in ``__main__`` what counts
is the globals that functions name, as they are now.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import hashlib
import inspect
import sys
import textwrap
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any

from scale_eval.models.identity.code_text import DEEPEST, bytecode
from scale_eval.models.identity.computed_values import (
    DEFINITION,
    computed_values,
    is_told_by_value,
)
from scale_eval.models.identity.described_value import Described, describe
from scale_eval.models.identity.loaded_code import require_loaded
from scale_eval.models.identity.used_source import Statement, all_statements, used_statements
from scale_eval.models.identity.user_modules import (
    IMPORTING,
    UserModule,
    find_user_module,
    import_by_call,
    imports_in,
    is_users_module,
    modules_in,
)


_SCALARS = {type(None), bool, int, float, complex, str, bytes}
_MOST_LAYERS = 50  # of decorators

_NOT_COMPARED = " not compared: "
"""What stands in the entry of a value before the types whose content cannot be compared."""


def dependencies(thing: Any) -> dict[str, str]:
    """Return a hash of each thing that a model or a function of the user depends on, by its name.

    The names are those of statements of the user's modules, such as ``helper.DAYS``, and of globals
    and closed-over variables, such as ``WINDOW``. What stands in the file of a class or function
    itself is left out, except for values that this file computes. The entry of a value says which
    parts of it cannot be compared, such as a connection: see `without_comparison`. Raises
    `ValueError` where a module has changed on disk since it was imported.
    """
    found = _Dependencies()
    found.add_object(thing, is_root=True)
    hashes = {name: _hash(found.texts[name]) for name in sorted(found.texts)}
    return hashes | {name: not_compared(each) for name, each in found.untold.items()}


def not_compared(described: Described) -> str:
    """Return the entry of a value of which something cannot be compared: its hash, and that."""
    return f"{described.digest}{_NOT_COMPARED}{', '.join(described.untold)}"


def without_comparison(identity: Mapping[str, Any]) -> list[str]:
    """Say what of an identity cannot be compared, such as ``LOG (a _io.TextIOWrapper)``."""
    uses = identity.get("uses", {})
    return [
        f"{name} (a {entry.partition(_NOT_COMPARED)[2]})"
        for name, entry in uses.items()
        if _NOT_COMPARED in entry
    ]


class _Dependencies:
    """What was found so far."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}
        self.untold: dict[str, Described] = {}
        self._seen: set[Any] = set()
        self._read: set[int] = set()  # functions whose code was read
        self._alive: list[Any] = []  # so that no id is used twice

    def add_object(self, value: Any, depth: int = 0, *, is_root: bool = False) -> None:
        """Add what an object's class and parts depend on."""
        if depth > DEEPEST or type(value) in _SCALARS or self._is_known(value):
            return
        inner: list[Any] = []
        if isinstance(value, partial):
            inner = [value.func, value.args, value.keywords]
        elif inspect.ismethod(value):
            inner = [value.__func__, value.__self__]
        elif isinstance(value, type) or inspect.isfunction(value) or _is_wrapper(value):
            self.add_definition(value, is_root=is_root)
        elif isinstance(value, dict | MappingProxyType):
            inner = list(value.values())
        elif isinstance(value, list | tuple | set | frozenset | deque):
            inner = list(value)
        elif not isinstance(value, ModuleType):
            self.add_definition(type(value), is_root=is_root)
        for each in [*inner, *_parts_of(value)]:
            self.add_object(each, depth + 1)

    def add_definition(self, thing: Any, *, is_root: bool = False) -> None:
        """Add what a class or function depends on; with its own text unless it `is_root`."""
        if isinstance(thing, type):
            for base in thing.__mro__[:-1]:
                self._add_definition(base, is_root=is_root)
            if type(thing) is not type:
                self.add_definition(type(thing))
            return
        *wrappers, defined = layers(thing)
        for each in wrappers:
            is_code = isinstance(each, FunctionType)
            self._add_definition(each if is_code else type(each), is_root=False)
        self._add_definition(defined, is_root=is_root)

    def _add_definition(self, thing: Any, *, is_root: bool) -> None:
        if not isinstance(thing, type | FunctionType):
            return
        module_name, whole = _origin(thing)
        module = sys.modules.get(module_name)
        name = whole.partition(".")[0]
        if module is not None and is_users_module(module) and hasattr(module, name):
            self._add_statements(module.__name__, name, is_root=is_root)
            if "<locals>" in whole:
                self._add_code(thing)
        elif module is None or module.__name__ in ("__main__", "__mp_main__"):
            if not is_root and not self._is_known((whole, id(thing), "text")):
                self._add(whole, _text_of(thing))
            self._add_code(thing)

    def _is_known(self, value: Any) -> bool:
        key = value if isinstance(value, tuple) and value[-1:] == ("text",) else id(value)
        if key in self._seen:
            return True
        self._seen.add(key)
        self._alive.append(value)
        return False

    def _add(self, name: str, text: str) -> None:
        self.texts.setdefault(name, set()).add(text)

    def _described(self, name: str, value: Any, folder: Path) -> str:
        """Return the hash of a value, and note what of it cannot be compared."""
        described = describe(value, folder)
        if described.untold:
            self.untold[name] = described
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
        text = "" if is_root else _plain_text(statement.node)
        values = vars(sys.modules[module.name]) if module.name in sys.modules else {}
        folder = Path(module.path).parent
        if isinstance(statement.node, ast.Import | ast.ImportFrom):
            return
        for name in names:
            if name not in values:
                continue
            if is_told_by_value(statement.node, values[name]):
                text += self._described(label, values[name], folder)
            if isinstance(statement.node, DEFINITION):
                defined = layers(values[name])[-1]
                self._add_computed(defined, statement.node, module.name, folder)
                for each in _parts_of(values[name]):  # such as other kinds of a function
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
        for function in _functions(thing):
            if function.__code__.co_qualname.startswith(within):
                self._add_names(function)
            else:  # a decorator's, or put on the class later
                self._add_definition(function, is_root=False)
        self._add_computed(thing, _node_of(thing), "", Path.cwd())

    def _add_names(self, function: FunctionType) -> None:
        """Add what a function names in its globals and closure."""
        code = function.__code__
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if variable != "__class__":
                self._add_value(f"{function.__qualname__}.{variable}", _content(cell), code)
        for name in _globals(code):
            if name in function.__globals__:
                self._add_value(name, function.__globals__[name], code)
        for imported, name in _imports(code):
            self._add_named(imported, [name] if name else _names(code))

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
            self._add_named(value.__name__, _names(code))
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


def _hash(texts: set[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def _is_wrapper(thing: Any) -> bool:
    return "__wrapped__" in vars_of(thing)


def layers(thing: Any) -> list[Any]:
    """Return what wraps a function, from the outside, and the function; or the thing alone."""
    found = [thing]
    while (inner := vars_of(found[-1]).get("__wrapped__")) is not None and len(found) < _MOST_LAYERS:
        found.append(inner)
    return found


def vars_of(thing: Any) -> Mapping[str, Any]:
    """Return the attributes of an object, as they are; none where it has none."""
    with contextlib.suppress(Exception):
        found = vars(thing)
        if isinstance(found, dict | MappingProxyType):
            return found
    return {}


def attributes_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of an object by name, also those in slots."""
    found = dict(vars_of(thing))
    for base in type(thing).__mro__:
        members = vars(base) if "__slots__" in vars(base) else {}
        for name, member in members.items():
            if isinstance(member, MemberDescriptorType):
                with contextlib.suppress(AttributeError):  # it has no value yet
                    found[name] = member.__get__(thing)
    return found


def _parts_of(value: Any) -> list[Any]:
    """Return what an object holds; nothing of a class or a module, which are followed by name."""
    if isinstance(value, type | ModuleType):
        return []
    return [each for name, each in attributes_of(value).items() if name != "__wrapped__"]


def _origin(thing: Any) -> tuple[str, str]:
    """Return the module and the qualified name of a class, or of a function's own code."""
    if isinstance(thing, FunctionType):
        module = thing.__globals__.get("__name__") or thing.__module__
        return str(module), thing.__code__.co_qualname
    return str(thing.__module__), thing.__qualname__


def _functions(thing: Any) -> Iterator[FunctionType]:
    """Yield the functions of a class, or a function itself, and what wraps them."""
    for value in list(vars(thing).values()) if isinstance(thing, type) else [thing]:
        names = ("fget", "fset", "__func__", "func")
        parts = (value, *(getattr(value, k, None) for k in names if isinstance(thing, type)))
        yield from (f for each in parts for f in layers(each) if isinstance(f, FunctionType))


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
        if IMPORTING.intersection(each.co_names):
            yield from ((text, "") for text in each.co_consts if isinstance(text, str) and text)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _text_of(thing: Any) -> str:
    """Return the text of a class or function without comments and layout, or its bytecode."""
    tree = _tree_of(thing)
    return "\n".join(map(_plain_text, tree.body)) if tree else bytecode(thing)


def _node_of(thing: Any) -> ast.stmt | None:
    """Return the statement that defines a class or function; None where it has no text."""
    tree = _tree_of(thing)
    return tree.body[0] if tree and isinstance(tree.body[0], DEFINITION) else None


def _tree_of(thing: Any) -> ast.Module | None:
    try:
        text = inspect.getsource(getattr(thing, "__code__", thing))  # not of what it wraps
        return ast.parse(textwrap.dedent(text))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


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
