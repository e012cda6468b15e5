"""Say in which parts two identities differ: of a model, or of a user's metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scale_eval.printable import as_typed

_BY_NAME = {"uses": "", "files": "the file "}
"""Parts of an identity that are hashes by name. A run of an earlier version has none of them, and
nothing can be said of them then."""

_MOST = 5


def differing_parts(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the parts of an identity that differ, such as ``source`` or ``helper.DAYS``."""
    parts = [part for part in now if part not in _BY_NAME and was.get(part) != now[part]]
    for part, before in _BY_NAME.items():
        if part in was and part in now:
            hashes = was[part], now[part]
            names = [
                name
                for name in sorted({*was[part], *now[part]})
                if len({h.get(name) for h in hashes}) > 1
            ]
            parts += [f"{before}{name}" for name in names]
    return parts


def in_words(parts: list[str]) -> str:
    """Return parts that differ as a clause, such as ``source and helper.DAYS differ``."""
    named = parts[:_MOST]
    if len(parts) > _MOST:
        named.append(f"{len(parts) - _MOST} more")
    return f"{' and '.join(named)} {'differs' if len(parts) == 1 else 'differ'}"


def changed_models_in_words(changed: Mapping[str, list[str]], place: str) -> str:
    """Say which models have changed since the run at `place`, in which parts, and what to do."""
    if len(changed) == 1:
        ((name, parts),) = changed.items()
        subject, why, it = f"model {name!r} has", in_words(parts), "it"
    else:
        subject, it = f"models {' and '.join(map(repr, changed))} have", "them"
        why = "; ".join(f"{name!r}: {in_words(parts)}" for name, parts in changed.items())
    options = " ".join(f"--replace {as_typed(name)}" for name in changed)
    return (
        f"the {subject} changed since {place} was begun ({why}). To evaluate {it} anew, add "
        f"{options}, in Python replace={list(changed)!r}; to keep both versions of a model, give "
        "the new one another name"
    )
