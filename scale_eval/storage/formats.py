"""Refuse a run or dataset that was written in another format, and say what to do."""

from __future__ import annotations

from typing import Any


class OtherFormat(ValueError):  # noqa: N818 - reads as a sentence
    """A run or dataset was written in a format that this version does not read."""


def require_format(
    place: object, document: dict[str, Any], supported: int, version: str | None, remedy: str
) -> None:
    """Raise `OtherFormat` where a document is of another format than this version reads.

    Parameters
    ----------
    place : path
        Where the document's run or dataset lies.
    document : dict
        Its `format` is a whole number; documents of early versions have none.
    supported : int
        The format that this version reads.
    version : str or None
        The version that wrote the document, where it says so.
    remedy : str
        What to do, as the last sentence of the message.
    """
    number = document.get("format")
    if type(number) is int and number == supported:
        return
    written = "in a format without a number" if number is None else f"in format {number!r}"
    by = f"scale_eval {version}" if version else "another version of scale_eval"
    raise OtherFormat(
        f"{place} was written by {by} {written}; this version reads format {supported}. {remedy}"
    )
