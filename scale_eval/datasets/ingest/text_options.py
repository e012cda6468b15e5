"""How delimited text is written, where its content leaves doubt: separator, encoding, header."""

from __future__ import annotations

import codecs
import operator
from dataclasses import dataclass
from functools import cached_property

from scale_eval.datasets.ingest.arguments import require_text
from scale_eval.datasets.ingest.records import IngestError
from scale_eval.spelling import did_you_mean

_TAB = ("\\t", "tab", "TAB")
_USUAL = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "iso8859-15", "cp1252", "cp1250",
    "cp1251", "cp437", "mac_roman", "big5", "gb18030", "shift_jis", "cp932", "euc_jp", "euc_kr",
)  # fmt: skip

_OTHER_NAMES = {"ansi": "cp1252", "unicode": "utf-16", "utf-8-bom": "utf-8", "dos": "cp437"}
"""How programs call encodings that Python does not."""


@dataclass(frozen=True)
class TextOptions:
    """Text options say how delimited text is written; None leaves it to the content.

    Attributes
    ----------
    separator : str, optional
        The character between fields; ``tab`` and ``\\t`` are the tabulator.
    skip_lines : int, optional
        Lines above the header. Without it, the header is found by the names of the columns.
    encoding : str, optional
        A name that Python knows, such as ``cp1252``.

    Raises
    ------
    IngestError
        One of them is impossible.
    """

    separator: str | None = None
    skip_lines: int | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        require_text("separator", self.separator)
        if self.separator is not None:
            separator = "\t" if self.separator in _TAB else self.separator
            if len(separator) != 1 or separator in '"\r\n\0' or separator.isalnum():
                raise IngestError(
                    f"separator: {self.separator!r} is not one character that divides fields; "
                    "give one such as ';', '|' or 'tab'"
                )
            object.__setattr__(self, "separator", separator)
        if self.skip_lines is not None:
            try:
                n_lines = operator.index(self.skip_lines)
            except TypeError:
                n_lines = -1
            if n_lines < 0 or isinstance(self.skip_lines, bool):
                raise IngestError(
                    f"skip_lines: {self.skip_lines!r} is not a number of lines; give the number of "
                    "lines above the header, such as 3"
                )
            object.__setattr__(self, "skip_lines", n_lines)
        _ = self.codec

    @cached_property
    def codec(self) -> str | None:
        """Return Python's name of the encoding."""
        if self.encoding is None:
            return None
        try:
            codec = codecs.lookup(self.encoding)
            text = "a,b\n".encode(codec.name)
            if text.decode(codec.name, "surrogateescape") == "a,b\n":
                return codec.name
        except (LookupError, ValueError, TypeError):
            pass
        raise IngestError(
            f"encoding: there is no encoding {self.encoding!r}"
            + did_you_mean(
                _OTHER_NAMES.get(str(self.encoding).lower(), str(self.encoding)),
                _USUAL,
                f"; such are {', '.join(_USUAL[:11])}",
            )
        )

    @property
    def given(self) -> dict[str, str | int]:
        """Return those that are given, by name."""
        names = {"separator": self.separator, "skip_lines": self.skip_lines, "encoding": self.codec}
        return {name: value for name, value in names.items() if value is not None}


AS_FOUND = TextOptions()
"""Everything is found in the content."""
