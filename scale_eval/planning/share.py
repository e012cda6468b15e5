"""A share of a run: which of how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Share(NamedTuple):
    """A share of a run: the `number`-th of `of` shares, counted from 1."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """Return the name of the share's files."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str | Sequence[int]) -> Share:
        """Read ``"2/8"`` or ``(2, 8)``; raise `ValueError` where there is no such share."""
        parts = text.split("/") if isinstance(text, str) else list(text)
        try:
            number, of = (int(str(part)) for part in parts)
        except ValueError:
            number, of = 0, 0
        if not 1 <= number <= of:
            raise ValueError(f"share {text!r}: write which of how many, such as 2/8")
        return cls(number, of)
