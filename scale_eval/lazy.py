"""Import names and registered objects when they are first used, so that commands begin at once."""

from __future__ import annotations

import importlib
import sys
from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package that imports its names lazily (PEP 562).

    Parameters
    ----------
    package : str
        The package's `__name__`.
    modules : mapping
        The module that defines each public name, as ``{"Dataset": "scale_eval.datasets.dataset"}``.

    Examples
    --------
    >>> get, names = lazy_names("math", {"Fraction": "fractions"})
    >>> get("Fraction")(1, 2), names()
    (Fraction(1, 2), ['Fraction'])
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted(modules)

    return get, names


class Registry(UserDict[str, T]):
    """A registry maps names to objects; each is imported when it is first asked for.

    Parameters
    ----------
    places : mapping of str
        Where each object is, as ``package.module:NAME``.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        super().__init__()
        self.data.update(dict.fromkeys(places))  # type: ignore[arg-type]
        self._places = dict(places)

    def __getitem__(self, name: str) -> T:
        if self.data[name] is None:
            module, _, attribute = self._places[name].partition(":")
            self.data[name] = getattr(importlib.import_module(module), attribute)
        return self.data[name]
