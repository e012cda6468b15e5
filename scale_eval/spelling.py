"""Find the name that somebody meant, or suggest the one that they probably did."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from numbers import Integral


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    """Return "; did you mean 'x'?" with the nearest of `names`, or `otherwise` if none is near.

    Capitals and small letters count as the same.
    """
    by_folded = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else otherwise


def did_you_mean_one_of(name: str, names: Iterable[str]) -> str:
    """Return what `did_you_mean` does, or a list of all `names` if none is near."""
    names = list(names)
    return did_you_mean(name, names, f"; there are {', '.join(names)}")


def require_text(kind: str, name: object) -> str:
    """Return the name of a `kind` of thing; raise `ValueError` where it is no text."""
    if isinstance(name, str):
        return name
    article = "an" if kind[0] in "aeiou" else "a"
    said = f"{article} {kind} is named by text, not by {name!r:.40} ({type(name).__name__})"
    raise ValueError(f"{said}: write {str(name)!r}" if isinstance(name, Integral) else said)


def choose(kind: str, name: str, names: Mapping[str, str]) -> str:
    """Return what `name` means, by the ways to write it in `names`.

    Case, spaces and punctuation may differ. Raises `ValueError`, with the nearest name, where no
    `kind` of thing is meant, or several are.
    """
    if require_text(kind, name) in names:
        return names[name]
    alike = {chosen for shown, chosen in names.items() if _plain(shown) == _plain(name)}
    if len(alike) == 1:
        return alike.pop()
    whole = f"; there are {', '.join(dict.fromkeys(names.values()))}"
    raise ValueError(f"there is no {kind} {name!r}{did_you_mean(name, names, whole)}")


def _plain(name: str) -> str:
    """Return a name without case, spaces and punctuation, in which people differ."""
    return re.sub(r"[\W_]+", "", name.casefold())
