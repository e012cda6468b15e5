"""Declare options as fields of frozen dataclasses, with their kind of value and help text.

One declaration serves Python, the command line, configuration files and the documentation: a field
with the metadata of `option`, in a class that calls `check_options`, is an option everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from scale_eval.datasets.instants import Duration
from scale_eval.spelling import did_you_mean_one_of


@dataclass(frozen=True)
class Kind:
    """A kind of value; no number may be infinite or NaN.

    Attributes
    ----------
    types : type or union of types
    description : str
        What to write, to complete a sentence that begins with "write".
    minimum, maximum : int, optional
        The smallest and the largest value allowed.
    above : float, optional
        A bound that the value must exceed.
    choices : tuple of str
        All values allowed, where they can be listed.
    repeated : bool
        Whether the command line writes an option of this kind once for each of its values.
    """

    types: Any
    description: str
    minimum: int | None = None
    maximum: int | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    repeated: bool = False

    def accepts(self, value: object) -> bool:
        """Return whether `value` is of this kind; True and False are no numbers."""
        return (
            isinstance(value, self.types)
            and (self.types is bool or not isinstance(value, bool))
            and (not self.choices or value in self.choices)
            and (not isinstance(value, float) or math.isfinite(value))
            and (self.maximum is None or value <= self.maximum)
            and (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
        )


TEXT = Kind(str, "a text")
YES_OR_NO = Kind(bool, "true or false")
WHOLE_NUMBER = Kind(int, "a whole number")
COUNT = Kind(int, "a whole number of at least 1", minimum=1)
PROCESSES = Kind(int, "a whole number from 1 to 10,000", minimum=1, maximum=10_000)
POSITIVE_NUMBER = Kind(int | float, "a number above 0", above=0)
DATE = Kind(str | date | np.datetime64, "a date such as 2017-12-01")
LENGTH_OF_TIME = Kind(str | Duration, "a length of time such as '6 months'")
TIME = Kind(object, "seconds, or a time such as '10 minutes'")
LIST = Kind(list | tuple, "a list, such as ['...']", repeated=True)
TABLE = Kind(Mapping, "a table, such as {log_loss = 0.005}", repeated=True)


def one_of(choices: Iterable[str]) -> Kind:
    """Return the kind of a text that is one of `choices`."""
    choices = tuple(choices)
    return Kind(str, f"one of {', '.join(choices)}", choices=choices)


@dataclass(frozen=True)
class Option:
    """An option: its default, what it may be, and how it is shown.

    Attributes
    ----------
    name : str
        As Python and configuration files write it.
    default : object
        None where there is nothing to say by default.
    kind : Kind
    help : str
        One or two sentences for the command line, without the default.
    metavar : str, optional
        The placeholder of its value on the command line.
    environment : str, optional
        The environment variable that sets it.
    in_python_only : bool
        Whether the command line and configuration files lack it.
    """

    name: str
    default: Any
    kind: Kind
    help: str
    metavar: str | None = None
    environment: str | None = None
    in_python_only: bool = False

    @property
    def flag(self) -> str:
        """Return its name on the command line: in the singular where it is repeated."""
        name = self.name.removesuffix("s") if self.kind.repeated else self.name
        return f"--{name.replace('_', '-')}"

    def check(self, value: object, place: str = "") -> None:
        """Raise `ValueError` where `value` is not of its kind; `place` says where it was written.

        None is accepted where it is the default.
        """
        if not (value is None and self.default is None) and not self.kind.accepts(value):
            raise ValueError(f"{place}{self.name}={value!r}: write {self.kind.description}")


def option(kind: Kind, help: str, **more: Any) -> dict[str, Any]:  # noqa: A002 - as in click
    """Return the metadata of a field that is an option; `more` are attributes of `Option`."""
    return {"kind": kind, "help": help, **more}


def options_of(group: type) -> dict[str, Option]:
    """Return the options that a dataclass declares, by name."""
    return {
        field.name: Option(field.name, field.default, **field.metadata)
        for field in dataclasses.fields(group)
        if field.metadata
    }


def check_options(instance: object) -> None:
    """Raise `ValueError` for the first option of `instance` that is not of its kind.

    Scalars of NumPy become those of Python, and whatever can be read one by one in an order of its
    own becomes a tuple where a list is wanted; so does a single value.
    """
    for name, declared in options_of(type(instance)).items():
        value = getattr(instance, name)
        plain = _as_tuple(value) if declared.kind is LIST else as_plain(value)
        if plain is not value:
            set_field(instance, name, plain)
        declared.check(plain)


def as_plain(value: Any) -> Any:
    """Return a scalar of NumPy as Python's, and anything else as it is."""
    is_scalar = isinstance(value, np.generic) and not isinstance(value, np.datetime64)
    return value.item() if is_scalar else value


def _as_tuple(value: Any) -> Any:
    """Return the values of an option that is a list; what has no order is returned as it is."""
    if value is None:
        return ()
    if isinstance(value, Mapping | Set):
        return value
    is_many = isinstance(value, Iterable) and not isinstance(value, str | bytes | np.generic)
    return tuple(value) if is_many and not callable(value) else (value,)


def require_options(given: Iterable[str], names: Iterable[str]) -> None:
    """Raise `ValueError` for the first name that is no option, with the nearest of `names`."""
    names = list(names)
    for name in given:
        if name not in names:
            raise ValueError(f"unknown setting {name!r}{did_you_mean_one_of(name, names)}")


def set_field(instance: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass in its `__post_init__`."""
    object.__setattr__(instance, name, value)
