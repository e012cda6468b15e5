"""Divide text into lines of limited length, in batches of limited size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TextIO

LINE_LIMIT = 1 << 20
"""Characters of a line, and of a record of several lines, from which they are not read."""

_BLOCK = 1 << 21  # characters that are read at once
_OTHER_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # `str.splitlines` takes them for line ends


def line_batches(stream: TextIO, n_lines: int) -> Iterator[list[str]]:
    """Yield the lines of `stream`, which has them end with ``\\n``, up to `n_lines` at a time.

    A line longer than `LINE_LIMIT` is cut there and gets a NUL at its end, which no record may
    hold. Memory is bounded whatever the text is.
    """
    rest = ""
    while block := stream.read(_BLOCK):
        text = rest + block
        lines = _divide(text)
        rest = "" if text.endswith("\n") else lines.pop()
        rest = rest[: LINE_LIMIT + 1]
        if _may_have_long_line(text):
            lines = [_cut(line) for line in lines]
        for start in range(0, len(lines), n_lines):
            yield lines[start : start + n_lines]
    if rest:
        yield [_cut(rest)]


def is_cut(line: str) -> bool:
    """Return whether a line was longer than `LINE_LIMIT`."""
    return len(line) > LINE_LIMIT and "\0" in line[LINE_LIMIT : LINE_LIMIT + 1]


def _divide(text: str) -> list[str]:
    if any(end in text for end in _OTHER_ENDS):
        return io.StringIO(text, newline="\n").readlines()
    return text.splitlines(keepends=True)  # several times as fast


def _may_have_long_line(text: str) -> bool:
    """Return whether a window of half the limit has no line end, as each long line has."""
    step = LINE_LIMIT // 2
    return any(
        text.find("\n", start, start + step) < 0 for start in range(0, len(text) - step + 1, step)
    )


def _cut(line: str) -> str:
    return line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "\0\n"
