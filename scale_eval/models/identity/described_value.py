"""Describe a value by a text that is the same in every process where the value is.

Plain data is described by its content, and any other object by what pickling would keep of it.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import hashlib
import logging
import os
import random
import re
import threading
from collections.abc import Iterator
from datetime import date, time, timedelta
from enum import Enum
from pathlib import Path
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scale_eval.models.identity.code_parts import caches_or_compiles

DEEPEST = 60
"""Levels of objects inside objects that are described."""

LONGEST = 256
"""Characters of a part's description from which its hash stands for it."""

_NUMBERS = {type(None), bool, int, float, complex}
_PLAIN = (*_NUMBERS, bytes, date, time, timedelta)
_EMPTY = (type(threading.Lock()), type(threading.RLock()), threading.local, logging.Logger)
"""What has no content on which a prediction could depend."""

_INCIDENTAL = {
    *("_has_sorted_indices", "_has_canonical_format"),  # of sparse matrices
    *("_sklearn_version", "_stop_words_id"),
}
"""Attributes that packages set when an object is used, or that differ from process to process."""

_TREE = re.compile(r"(KDTree|BallTree)(32|64)?$")
"""Kinds whose nodes hold addresses in memory and counts of their use; the data says the same."""

_LARGEST_SEED = 2**64
"""Seeds above it were drawn from the system, and differ in every process."""


class Described(NamedTuple):
    """What was found out about a value.

    Attributes
    ----------
    digest : str
        A hash of the value; "" where it differs each time.
    has_objects : bool
        Whether the value is more than plain data.
    untold : tuple of str
        The types of its parts whose content cannot be compared.
    """

    digest: str
    has_objects: bool
    untold: tuple[str, ...]


def describe(value: Any, folder: Path, *, is_cloned: bool = False) -> Described:
    """Describe a value; `folder` is taken out of paths, so that its place does not count.

    Of estimators that `is_cloned` says are cloned before they are fitted, only the parameters
    count. Random generators count by the seed that they were given, not by their state.
    """
    one = _Description(folder, is_cloned)
    text = one.text(value)
    if one.has_objects and _Description(folder, is_cloned).text(value) != text:
        return Described("", True, (_name(type(value)),))
    return Described(_hash(text), one.has_objects, tuple(sorted(one.untold)))


class _Description:
    """The state of a walk through a value."""

    def __init__(self, folder: Path, is_cloned: bool) -> None:
        self.has_objects = False
        self.untold: set[str] = set()
        self._is_cloned = is_cloned
        self._folders = {str(folder), str(folder.resolve()), str(Path.cwd())}
        self._above: list[int] = []  # ids of the objects that hold the present one
        self._known: dict[int, str] = {}
        self._alive: list[Any] = []  # so that no id is used twice

    def text(self, value: Any) -> str:
        """Describe a value; by its type where its own code fails, which is then `untold`."""
        kind = type(value)
        if kind in _NUMBERS:  # there may be many
            return f"{kind.__name__} {value!r}"
        if id(value) in self._above:
            return f"above {self._above[::-1].index(id(value))}"
        if id(value) in self._known:
            return self._known[id(value)]
        text = None
        self._above.append(id(value))
        if len(self._above) <= DEEPEST:
            with contextlib.suppress(Exception, SystemExit):
                text = self._scalar(value) or self._container(value) or self._object(value)
        self._above.pop()
        if text is None:
            self.untold.add(_name(kind))
            text = kind.__qualname__
        if len(text) > LONGEST:  # or it would double at each level, as quotes are escaped
            text = _hash(text)
        self._known[id(value)] = text
        self._alive.append(value)
        return text

    def _scalar(self, value: Any) -> str:
        """Describe what holds nothing else; "" for anything that may."""
        kind = type(value)
        if isinstance(value, Enum):
            return f"{kind.__qualname__}.{value.name} {self.text(value.value)}"
        if isinstance(value, np.generic):
            return f"{kind.__name__} {value!r}"
        if isinstance(value, str | os.PathLike):
            return f"{kind.__name__} {self._without_folder(value)!r}"
        if isinstance(value, _PLAIN):
            return f"{kind.__name__} {value!r}"
        if isinstance(value, type | FunctionType | ModuleType):
            return f"{kind.__name__} {_name(value)}"
        if isinstance(value, _EMPTY):
            return f"{kind.__name__} {getattr(value, 'name', '')}"
        if isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
            return f"{kind.__name__} {_seed(value)}"
        return ""

    def _container(self, value: Any) -> str:
        """Describe arrays, tables and what holds other values; "" for any other object."""
        kind = type(value)
        if kind in (np.ndarray, np.memmap) and not value.dtype.hasobject:
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return f"array {value.dtype} {value.shape} {content}"
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            table = value.to_frame() if not isinstance(value, pd.DataFrame) else value
            content = hashlib.sha256(table.to_csv().encode()).hexdigest()
            return f"{kind.__name__} {content} {list(map(str, table.dtypes))}"
        if isinstance(value, dict | MappingProxyType):
            items = [self.text(k) + self.text(v) for k, v in value.items()]
            return f"{kind.__name__} {items}{self._attributes(value)}"
        if isinstance(value, list | tuple):
            return f"{kind.__name__} {[self.text(v) for v in value]}{self._attributes(value)}"
        if isinstance(value, set | frozenset):
            return f"{kind.__name__} {sorted(map(self.text, value))}{self._attributes(value)}"
        return ""

    def _attributes(self, value: Any) -> str:
        """Describe the attributes of an object of a user's own kind of container."""
        attributes = _state(value, getattr(value, "__dict__", None))
        return self.text(attributes) if attributes else ""

    def _object(self, value: Any) -> str:
        """Describe an object by what pickling keeps of it; raises what that raises."""
        kind = _name(type(value))
        if caches_or_compiles(value):
            return f"{kind} {_name(value.__wrapped__)}"
        if self._is_cloned and hasattr(value, "get_params"):
            return f"{kind} {self.text(value.get_params(deep=False))}"
        self.has_objects = True
        if _TREE.search(kind):
            return f"{kind} {self.text(np.asarray(value.data))}"
        texts = [self.text(part) for part in _pickled_parts(value)]
        return f"{kind} {hashlib.sha256(repr(texts).encode()).hexdigest()}"

    def _without_folder(self, value: Any) -> str:
        text = str(os.fspath(value))
        for each in self._folders:
            if len(each) > 1:
                text = text.replace(each, ".")
        return text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _pickled_parts(value: Any) -> Iterator[Any]:
    """Yield how pickle makes an object again, and of what; raises what pickling it raises."""
    reduce = copyreg.dispatch_table.get(type(value))
    reduced = reduce(value) if reduce else value.__reduce_ex__(4)
    if isinstance(reduced, str):
        yield reduced
        return
    function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    yield function
    yield arguments
    parts = state if isinstance(state, tuple) else [state]  # attributes, and those in slots
    yield [_state(value, part) for part in parts]
    yield list(items or ())
    yield list(pairs or ())


def _state(value: Any, state: Any) -> Any:
    """Return attributes in the order of their names, without caches; None where none is left."""
    if type(state) is not dict or not all(isinstance(name, str) for name in state):
        return state
    left_out = _INCIDENTAL | {
        name
        for base in type(value).__mro__
        for name, member in vars(base).items()
        if isinstance(member, functools.cached_property)
    }
    named = (name for name in sorted(state) if name not in left_out and "_cache" not in name)
    return {name: state[name] for name in named} or None


def _seed(generator: Any) -> str:
    sequence = getattr(getattr(generator, "bit_generator", None), "seed_seq", None)
    entropy = getattr(sequence, "entropy", None)
    is_given = isinstance(entropy, int) and entropy < _LARGEST_SEED
    return f"{entropy} {getattr(sequence, 'spawn_key', ())}" if is_given else ""


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
    return name if module in (None, "builtins") else f"{module}.{name}"
