"""Ids as they stand in files: made alike where the caller says so, and told where they look odd."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scale_eval.datasets.customer_ids import string_buffers
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.transactions import Transactions


class IdBytes:
    """The bytes of ids, to say cheaply what does not occur in them.

    Parameters
    ----------
    ids : pyarrow.StringArray
        At least one, none of them empty.
    """

    def __init__(self, ids: pa.Array) -> None:
        self.bounds, content = string_buffers(ids)
        self.firsts, self.lasts = content[self.bounds[:-1]], content[self.bounds[1:] - 1]
        self.content = content[self.bounds[0] : self.bounds[-1]]
        self.lowest, self.highest = int(self.content.min()), int(self.content.max())

    @property
    def is_ascii(self) -> bool:
        """Return whether no byte is beyond ASCII."""
        return self.highest < 128

    def has_any_of(self, first: str, last: str) -> bool:
        """Return whether a byte from `first` to `last` occurs."""
        return bool((self.content - np.uint8(ord(first)) <= ord(last) - ord(first)).any())

    @property
    def has_letters_of_both_sizes(self) -> bool:
        """Return whether capitals and small letters of ASCII occur."""
        return self.has_any_of("A", "Z") and self.has_any_of("a", "z")

    @property
    def has_leading_zeros(self) -> bool:
        """Return whether an id of several characters begins with a zero."""
        return bool(((self.firsts == ord("0")) & (np.diff(self.bounds) > 1)).any())


class Spelling(NamedTuple):
    """A spelling is one way in which ids of the same thing may differ.

    `difference` says it in words, `alike` makes ids alike, and `may_differ` says cheaply that some
    of the ids may become others.
    """

    difference: str
    alike: Callable[[pa.Array], pa.Array]
    may_differ: Callable[[IdBytes], bool]


SPELLINGS = {
    "blanks": Spelling(
        "blanks around them",
        pc.utf8_trim_whitespace,
        lambda ids: ids.lowest <= ord(" ") or not ids.is_ascii,
    ),
    "case": Spelling(
        "capitals and small letters",
        pc.utf8_lower,
        lambda ids: not ids.is_ascii or ids.has_letters_of_both_sizes,
    ),
    "zeros": Spelling(
        "leading zeros",
        lambda ids: pc.replace_substring_regex(ids, r"^0+(.)", r"\1"),
        lambda ids: ids.has_leading_zeros,
    ),
    "unicode": Spelling(
        "how Unicode writes the same letters",
        lambda ids: pc.utf8_normalize(ids, form="NFKC"),
        lambda ids: not ids.is_ascii,
    ),
    "invisible": Spelling(
        "characters that nobody sees",
        lambda ids: pc.replace_substring_regex(ids, r"[\p{Cc}\p{Cf}]", ""),
        lambda ids: ids.lowest < ord(" ") or ids.highest > ord("~"),
    ),
}
"""Ways in which ids of the same thing may differ, by the name that `ids` has for each."""

GUESTS = (
    *("0", "-1", "guest", "guests", "anonymous", "anon", "unknown", "undefined", "customer"),
    *("none", "null", "nil", "nan", "na", "n/a", "#n/a", "-", "?", "cash", "walk-in", "walkin"),
)
"""Ids, in small letters, that shops give to people whom they do not know."""

TOTALS = (
    *("total", "totals", "total:", "grand total", "sub-total", "subtotal", "total sum"),
    *("sum", "sum:"),
    *("summe", "gesamt", "gesamtsumme", "insgesamt", "total general", "totale", "somme", "suma"),
    *("totaal", "итого", "всего", "合计", "合計", "总计"),
)
"""Ids, in small letters, of rows below a table that hold its sum."""

_NOBODY = pa.array([*GUESTS, *TOTALS], pa.string())
_LONG = 1 + max(len(word.encode()) for word in (*GUESTS, *TOTALS))
_FIRSTS_OF_NOBODY, _LASTS_OF_NOBODY = np.zeros((2, 256, _LONG + 1), bool)
"""Whether a word of `_NOBODY`, if it is ASCII, has such a first or last byte, and so many bytes."""
for _word in (*GUESTS, *TOTALS):
    for _bytes in (_word.encode(), _word.upper().encode()):
        _FIRSTS_OF_NOBODY[_bytes[0], len(_bytes)] = True
        _LASTS_OF_NOBODY[_bytes[-1], len(_bytes)] = True

_LARGE_SHARE, _GUEST_SHARE = 0.1, 0.01  # of the rows of a company, in one id
_TIMES_NEXT = 5  # as many rows as the id with the next most, for the former to be told
_LEAST_ROWS, _LEAST_CUSTOMERS = 20, 20  # of the id, and of the company, for it to be told
_ONE_ORDER_SHARE = 0.99  # of the customers, beyond which nobody is said to have come back
_SHOWN = 3


def require_spellings(names: Sequence[str]) -> None:
    """Raise `IngestError` where one of `names` is none of `SPELLINGS`."""
    for name in names:
        if name not in SPELLINGS:
            raise IngestError(f"ids: {name!r} is none of {', '.join(map(repr, SPELLINGS))}")


def make_alike(ids: pa.Array, names: Iterable[str]) -> pa.Array:
    """Return `ids` without the differences that are named, each a key of `SPELLINGS`."""
    chosen = set(names)
    for name in ("unicode", "invisible", "blanks", "case", "zeros"):  # one may need those before
        if name in chosen:
            ids = SPELLINGS[name].alike(ids)
    return ids


@dataclass
class _Finding:
    """What is odd in some companies: how many, how many ids, and the first as an example."""

    n_companies: int = 0
    n_ids: int = 0
    example: str = ""

    def add(self, n_ids: int, example: str) -> None:
        self.n_companies += 1
        self.n_ids += n_ids
        self.example = self.example or example

    @property
    def where(self) -> str:
        others = self.n_companies - 1
        more = f", and at {others:,} more {'company' if others == 1 else 'companies'}"
        return self.example + (more if others else "")


@dataclass
class IdRemarks:
    """Id remarks collect what is odd in the customer ids of companies, one after the other."""

    large: _Finding = field(default_factory=_Finding)
    total: _Finding = field(default_factory=_Finding)
    one_order_each: _Finding = field(default_factory=_Finding)
    variants: dict[str, _Finding] = field(default_factory=lambda: defaultdict(_Finding))
    guest: str = ""
    sums: str = ""

    def add(self, company: Transactions) -> None:
        """Look at the customer ids of a company."""
        n_rows, n_customers = len(company), company.n_customers
        counts = np.bincount(company.codes, minlength=n_customers)
        ids = company.customers
        own = IdBytes(ids)
        nobody = _nobody(ids, own)
        self._look_for_totals(company, counts, [i for i, word in nobody.items() if word in TOTALS])
        if n_customers >= _LEAST_CUSTOMERS:
            guests = [i for i, word in nobody.items() if word in GUESTS]
            self._look_for_guests(company, counts, guests)
            once = int(np.count_nonzero(counts == 1))
            if once >= _ONE_ORDER_SHARE * n_customers and n_rows <= n_customers / _ONE_ORDER_SHARE:
                self.one_order_each.add(
                    once,
                    f"{once:,} of the {n_customers:,} customers of {company.company_id} have one "
                    "order each",
                )
        for name, spelling in SPELLINGS.items():
            if spelling.may_differ(own):
                alike = spelling.alike(ids)
                n_fewer = n_customers - pc.count_distinct(alike).as_py()
                if n_fewer:
                    pair = _first_pair(ids, alike)
                    self.variants[name].add(
                        n_fewer, f"{pair[0]!r} and {pair[1]!r} at {company.company_id}"
                    )

    def _look_for_totals(
        self, company: Transactions, counts: np.ndarray, places: Sequence[int]
    ) -> None:
        if places:
            name, n_rows = company.customers[places[0]].as_py(), counts[places[0]]
            self.sums = self.sums or name
            self.total.add(
                len(places),
                f"{name!r} with {n_rows:,} {'row' if n_rows == 1 else 'rows'} at "
                f"{company.company_id}",
            )

    def _look_for_guests(
        self, company: Transactions, counts: np.ndarray, guests: Sequence[int]
    ) -> None:
        n_rows = len(company)
        top = int(np.argmax(counts))
        if counts[top] < max(_LARGE_SHARE * n_rows, _LEAST_ROWS) and not guests:
            return
        next_most = np.partition(counts, -2)[-2]
        is_large = counts[top] >= _LARGE_SHARE * n_rows and counts[top] >= _TIMES_NEXT * next_most
        if not is_large or counts[top] < _LEAST_ROWS:
            if not guests:
                return
            top = max(guests, key=lambda i: counts[i])
            if counts[top] < max(_GUEST_SHARE * n_rows, _LEAST_ROWS):
                return
        name = company.customers[top].as_py()
        self.guest = self.guest or name
        self.large.add(
            1,
            f"{name!r} with {counts[top]:,} of the {n_rows:,} orders of {company.company_id} "
            f"({100 * counts[top] / n_rows:.0f} %)",
        )

    def sentences(self, *, in_python: bool) -> list[str]:
        """Return what is odd, in sentences that name the options which change it."""
        found = []
        if self.large.n_companies:
            leave_out = option("not_customers", [self.guest], in_python=in_python)
            found.append(
                f"One customer id holds a large share of the orders: {self.large.where}. If it "
                "stands for guests, they are now one customer who buys all the time; leave them "
                f"out: {leave_out}."
            )
        if self.total.n_companies:
            leave_out = option("not_customers", [self.sums], in_python=in_python)
            found.append(
                f"A customer id looks like that of a sum below a table: {self.total.where}. If it "
                f"is one, leave it out: {leave_out}."
            )
        if self.one_order_each.n_companies:
            found.append(
                f"Nobody ever came back: {self.one_order_each.where}. Is this the person's id? "
                "Another column may hold it (some exports give a new id to each order)."
            )
        for name, finding in self.variants.items():
            alike = option("ids", [name], in_python=in_python)
            found.append(
                f"{finding.n_ids:,} customer {'id differs' if finding.n_ids == 1 else 'ids differ'}"
                f" from another only by {SPELLINGS[name].difference}, such as {finding.where}: "
                f"they count as different customers, unless you say {alike}."
            )
        return found


def _nobody(ids: pa.Array, own: IdBytes) -> dict[int, str]:
    """Return the ids of guests and sums, in small letters, by their places."""
    lengths = np.minimum(np.diff(own.bounds), _LONG)
    alike = _FIRSTS_OF_NOBODY[own.firsts, lengths] & _LASTS_OF_NOBODY[own.lasts, lengths]
    if own.is_ascii and not alike.any():
        return {}  # several times as fast, and usual
    small = pc.utf8_lower(ids)
    places = np.flatnonzero(pc.is_in(small, value_set=_NOBODY).to_numpy(zero_copy_only=False))
    return {i: small[i].as_py() for i in places.tolist()}


def _first_pair(ids: pa.Array, alike: pa.Array) -> tuple[str, str]:
    """Return the first two ids that are alike."""
    first: dict[str, str] = {}
    for each, key in zip(ids.to_pylist(), alike.to_pylist(), strict=True):
        if key in first:
            return first[key], each
        first[key] = each
    raise AssertionError("no two are alike")


def not_met_remarks(ids: Iterable[str], *, in_python: bool) -> list[str]:
    """Return, in a sentence, ids that stand for nobody and that no row has."""
    shown = ", ".join(map(repr, sorted(ids)))
    if not shown:
        return []
    nobody, alike = ("not_customers", "ids") if in_python else ("--not-customers", "--ids")
    return [
        f"{nobody}: no row has the id {shown}. Capitals and blanks count, unless {alike} says "
        "otherwise."
    ]


def company_remarks(
    manifest: Mapping[str, Mapping[str, Any]], changed: Iterable[str], *, in_python: bool
) -> list[str]:
    """Return, in a sentence, companies whose names differ in spelling only, if one is `changed`."""
    by_name = defaultdict(list)
    for company_id in manifest:
        plain = unicodedata.normalize("NFKC", company_id).casefold()
        by_name[" ".join(plain.split())].append(company_id)
    fresh = set(changed)
    several = [names for names in by_name.values() if len(names) > 1 and fresh & set(names)]
    if not several:
        return []
    shown = "; ".join(
        ", ".join(f"{name!r} ({manifest[name]['n_rows']:,} rows)" for name in sorted(names))
        for names in several[:_SHOWN]
    )
    more = f" and {len(several) - _SHOWN} more such names" if len(several) > _SHOWN else ""
    return [
        f"Companies whose names differ only in spelling count as different ones: {shown}{more}. To "
        f"make names alike, ingest into a new dataset with "
        f"{option('ids', ['blanks', 'case', 'unicode'], in_python=in_python)}."
    ]
