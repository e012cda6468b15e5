"""Find the encoding of a text, and explain a text that is in another one."""

from __future__ import annotations

import codecs
import itertools
import re
import unicodedata
from collections.abc import Sequence

from scale_eval.datasets.ingest.records import IngestError

NOT_DECODED = re.compile("[\udc80-\udcff]")
"""Finds bytes that an encoding does not have, as Python's `surrogateescape` writes them."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ("utf-8", "utf-8-sig")),
    (codecs.BOM_UTF32_LE, "utf-32", ("utf-32", "utf-32-le")),
    (codecs.BOM_UTF32_BE, "utf-32", ("utf-32", "utf-32-be")),
    (codecs.BOM_UTF16_LE, "utf-16", ("utf-16", "utf-16-le")),
    (codecs.BOM_UTF16_BE, "utf-16", ("utf-16", "utf-16-be")),
)  # byte-order mark, codec that takes it away, and what may be asked for
_CANDIDATES = (
    "cp1252", "cp1250", "iso8859-2", "cp1251", "koi8-r", "cp1253", "cp1254", "cp1255", "cp1256",
    "mac_roman", "cp850", "cp932", "euc_jp", "big5", "gb18030", "cp949",
)  # fmt: skip
_SHOWN = 8
_SAMPLE = 1_000
_CONVERT = "Convert its parts before they are joined, or refuse such rows: --encoding utf-8"


def encoding_of(label: object, start: bytes, asked: str | None) -> str:
    """Return the codec for a text that begins with `start`.

    A byte-order mark decides, then what is `asked` for (a codec's name). UTF-16 without a mark is
    recognized; anything else is taken for UTF-8. Raises `IngestError` where the mark contradicts.
    """
    for mark, codec, names in _MARKS:
        if start.startswith(mark):
            if asked is not None and asked not in names:
                raise IngestError(
                    f"{label} begins with the byte-order mark of {names[0].upper()}, and so is not "
                    f"in {asked}; leave --encoding out for this file"
                )
            return codec
    if asked in (None, "utf-16"):
        return _utf_16_without_mark(start) or asked or "utf-8"
    return asked or "utf-8"


def check_not_utf_8(label: object, lines: Sequence[str], first: int, codec: str) -> None:
    """Raise `IngestError` where `lines`, decoded by `codec`, are UTF-8 that has more than ASCII.

    Such a line in another encoding is a rare accident, and half of them are none. `first` is the
    first line's number.
    """
    if codec.startswith("utf"):
        return
    beyond_ascii = (i for i, line in enumerate(lines) if not line.isascii())
    readings = {i: _as_utf_8(lines[i], codec) for i in itertools.islice(beyond_ascii, _SAMPLE)}
    utf_8 = [i for i, reading in readings.items() if reading]
    others = [i for i, reading in readings.items() if not reading]
    if not utf_8 or len(utf_8) < len(others):
        return
    i, read = utf_8[0], readings[utf_8[0]]
    if not others:
        raise IngestError(
            f"{label} is UTF-8, not {codec}: line {first + i} reads {_short(read)} as UTF-8 and "
            f"{_short(lines[i])} as {codec}; leave --encoding out for this file, or convert it "
            "where others need the option"
        )
    raise IngestError(
        f"{label} mixes encodings: line {first + i} is UTF-8 and reads {_short(read)}, line "
        f"{first + others[0]} is not and reads {_short(lines[others[0]])} in {codec}. {_CONVERT}"
    )


def _as_utf_8(line: str, codec: str) -> str:
    """Return how a line that was decoded by `codec` reads as UTF-8; empty where it is none."""
    try:
        read = line.encode(codec, "surrogateescape").decode()
    except UnicodeError:
        return ""
    return "" if read.isascii() else read  # some encodings write all letters with ASCII bytes


def explain_not_utf_8(
    label: object, lines: Sequence[str], first: int, bad: Sequence[int], *, other: bool
) -> IngestError:
    """Return the error for a text that is not UTF-8, with how it reads in other encodings.

    Parameters
    ----------
    label : object
        The file, as messages call it.
    lines : sequence of str
        Decoded with `surrogateescape`.
    first : int
        The number of the first of them.
    bad : sequence of int
        Positions of the lines that are not UTF-8.
    other : bool
        Whether lines before these hold UTF-8 that is more than ASCII.
    """
    raw = [lines[i].encode(errors="surrogateescape").rstrip(b"\n") for i in bad[:_SAMPLE]]
    readings: dict[str, str] = {}
    for codec in sorted(_CANDIDATES, key=lambda codec: _strangeness(raw, codec)):
        if _strangeness(raw, codec) < float("inf"):
            readings.setdefault(raw[0].decode(codec), codec)
    byte = NOT_DECODED.findall(lines[bad[0]])[0].encode(errors="surrogateescape")[0]
    utf_8 = [line for line in lines if not line.isascii() and not NOT_DECODED.search(line)]
    where = f"{label}: line {first + bad[0]} is not UTF-8 (byte 0x{byte:02X})"
    listed = list(readings.items())[:_SHOWN]
    if utf_8 or other:
        example = f", such as {_short(utf_8[0])}" if utf_8 else ""
        reading = "; ".join(f"in {codec} it reads {_short(text)}" for text, codec in listed)
        return IngestError(
            f"{where}, and others are{example}: the file mixes encodings{reading and '; '}"
            f"{reading}. {_CONVERT}"
        )
    options = ", ".join(f"--encoding {codec} reads {_short(text)}" for text, codec in listed)
    return IngestError(
        f"{where}. Say how the file is written: {options or '--encoding NAME'}. (--encoding utf-8 "
        "refuses such rows one by one.)"
    )


def _utf_16_without_mark(start: bytes) -> str | None:
    """Return the codec of UTF-16 without a mark: every other byte of its ASCII is NUL."""
    start = start[: len(start) // 2 * 2]
    for codec, high, low in (("utf-16-le", start[1::2], start[::2]),
                             ("utf-16-be", start[::2], start[1::2])):  # fmt: skip
        if high.count(0) > len(high) // 4 and low.count(0) < high.count(0) // 4:
            return codec
    return None


def _strangeness(raw: Sequence[bytes], codec: str) -> float:
    """Return how strange texts look in an encoding; infinite where it fails."""
    total = 0
    for each in raw:
        try:
            text = each.decode(codec)
        except UnicodeError:
            return float("inf")
        for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
            if char.isascii():
                continue
            if unicodedata.category(char)[0] in "CZ":
                return float("inf")
            if not char.isalpha():
                total += 2
            else:
                total += char.isupper() and before.islower()
                if "LATIN" not in unicodedata.name(char, ""):
                    total += sum(near.isascii() and near.isalpha() for near in (before, after))
    return total


def _short(text: str) -> str:
    text = text.rstrip("\n")
    at = next((i for i, char in enumerate(text) if not char.isascii()), 0)
    begin = max(0, at - 10)
    return repr(text[begin : begin + 24])
