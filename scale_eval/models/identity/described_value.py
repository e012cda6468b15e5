"""Describe a value by a text that is the same in every process where the value is.

Plain data is described by its content, and any other object by what pickling would keep of it.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import hashlib
import logging
import random
import re
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from datetime import date, timedelta
from enum import Enum
from numbers import Integral
from pathlib import Path, PurePath
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scale_eval.models.identity.code_parts import attributes_of, caches_or_compiles

DEEPEST = 60
"""Levels of objects inside objects that are described."""

LONGEST = 256
"""Characters of a part's description from which its hash stands for it."""

_NUMBERS = {type(None), bool, int, float, complex}
_PLAIN = {bytes, date, timedelta}
_EMPTY = (type(threading.Lock()), type(threading.RLock()), threading.local, logging.Logger)
"""What has no content on which a prediction could depend."""

_INCIDENTAL = {
    *("_has_sorted_indices", "_has_canonical_format"),  # of sparse matrices
    *("_sklearn_version", "_stop_words_id"),
}
"""Attributes that packages set when an object is used, or that differ from process to process."""

_PACKAGES = ("scipy.", "sklearn.")

_TREE = re.compile(r"(scipy|sklearn)\..*(KDTree|BallTree)(32|64)?$")
"""Kinds whose nodes hold addresses in memory and counts of their use; they are made of the data and
the way in which distances are measured."""

_GENERATORS = (
    *(np.random.Generator, np.random.RandomState, np.random.BitGenerator),
    *(np.random.SeedSequence, random.Random),
)

_LARGEST_SEED = 2**64
"""Seeds above it may have been drawn from the system, and differ in every process then."""


class Described(NamedTuple):
    """What was found out about a value.

    Attributes
    ----------
    digest : str
        A hash of the value; "" where it differs each time.
    not_comparable : tuple of str
        The types of its parts whose content cannot be compared.
    """

    digest: str
    not_comparable: tuple[str, ...]


def describe(value: Any, folder: Path, *, is_cloned: bool = False) -> Described:
    """Describe a value; `folder` is taken out of paths, so that its place does not count.

    Of estimators that `is_cloned` says are cloned before they are fitted, only the parameters
    count. Random generators count by the seed that they were given, not by their state.
    """
    one = _Description(folder, is_cloned)
    text = one.text(value)
    if one.is_in_any_order or (
        one.has_objects and _Description(folder, is_cloned).text(value) != text
    ):
        return Described("", (_name(type(value)),))
    return Described(_hash(text), tuple(sorted(one.not_comparable)))


class _Description:
    """The state of a walk through a value.

    What is reached twice is described once. The text of objects that refer to each other in a
    circle depends on which of them is reached first, so a set may not hold them: it has no order.
    """

    def __init__(self, folder: Path, is_cloned: bool) -> None:
        self.has_objects = False
        self.is_in_any_order = False  # a set holds objects of a circle
        self.not_comparable: set[str] = set()
        self._is_cloned = is_cloned
        self._folders = {str(folder), str(folder.resolve()), str(Path.cwd())}
        self._above: list[int] = []  # ids of the objects that hold the present one
        self._known: dict[int, str] = {}
        self._in_circles: set[int] = set()  # ids of known objects that lead to a circle
        self._n_circles = 0  # how often one was met
        self._alive: list[Any] = []  # so that no id is used twice

    def text(self, value: Any) -> str:
        """Describe a value; by its type where its own code fails: it is `not_comparable` then."""
        kind = type(value)
        if kind in _NUMBERS:  # there may be many
            return f"{kind.__name__} {value!r}"
        if id(value) in self._above:
            self._n_circles += 1
            return f"above {self._above[::-1].index(id(value))}"
        if id(value) in self._known:
            self._n_circles += id(value) in self._in_circles
            return self._known[id(value)]
        text = None
        n_circles = self._n_circles
        self._above.append(id(value))
        if len(self._above) <= DEEPEST:
            with contextlib.suppress(Exception, SystemExit):
                text = self._scalar(value) or self._container(value) or self._object(value)
        else:  # its text depends on where it was reached, as that of a circle
            self._n_circles += 1
        self._above.pop()
        if text is None:
            self.not_comparable.add(_name(kind))
            text = kind.__qualname__
        if len(text) > LONGEST:  # or it would double at each level, as quotes are escaped
            text = _hash(text)
        self._known[id(value)] = text
        self._alive.append(value)
        if self._n_circles > n_circles:
            self._in_circles.add(id(value))
        return text

    def _scalar(self, value: Any) -> str:
        """Describe what holds nothing else; "" for anything that may."""
        kind = type(value)
        if isinstance(value, Enum):
            return f"{kind.__qualname__}.{value.name} {self.text(value.value)}"
        if isinstance(value, np.generic):
            return f"{kind.__name__} {value!r}"
        if kind is str or isinstance(value, PurePath):
            return f"{kind.__name__} {self._without_folder(str(value))!r}"
        if kind in _PLAIN:
            return f"{kind.__name__} {value!r}"
        if isinstance(value, type | FunctionType | ModuleType):
            return f"{kind.__name__} {_name(value)}"
        if isinstance(value, _EMPTY):
            return f"{kind.__name__} {getattr(value, 'name', '')}"
        if isinstance(value, _GENERATORS):
            return f"{kind.__name__} {_seed(value)}"
        return ""

    def _container(self, value: Any) -> str:
        """Describe arrays, tables and what holds other values; "" for any other object.

        A list or dict of a user's own kind is such an object. A set of any kind has no order, which
        pickling gives it.
        """
        kind = type(value)
        if kind in (np.ndarray, np.memmap):
            if value.dtype.hasobject:
                content = self.text(value.tolist())
            else:
                content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return f"array {value.dtype} {value.shape} {content}"
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return f"{kind.__name__} {self._table(value)}"
        if kind in (dict, MappingProxyType):
            return f"{kind.__name__} {[self.text(k) + self.text(v) for k, v in value.items()]}"
        if kind in (list, tuple):
            return f"{kind.__name__} {[self.text(v) for v in value]}"
        if isinstance(value, set | frozenset):
            n_circles = self._n_circles
            texts = sorted(map(self.text, value))
            self.is_in_any_order |= self._n_circles > n_circles
            attributes = _state(value, attributes_of(value))
            return f"{kind.__name__} {texts}{self.text(attributes) if attributes else ''}"
        return ""

    def _table(self, table: pd.DataFrame | pd.Series | pd.Index) -> list[str]:
        """Describe the labels of a table, and its index and columns one by one."""
        if isinstance(table, pd.Index):
            labels, columns = [list(table.names)], _levels(table)
        elif isinstance(table, pd.Series):
            labels, columns = [list(table.index.names), table.name], [*_levels(table.index), table]
        else:
            labels = [list(each) for each in (table.index.names, table.columns.names)]
            labels.append(list(table.columns))
            columns = [*_levels(table.index), *(table.iloc[:, i] for i in range(table.shape[1]))]
        return [self.text(labels), *map(self._column, columns)]

    def _column(self, column: pd.Series | pd.Index) -> str:
        kind = column.dtype
        if isinstance(kind, pd.CategoricalDtype):
            codes = column.codes if isinstance(column, pd.Index) else column.cat.codes.to_numpy()
            return f"{kind.ordered} {self._column(kind.categories)} {self.text(codes)}"
        if isinstance(kind, np.dtype):
            return self.text(column.to_numpy())
        missing = self.text(np.asarray(column.isna()))  # which in a file may be empty text
        return f"{kind} {missing} {_hash(pd.Series(column).to_csv(index=False))}"

    def _object(self, value: Any) -> str:
        """Describe an object by what pickling keeps of it; raises what that raises."""
        kind = _name(type(value))
        if caches_or_compiles(value):
            return f"{kind} {_name(value.__wrapped__)}"
        if self._is_cloned and hasattr(value, "get_params"):
            return f"{kind} {self.text(value.get_params(deep=False))}"
        self.has_objects = True
        if _TREE.search(kind):
            distance = value.boxsize if hasattr(value, "boxsize") else value.__getstate__()[-2:]
            return f"{kind} {self.text([np.asarray(value.data), distance])}"
        texts = [self.text(part) for part in _pickled_parts(value)]
        return f"{kind} {hashlib.sha256(repr(texts).encode()).hexdigest()}"

    def _without_folder(self, text: str) -> str:
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
    left_out |= {name for name, each in state.items() if _is_incidental(value, name, each)}
    return {name: state[name] for name in sorted(state) if name not in left_out} or None


def _is_incidental(holder: Any, name: str, value: Any) -> bool:
    """Return whether an attribute is a cache, or the state from which a package draws.

    A cache is a dict that is filled as the object is used, or still None.
    """
    if name.endswith("_cache"):
        return value is None or isinstance(value, MutableMapping)
    is_random = name.startswith("_") and isinstance(value, np.random.RandomState)
    return is_random and type(holder).__module__.startswith(_PACKAGES)


def _levels(index: pd.Index) -> list[pd.Index]:
    return [index.get_level_values(level) for level in range(index.nlevels)]


def _seed(generator: Any) -> str:
    """Return the seed that a random generator was given; raises `LookupError` if it is unknown.

    A `random.Random` and a `RandomState` of a number keep no seed, and one that was drawn from the
    system says nothing.
    """
    bits = getattr(generator, "_bit_generator", generator)
    sequence = getattr(bits, "seed_seq", bits)
    entropy = getattr(sequence, "entropy", None)
    given = entropy if isinstance(entropy, Sequence | np.ndarray) else [entropy]
    seeds = [int(each) for each in given if isinstance(each, Integral)]
    if len(seeds) < len(given) or max(seeds) >= _LARGEST_SEED:
        raise LookupError("the seed of a random generator is not known")
    return f"{type(bits).__name__} {seeds} {sequence.spawn_key}"


def _name(thing: Any) -> str:
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
    return name if module in (None, "builtins") else f"{module}.{name}"
