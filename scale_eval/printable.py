r"""Show text of unknown origin, such as ids and file names, so that it cannot change a screen.

A terminal obeys escape sequences, and marks of the direction of writing make a line read as
another. They are shown as ``\x1b`` or ``\u202e`` instead.
"""

from __future__ import annotations

import re
import shlex

LONGEST_NAME = 120
"""Most characters of a name that are shown; a longer one keeps its beginning and its end."""

LONGEST_WORD = 1_000
"""The same of a word in a message. Paths may be long, and are part of commands to be repeated."""

LONGEST_SENTENCE, LONGEST_MESSAGE = 2_000, 8_000
"""The same of a whole sentence of a verdict, and of a whole message."""

# Controls but the line feed and the tab; marks of direction; other invisible characters, but not
# the joiners and the soft hyphen that words are written with; separators of lines; halves of
# surrogate pairs, which names of files that are no UTF-8 have; tags.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0001\U000e0020-\U000e007f]"
)


def printable(text: str) -> str:
    """Return a text in one line, in which nothing is obeyed by a terminal.

    Examples
    --------
    >>> print(printable("Shop\x1b[2J\n\N{RIGHT-TO-LEFT OVERRIDE}1"))
    Shop\\x1b[2J\\n\\u202e1
    """
    return printable_lines(text).replace("\n", r"\n").replace("\t", r"\t")


def printable_lines(text: str) -> str:
    """Return a text in which nothing is obeyed by a terminal but the ends of its lines and tabs."""
    return _OBEYED.sub(lambda found: _escaped(found[0]), text)


def as_typed(text: str) -> str:
    """Return a text as a shell takes it, without a character that a terminal obeys.

    Examples
    --------
    >>> print(as_typed("my shop"), as_typed("a\x1b[1m"))
    'my shop' $'a\\x1b[1m'
    """
    if printable(text) == text:
        return shlex.quote(text)
    escaped = printable(text.replace("\\", r"\\").replace("'", r"\'"))
    return f"$'{escaped}'"


def name_shown(name: str) -> str:
    """Return a name in one line of at most `LONGEST_NAME` characters."""
    return shortened(printable(name), LONGEST_NAME)


def sentence_shown(sentence: str) -> str:
    """Return a sentence in one line, in which very long names are shortened."""
    return shortened(_with_short_words(printable(sentence), LONGEST_NAME), LONGEST_SENTENCE)


def message_shown(message: str) -> str:
    """Return a message in its lines, in which very long words are shortened."""
    return shortened(_with_short_words(printable_lines(message), LONGEST_WORD), LONGEST_MESSAGE)


def _with_short_words(text: str, longest: int) -> str:
    """Shorten words above `longest` to the length of a name."""
    return re.sub(rf"\S{{{longest + 1},}}", lambda found: shortened(found[0], LONGEST_NAME), text)


def shortened(text: str, longest: int) -> str:
    """Return the beginning and the end of a text that is longer than `longest`, and its length."""
    if len(text) <= longest:
        return text
    length = f"… ({len(text):,} characters) …"
    end = max(longest - len(length), 2) // 2
    return f"{text[:end]}{length}{text[-end:]}"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
