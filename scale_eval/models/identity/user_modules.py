"""Find the modules of a user's own: Python files that other machines may lack."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_PACKAGE = str(Path(__file__).parents[2])
_INSTALLED = {"site-packages", "dist-packages"}
_MAIN = {"__main__", "__mp_main__"}

IMPORTING = {"import_module", "__import__"}
"""Functions that import the module that they are given by name."""


class UserModule(NamedTuple):
    """A module of the user's own, as its file is now.

    Attributes
    ----------
    name : str
        Its whole name, such as ``shop.features``.
    path : str
        Its file; "" for a package without an ``__init__.py``.
    source : bytes
    is_package : bool
    """

    name: str
    path: str
    source: bytes
    is_package: bool

    @property
    def package(self) -> str:
        """Return the package to which its relative imports refer."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


def is_users_module(module: Any) -> bool:
    """Return whether a module that is imported is a user's own file; ``__main__`` is not."""
    file = getattr(module, "__file__", None)
    return (
        isinstance(module, ModuleType)
        and isinstance(file, str)
        and module.__name__ not in _MAIN
        and is_users_file(file)
    )


def is_users_file(file: str) -> bool:
    """Return whether a file of Python was not installed: it is in no folder of packages."""
    return file.endswith(".py") and not is_of_installation(file)


@cache
def is_of_installation(file: str) -> bool:
    """Return whether a file belongs to Python, to an installed package or to this one."""
    if not _INSTALLED.isdisjoint(Path(file).parts) or file.startswith(_installation()):
        return True
    resolved = str(Path(file).resolve())
    return not _INSTALLED.isdisjoint(Path(resolved).parts) or resolved.startswith(_installation())


@cache
def _installation() -> tuple[str, ...]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(kind) for kind in kinds} | {*site.getsitepackages(), _PACKAGE}
    folders |= {str(Path(folder).resolve()) for folder in folders}
    return tuple(f"{folder}/" for folder in folders)


def imported_user_modules() -> list[ModuleType]:
    """Return the modules of the user's own that this process has imported."""
    return [module for module in list(sys.modules.values()) if is_users_module(module)]


def find_user_module(name: str) -> UserModule | None:
    """Return the module of the user's own that an import of `name` would find; imports nothing."""
    if name.partition(".")[0] in sys.stdlib_module_names or name in _MAIN:
        return None
    imported = sys.modules.get(name)
    if imported is not None:
        file = getattr(imported, "__file__", None)
        folders = list(getattr(imported, "__path__", ()))
    else:
        spec = _spec(name)
        if spec is None:
            return None
        file = spec.origin if spec.has_location else None
        folders = list(spec.submodule_search_locations or ())
    if file is None:
        of_user = bool(folders) and not is_of_installation(f"{folders[0]}/__init__.py")
        return UserModule(name, "", b"", True) if of_user else None
    if not is_users_file(file):
        return None
    try:
        return UserModule(name, file, Path(file).read_bytes(), bool(folders))
    except OSError:
        return None


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Find the specification of a module without importing its packages."""
    path = None
    spec = None
    names = name.split(".")
    for n in range(1, len(names) + 1):
        whole = ".".join(names[:n])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        try:
            found = (find(whole, path) for find in finders if find is not None)
            spec = next((each for each in found if each is not None), None)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and n < len(names):
            return None
    return spec


def with_imports(names: Iterable[str]) -> dict[str, UserModule]:
    """Return modules of the user's own, those that they import anywhere, and all their packages.

    `names` may hold other modules, which are left out.
    """
    found: dict[str, UserModule] = {}
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        module = find_user_module(name)
        if module is None:
            continue
        found[name] = module
        waiting.append(name.rpartition(".")[0] or name)
        for imported, attribute in imports_of(module):
            waiting.append(imported)
            if attribute:
                waiting.append(f"{imported}.{attribute}")
    return found


def imports_of(module: UserModule) -> Iterator[tuple[str, str]]:
    """Yield what the statements of a module import: a module, and a name in it or ""."""
    try:
        tree = ast.parse(module.source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((imported, name) for imported, name, _ in imports_in(node, module.package))
        elif imported := import_by_call(node, module.package):
            yield imported, ""


def imports_in(
    statement: ast.Import | ast.ImportFrom, package: str
) -> Iterator[tuple[str, str, str]]:
    """Yield the module that a statement imports, the name in it or "", and the variable bound."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.name, "", alias.asname or alias.name.partition(".")[0]
        return
    module = statement.module or ""
    if statement.level:
        above = package.split(".")[: len(package.split(".")) - statement.level + 1]
        module = ".".join([*above, *([module] if module else [])])
    for alias in statement.names:
        yield module, alias.name, alias.asname or alias.name


def import_by_call(node: ast.AST, package: str) -> str:
    """Return the module that a call such as ``importlib.import_module(".x", __name__)`` imports.

    Returns "" for any other expression, and where the name is computed.
    """
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    if called not in IMPORTING or not isinstance(name, str):
        return ""
    with contextlib.suppress(ImportError):
        return importlib.util.resolve_name(name, package)
    return ""


def modules_in(package: UserModule) -> list[str]:
    """Return the names of the modules in the folder of a package, and in those below it."""
    folder = Path(package.path).parent
    if not package.is_package:
        return []
    files = sorted(each.relative_to(folder).with_suffix("") for each in folder.rglob("*.py"))
    names = [".".join([package.name, *file.parts]) for file in files]
    return [name.removesuffix(".__init__") for name in names]
