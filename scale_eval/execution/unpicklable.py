"""Find the part of an object that cannot be pickled."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

_DEEPEST = 6  # levels of parts inside parts


def unpicklable_part(thing: Any, pickle: Callable[[Any], object]) -> str:
    """Name the innermost part of an object that cannot be pickled, and its type; "" if none is.

    Parameters
    ----------
    thing : object
        An object that cannot be pickled.
    pickle : callable
        Pickles an object; raises where that fails.
    """
    path: list[str] = []
    part = thing
    for _ in range(_DEEPEST):
        for name, inner in _parts(part):
            if inner is not part and not _succeeds(pickle, inner):
                path.append(name)
                part = inner
                break
        else:
            break
    if not path:
        return ""
    kind = type(part)
    module = kind.__module__
    whole = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    return f"{''.join(path).lstrip('., ')} is a {whole}, which cannot be pickled"


def _succeeds(pickle: Callable[[Any], object], thing: Any) -> bool:
    try:
        pickle(thing)
    except Exception:
        return False
    return True


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of an object that are pickled with it, each with its name."""
    if isinstance(thing, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in thing.items())
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((f"[{i}]", value) for i, value in enumerate(thing))
    elif isinstance(thing, partial):
        yield from ((".func", thing.func), (".args", thing.args), (".keywords", thing.keywords))
    elif inspect.ismethod(thing):
        yield ".__self__", thing.__self__
    elif inspect.isfunction(thing):
        try:
            variables = inspect.getclosurevars(thing)
        except ValueError:  # a variable that has no value yet
            return
        yield from ((f", its variable {k}", v) for k, v in variables.nonlocals.items())
        yield from ((f", the global {k}", v) for k, v in variables.globals.items())
    elif isinstance(thing, type):
        members = {k: v for base in thing.__mro__[:-1] for k, v in vars(base).items()}
        for name, value in members.items():
            if not (name.startswith("__") and name.endswith("__") and not callable(value)):
                yield f".{name}", getattr(value, "__func__", getattr(value, "fget", value))
    elif type(thing).__module__.partition(".")[0] not in sys.stdlib_module_names:
        yield from ((f".{k}", v) for k, v in sorted(getattr(thing, "__dict__", {}).items()))
        for base in type(thing).__mro__[:-1]:
            for slot in vars(base).get("__slots__", ()):
                if hasattr(thing, slot):
                    yield f".{slot}", getattr(thing, slot)
        yield f", its class {type(thing).__name__}", type(thing)
