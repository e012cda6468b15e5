"""Read amounts of money as people and exports write them, or say what is ambiguous.

``1.234`` is a thousand in Berlin and little more than one in Boston. Which of the two a column
means is decided by its other values, for the column of a file as a whole; where they do not settle
it, the file is refused, with both readings and the options that choose one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.customer_ids import string_buffers
from scale_eval.datasets.ingest.currencies import CURRENCIES
from scale_eval.datasets.ingest.records import IngestError, option

_NUMBER = r"(?i)^[+-]?(?:\d+[.]?\d*|[.]\d+)(?:e[+-]?\d+)?$|^[+-]?(?:nan|inf|infinity)$"
_DOUBTFUL = r"^[+-]?[1-9]\d{0,2}[.]\d{3}$"

THOUSANDS = {"none": "", ",": ",", ".": ".", "'": "'", "space": " "}
"""The marks that may divide thousands, by their names."""

MINUS = "-−‐‑‒–﹣－"
_ALIKE = str.maketrans(
    {
        **dict.fromkeys(MINUS, "-"),
        **dict.fromkeys("\t\u00a0\u2007\u2009\u202f\u2008\u3000", " "),
        **dict.fromkeys("’‘ʼ´`＇′", "'"),
        **{chr(0xFF10 + i): str(i) for i in range(10)},
        "．": ".",
        "，": ",",
        "＋": "+",
        "（": "(",
        "）": ")",
    }
)

_ENOUGH = 100
"""A value that settles how a column is written speaks for at most so many doubtful ones."""


class Amount(NamedTuple):
    """An amount is a number as it was written.

    Attributes
    ----------
    text : str
        The number as Python reads it; empty where it is none.
    doubt : str
        The mark that may be the decimal mark or divide thousands, or an empty string.
    settles : str
        The decimal mark of which this value leaves no doubt, or an empty string.
    currency : str
        As in `CURRENCIES`; empty where none is written.
    """

    text: str = ""
    doubt: str = ""
    settles: str = ""
    currency: str = ""


@dataclass(frozen=True)
class AmountFormat:
    """An amount format says how amounts are written.

    Parameters
    ----------
    decimal : ``"."`` or ``","``
        The decimal mark.
    thousands : str, optional
        A key of `THOUSANDS`: what divides thousands. Without it, any that leaves no doubt.

    Raises
    ------
    IngestError
        One is something else, or both are the same.
    """

    decimal: str = "."
    thousands: str | None = None

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise IngestError(f"decimal: {self.decimal!r} is neither '.' nor ','")
        if self.thousands is not None and self.thousands not in THOUSANDS:
            raise IngestError(
                f"thousands: {self.thousands!r} is none of {', '.join(map(repr, THOUSANDS))}"
            )
        if self.thousands == self.decimal:
            other = "," if self.decimal == "." else "."
            raise IngestError(
                f"decimal and thousands are both {self.decimal!r}; say decimal {other!r} too, if "
                f"{self.decimal!r} divides thousands"
            )

    @property
    def other_mark(self) -> str:
        """Return that of point and comma which is not the decimal mark."""
        return "," if self.decimal == "." else "."

    @property
    def dividers(self) -> str:
        """Return the marks that may divide thousands."""
        if self.thousands is None:
            return f"{self.other_mark}' "
        return THOUSANDS[self.thousands]

    def read(self, text: str) -> Amount:
        """Read one amount."""
        sign, number, currency = _without_sign_and_currency(text.translate(_ALIKE).strip())
        digits, divider = _digits(number, self.decimal, self.dividers)
        if digits:
            whole, mark, fraction = digits.partition(".")
            doubt = ""
            if self.thousands is None and not (divider and mark):
                single = divider == self.other_mark and number.count(divider) == 1
                three = mark and not divider and _is_doubtful(whole, fraction)
                doubt = divider if single else self.decimal if three else ""
            settles = "" if doubt or not mark else self.decimal
            if divider == self.other_mark and not doubt:
                settles = self.decimal
            return Amount(sign + digits, doubt, settles, currency)
        otherwise, _ = _digits(number, self.other_mark, f"{self.decimal}' ")
        return Amount(settles=self.other_mark if otherwise else "")


@dataclass
class AmountColumn:
    """An amount column reads the amounts of one column, batch by batch.

    Attributes
    ----------
    format : AmountFormat
    doubtful : Counter of str
        How many values leave open what the mark means, by the mark.
    settled : Counter of str
        How many values leave no doubt of the decimal mark, by this mark.
    currencies : Counter of str
        How many values are written with each currency; an empty string for none.
    """

    format: AmountFormat
    doubtful: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    _first_doubtful: dict[str, tuple[int, str]] = field(default_factory=dict)

    def read(self, column: pa.Array, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values as float64, and which of them are numbers (NaN and infinities included).

        Parameters
        ----------
        column : pyarrow.Array
            Text or float64.
        lines : ndarray of int64
            Where each value is in the file.
        """
        is_number = np.ones(len(column), dtype=bool)
        if not pa.types.is_floating(column.type):
            mark = self.format.decimal
            text = pc.utf8_trim_whitespace(column)
            plain = pc.match_substring_regex(text, _NUMBER.replace("[.]", f"[{mark}]"))
            plain = plain.fill_null(False)
            is_number = plain.to_numpy(zero_copy_only=False)
            column = text if is_number.all() else pc.if_else(plain, text, "")
            self._count_plain(column, lines)
            if mark != ".":
                column = pc.replace_substring(column, mark, ".")
            if not is_number.all():
                column = pc.if_else(plain, column, None)
                is_number = is_number.copy()
                column = self._read_written(text, column, is_number, lines)
        values = column.cast(pa.float64()).fill_null(0.0).to_numpy()
        return values + 0.0, is_number  # -0.0 becomes 0.0

    def _count_plain(self, column: pa.Array, lines: np.ndarray) -> None:
        """Count what plain numbers, and nulls, say of the decimal mark."""
        bounds, content = string_buffers(column)
        mark = ord(self.format.decimal)
        n_marks = int(np.count_nonzero(content[bounds[0] : bounds[-1]] == mark))
        if not n_marks:
            return
        long = np.diff(bounds) > 4
        before = content[np.where(long, bounds[1:] - 4, bounds[0])]
        three = np.flatnonzero(long & (before == mark))
        doubtful = 0
        if len(three) and self.format.thousands is None:
            pattern = _DOUBTFUL.replace("[.]", f"[{self.format.decimal}]")
            matches = pc.match_substring_regex(column.take(pa.array(three)), pattern)
            found = three[matches.to_numpy(zero_copy_only=False)]
            doubtful = len(found)
            if doubtful:
                self._note_doubtful(self.format.decimal, lines[found[0]], column[found[0]].as_py())
        self.doubtful[self.format.decimal] += doubtful
        self.settled[self.format.decimal] += n_marks - doubtful

    def _read_written(
        self, text: pa.Array, column: pa.Array, is_number: np.ndarray, lines: np.ndarray
    ) -> pa.Array:
        """Put the numbers that are written in other ways into `column` and `is_number`."""
        positions = np.flatnonzero(~is_number)
        self.currencies[""] += len(is_number) - len(positions)
        encoded = text.take(pa.array(positions)).dictionary_encode()
        amounts = [
            Amount() if each is None else _read(self.format, each)
            for each in encoded.dictionary.to_pylist()
        ]
        codes = encoded.indices.fill_null(-1).to_numpy()
        counts = np.bincount(codes[codes >= 0], minlength=len(amounts)).tolist()
        for code, (amount, count) in enumerate(zip(amounts, counts, strict=True)):
            if amount.settles:
                self.settled[amount.settles] += count
            if amount.text:
                self.currencies[amount.currency] += count
            if amount.doubt:
                self.doubtful[amount.doubt] += count
                i = positions[np.argmax(codes == code)]
                self._note_doubtful(amount.doubt, lines[i], text[i].as_py())
        numbers = pa.array([amount.text or None for amount in amounts], column.type)
        found = numbers.take(encoded.indices)
        chosen = np.zeros(len(is_number), dtype=bool)
        chosen[positions] = True
        is_number[positions] = found.is_valid().to_numpy(zero_copy_only=False)
        return pc.replace_with_mask(column, pa.array(chosen), found)

    def _note_doubtful(self, mark: str, line: int, text: str) -> None:
        self._first_doubtful[mark] = min(
            self._first_doubtful.get(mark, (line, text)), (int(line), text)
        )

    def check(self, label: object, name: str, row: str, *, in_python: bool) -> None:
        """Raise `IngestError` where the column as a whole leaves open what a mark means.

        Its message begins with `label`, names the column, and counts in `row`, lines or rows.
        """
        mine, other = self.format.decimal, self.format.other_mark
        for mark, count in self.doubtful.items():
            sure, contrary = self.settled[mine], self.settled[other]
            if mark == other == ".":  # `decimal` is a comma: somebody has said so
                sure = max(sure, count)
            if count and (sure * _ENOUGH < count or contrary * _ENOUGH > sure):
                raise IngestError(
                    self._both_readings(f"{label}: column {name!r}", mark, row, in_python)
                )

    def _both_readings(self, column: str, mark: str, row: str, in_python: bool) -> str:
        line, text = self._first_doubtful[mark]
        opposite = "," if mark == "." else "."
        number = text.translate(_ALIKE)
        digits = re.sub(r"[^\d.,]", "", number).replace(mark, ".")
        sign = "-" if re.search(r"[-(]", number) else ""

        def options(decimal: str, thousands: str) -> str:
            pairs = (("decimal", decimal), ("thousands", thousands))
            return (", " if in_python else " ").join(
                option(key, value, in_python=in_python) for key, value in pairs
            )

        word = "comma" if mark == "," else "point"
        for_mark, for_other = self.settled[mark], self.settled[opposite]
        n = self.doubtful[mark]
        others = (
            f"its other values do not settle it ({for_mark:,} have a decimal {word}, {for_other:,} "
            "the other mark)"
            if for_mark or for_other
            else "no other value of it settles which is meant"
        )
        return (
            f"{column}: {text!r} ({row} {line}) is {sign}{digits.replace('.', '')} if the {word} "
            f"divides thousands ({options(opposite, mark)}), and {sign}{digits} if it is the "
            f"decimal mark ({options(mark, 'none')}); {n:,} "
            f"{'value is' if n == 1 else 'values are'} written so, and {others}. Say which it is"
        )

    def remarks(self, label: object, name: str) -> list[str]:
        """Return what is odd about the currencies of the column, in sentences."""
        present = {currency: n for currency, n in self.currencies.items() if n}
        if len(present) < 2:
            return []
        shown = ", ".join(
            f"{n:,} in {currency}" if currency else f"{n:,} without a currency"
            for currency, n in sorted(present.items(), key=lambda pair: (-pair[1], not pair[0]))
        )
        return [f"{label}: column {name!r} mixes currencies ({shown}); amounts are not converted."]


@lru_cache(maxsize=100_000)
def _read(format_: AmountFormat, text: str) -> Amount:
    return format_.read(text)


def _without_sign_and_currency(text: str) -> tuple[str, str, str]:
    """Return the sign (``-`` or an empty string), the rest, and the currency of an amount.

    The rest is no number where there are two signs, or a sign of which nobody knows what it means:
    ``5.-`` and ``5,-`` are five.
    """
    signs, currency = "", ""
    while True:
        text = text.strip()
        if text.startswith("(") and text.endswith(")"):
            signs, text = signs + "-", text[1:-1]
        elif text[:1] in ("-", "+") and text:
            signs, text = signs + text[0], text[1:]
        elif text.endswith("-") and text[-2:-1].isdigit():
            if currency and not re.search(r"[.,]\d{1,2}-$", text):
                return "", "", ""
            signs, text = signs + "-", text[:-1]
        elif not currency and (found := _currency(text)):
            currency, text = found
        else:
            break
    if len(signs) > 1:
        return "", "", ""
    return signs.replace("+", ""), text, currency


def _currency(text: str) -> tuple[str, str] | None:
    """Return the currency that stands before or after an amount, and the amount."""
    before = re.match(r"[^\d(+-]+?(?=\s*[\d(+-]|\s*[.,]\d)", text)
    if before and (code := CURRENCIES.get(before[0].strip().casefold())):
        return code, text[before.end() :]
    after = re.search(r"(?<=[\d)\s-])[^\d)\s-][^\d)-]*$", text)
    if after and (code := CURRENCIES.get(after[0].strip().casefold())) and code != "ZAR":
        return code, text[: after.start()]
    return None


def _digits(number: str, decimal: str, dividers: str) -> tuple[str, str]:
    """Return a number as Python reads it, and what divides its thousands; empty if it is none."""
    match = _pattern(decimal, dividers).fullmatch(number)
    if match is None or not any(each.isdigit() for each in number):
        return "", ""
    whole, fraction = match["whole"], match["fraction"]
    divider = match["divider"] or match["indian"] or ""
    whole = whole.replace(divider, "") if divider else whole
    return whole + (f".{fraction}" if fraction is not None else ""), divider


@lru_cache
def _pattern(decimal: str, dividers: str) -> re.Pattern[str]:
    mark = f"[{dividers}]" if dividers else r"(?!)"
    grouped = rf"[1-9]\d{{0,2}}(?P<divider>{mark})\d{{3}}(?:(?P=divider)\d{{3}})*"
    indian = rf"[1-9]\d?(?P<indian>{mark})\d\d(?:(?P=indian)\d\d)*(?P=indian)\d{{3}}"
    return re.compile(
        rf"(?P<whole>{grouped}|{indian}|\d*)(?:[{decimal}](?P<fraction>\d*))?", re.ASCII
    )


def _is_doubtful(whole: str, fraction: str) -> bool:
    return len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
