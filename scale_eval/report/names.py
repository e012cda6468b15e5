"""Shorten the names of models for sentences, tables and plots, without making two of them alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from scale_eval.printable import printable

MODEL_COLUMNS = ("model", "model_a", "model_b", "model_best")
"""The columns of result tables that name models."""

LONGEST = 28
"""Longest name that is shown whole; a longer one keeps its beginning and its end."""


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a short name for each name; no two are the same.

    A file of predictions is called by its stem and an own model by its class. Where that says the
    same of two models, the folder or the module is added, as much of it as tells them apart.

    Examples
    --------
    >>> short_names(["base_rate", "predictions:/data/2024/spring.parquet", "shop.models:Lapsed"])
    {'base_rate': 'base_rate', 'predictions:/data/2024/spring.parquet': 'spring', \
'shop.models:Lapsed': 'Lapsed'}
    """
    forms = {name: _forms(name) for name in names}
    chosen = dict.fromkeys(forms, 0)
    while True:
        shown = {name: forms[name][i] for name, i in chosen.items()}
        taken = Counter(shown.values())
        longer = [n for n, i in chosen.items() if taken[shown[n]] > 1 and i + 1 < len(forms[n])]
        if not longer:
            return shown
        for name in longer:
            chosen[name] += 1


def _forms(name: str) -> list[str]:
    """Return what a model can be called, the shortest first; the last is its whole name."""
    kind, colon, rest = name.partition(":")
    shorter = [name]
    if kind == "predictions" and rest:
        path = PurePosixPath(rest.replace("\\", "/")).with_suffix("")
        parts = [part for part in path.parts if part != "/"]
        shorter = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
    elif colon and all(map(str.isidentifier, [*kind.split("."), *rest.split(".")])):
        modules = kind.split(".")
        within = [".".join(modules[-n:]) for n in range(1, len(modules))]
        shorter = [rest, *(f"{module}:{rest}" for module in within)]
    return [*dict.fromkeys(map(elided, shorter)), printable(name)]


def elided(name: str, longest: int = LONGEST) -> str:
    """Return a name in one line, or the beginning and the end of one longer than `longest`."""
    name = printable(name)
    if len(name) <= longest:
        return name
    end = longest // 3
    return f"{name[: longest - end - 1]}…{name[-end:]}"
