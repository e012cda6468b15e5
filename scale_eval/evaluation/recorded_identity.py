"""Say in which parts two identities differ: of a model, or of a user's metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
