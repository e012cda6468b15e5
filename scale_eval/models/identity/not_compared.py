"""Note in an identity what of a value cannot be compared, such as a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scale_eval.models.identity.described_value import Described

_MARK = " not compared: "


def not_compared(described: Described) -> str:
    """Return the entry of a value of which something cannot be compared: its hash, and that."""
    return f"{described.digest}{_MARK}{', '.join(described.not_comparable)}"


def without_comparison(identity: Mapping[str, Any]) -> list[str]:
    """Say what of an identity cannot be compared, such as ``LOG (a _io.TextIOWrapper)``."""
    return [
        f"{name} (a {entry.partition(_MARK)[2]})"
        for name, entry in identity.get("uses", {}).items()
        if _MARK in entry
    ]
