"""Take apart what functions, classes and objects are made of, without running any of it."""

from __future__ import annotations

import contextlib
import dis
import functools
from collections.abc import Iterator, Mapping
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any

from scale_eval.models.identity.user_modules import IMPORTING

LEVELS_FOLLOWED = 8
"""Levels of objects inside objects whose classes and functions are looked for."""

_MOST_LAYERS = 50  # of decorators


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


def parts_of(value: Any) -> list[Any]:
    """Return what an object holds; of a class, its containers, such as a registry.

    A module is followed by name, and what a function has cached or compiled is no part of it.
    """
    if isinstance(value, ModuleType) or caches_or_compiles(value):
        return []
    if isinstance(value, type):
        members = [each for name, each in vars(value).items() if not name.startswith("__")]
        return [each for each in members if isinstance(each, dict | list | tuple | set)]
    return [each for name, each in attributes_of(value).items() if name != "__wrapped__"]


def origin(thing: Any) -> tuple[str, str]:
    """Return the module and the qualified name of a class, or of a function's own code."""
    if isinstance(thing, FunctionType):
        module = thing.__globals__.get("__name__") or thing.__module__
        return str(module), thing.__code__.co_qualname
    return str(thing.__module__), thing.__qualname__


def is_wrapper(thing: Any) -> bool:
    """Return whether a thing says what it wraps, as ``functools.wraps`` and caches do."""
    return "__wrapped__" in vars_of(thing)


def caches_or_compiles(thing: Any) -> bool:
    """Return whether a thing is a function with a cache, or one that numba compiles."""
    kind = type(thing)
    is_compiled = kind.__module__.partition(".")[0] == "numba" and is_wrapper(thing)
    return is_compiled or isinstance(thing, functools._lru_cache_wrapper)


def layers(thing: Any) -> list[Any]:
    """Return what wraps a function, from the outside, and the function; or the thing alone."""
    found = [thing]
    while is_wrapper(found[-1]) and len(found) < _MOST_LAYERS:
        found.append(vars_of(found[-1])["__wrapped__"])
    return found


def functions_of(thing: Any) -> Iterator[FunctionType]:
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


def names_in(code: CodeType) -> list[str]:
    """Return the global names and the attributes that a function's code names, without repeats."""
    return list(dict.fromkeys(name for each in _code_in(code) for name in each.co_names))


def globals_in(code: CodeType) -> list[str]:
    """Return the global names alone."""
    instructions = (each for inner in _code_in(code) for each in dis.get_instructions(inner))
    names = (str(i.argval) for i in instructions if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    return list(dict.fromkeys(names))


def imports_in_code(code: CodeType) -> Iterator[tuple[str, str]]:
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


def content_of(cell: Any) -> Any:
    """Return the value of a closed-over variable; None where it has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
