"""Check formats of timestamps: a directive without the ones that it needs loses half a day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class _Directive(NamedTuple):
    """What a directive of strptime stands for, and what it needs: one of each group of others."""

    meaning: str
    needs: tuple[str, ...] = ()


_DIRECTIVES = {
    "Y": _Directive("the year"),
    "y": _Directive("the year in two digits"),
    "m": _Directive("the month", ("d",)),
    "b": _Directive("the short name of the month", ("d",)),
    "B": _Directive("the name of the month", ("d",)),
    "d": _Directive("the day of the month", ("mbB",)),
    "j": _Directive("the day of the year"),
    "U": _Directive("the week of the year", ("aAw",)),
    "W": _Directive("the week of the year", ("aAw",)),
    "G": _Directive("the year of the ISO week", ("V",)),
    "V": _Directive("the ISO week", ("G", "aAwu")),
    "a": _Directive("the short name of the weekday"),
    "A": _Directive("the name of the weekday"),
    "w": _Directive("the number of the weekday"),
    "u": _Directive("the ISO number of the weekday"),
    "H": _Directive("the hour"),
    "I": _Directive("the hour from 1 to 12", ("p",)),
    "p": _Directive("AM or PM", ("I",)),
    "M": _Directive("the minute", ("HI",)),
    "S": _Directive("the second", ("M",)),
    "f": _Directive("the fraction of a second", ("S",)),
    "z": _Directive("the offset from UTC"),
    "Z": _Directive("the abbreviation of the zone"),
}
"""The directives that are read. Those of a language (``%c``, ``%x``) depend on the machine."""

_EVERY_FORMAT_NEEDS = {"year": "YyG", "day": "djUWV"}


def check_format(text: str) -> None:
    """Raise `ValueError` where a format does not say the whole date and, if any, the whole time.

    It names a directive that is unknown, there twice, or without one that it needs.
    """
    letters = directives_of(text)
    for letter in letters:
        if letter not in _DIRECTIVES:
            raise ValueError(f"%{letter} is not read; the directives are {_either(_DIRECTIVES)}")
        if letters.count(letter) > 1:
            other = letter.swapcase()
            hint = f"; {_described(other)}" if other in _DIRECTIVES else ""
            raise ValueError(f"{_described(letter)}, and is there twice{hint}")
    for thing, group in _EVERY_FORMAT_NEEDS.items():
        if not set(group) & set(letters):
            raise ValueError(f"it has no {thing} ({_either(group)})")
    for letter in letters:
        for group in _DIRECTIVES[letter].needs:
            if not set(group) & set(letters):
                needed = f"{_either(group)}, {_DIRECTIVES[group[0]].meaning}"
                raise ValueError(f"{_described(letter)}, and needs {needed}")
    if {"z", "Z"} <= set(letters):
        raise ValueError("%z and %Z exclude each other: both say how far the clock is from UTC")


def with_zone(text: str, abbreviations: Iterable[str]) -> str:
    """Return a format with ``%Z`` in the place of a zone that is written out, as in ``%SZ``.

    One that has ``%z`` or ``%Z`` already is returned as it is.
    """
    if {"z", "Z"} & set(directives_of(text)):
        return text
    zone = rf"(?<![A-Za-z])(?:{'|'.join(abbreviations)})(?![A-Za-z])"
    parts = re.split("(%.)", text)
    for i, part in enumerate(parts[::2]):
        parts[2 * i], found = re.subn(zone, "%Z", part, count=1)
        if found:
            break
    return "".join(parts)


def directives_of(text: str) -> list[str]:
    """Return the letters of a format's directives, without ``%%``."""
    return [letter for letter in re.findall(r"%(.?)", text, re.DOTALL) if letter != "%"]


def _described(letter: str) -> str:
    return f"%{letter} is {_DIRECTIVES[letter].meaning}"


def _either(letters: str | dict[str, _Directive]) -> str:
    *others, last = (f"%{letter}" for letter in letters)
    return f"{', '.join(others)} or {last}" if others else last
