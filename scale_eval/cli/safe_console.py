"""Print so that no id, name of a file or message can move the cursor or turn the direction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from scale_eval.cli.streams import STANDARD_OUTPUT
from scale_eval.place_errors import naming_place
from scale_eval.printable import printable_lines


class SafeConsole(Console):
    """A console that shows what a terminal would obey, unless rich itself says it."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of what is printed, with characters that a terminal obeys as text."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable_lines(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, and raise an `OSError` that names the stream."""
        with naming_place("standard error" if self.stderr else STANDARD_OUTPUT):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`: rich would end the process with the code of failed rows."""
        raise BrokenPipeError


class SafeFile:
    """A text file that shows what a terminal would obey, where it is a terminal."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._is_terminal = file, file.isatty()

    def write(self, text: str) -> int:
        """Write the text: to a file or a program as it is."""
        with naming_place(STANDARD_OUTPUT):
            return self._file.write(printable_lines(text) if self._is_terminal else text)
