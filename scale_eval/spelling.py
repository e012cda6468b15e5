"""Suggest the name that somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
