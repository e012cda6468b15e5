"""Name the company of a file by its path, and tell companies from parts of one company."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

from scale_eval.datasets.ingest.formats import without_suffixes
from scale_eval.datasets.ingest.records import IngestError

EXAMPLES = "such as 'shop={company}/', '{company}/*.csv' or '{company}-????-??.csv'"

_TOKEN = re.compile(r"(\{[^{}/]*\}|\*\*|\*|\?)")
_NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_TIMES = {"year", "month", "day", "date", "dt", "ds", "hour", "quarter", "week", "y", "m", "d"}
_PART = re.compile(
    r"(?:part[-_.](?:[mr]-)?\d+|\d{6}_\d+$|data(?:_\d+)+$|run-\d+-part|\d+\.part$)", re.I
)
_DAY, _MONTH, _YEAR = r"(?:0[1-9]|[12]\d|3[01])", r"(?:0[1-9]|1[0-2])", r"(?:19|20)\d\d"
_TIME = r"(?:T\d{4,6}Z?|[_ -]\d{6}(?!\d))?"
_NAMES = (
    "january|february|march|april|june|july|august|sept|september|october|november|december|"
    "januar|februar|m\u00e4rz|maerz|mai|juni|juli|oktober|dezember|okt|dez|"
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)
_PIECE = re.compile(
    rf"(?<!\d){_YEAR}(?:[-_.]?{_MONTH}(?:[-_.]?{_DAY}{_TIME})?|[-_.]?q[1-4]|[-_.]?w\d\d)?(?!\d)"
    rf"|(?<!\d)(?:{_DAY}[-_.])?{_MONTH}[-_.]{_YEAR}(?!\d)"
    rf"|^(?:{_MONTH}|q[1-4])$"
    rf"|(?<![^\W\d_])(?:{_NAMES})(?![^\W\d_])"
    r"|(?<=[-_. ])(?:part|chunk|split|shard)[-_. ]?\d+"
    r"|^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:[-_]\d+)?$|^[0-9a-f]{32}$"
    r"|^\d{8}_\d{6}_\d{5}_\w+$"  # as Trino names them
    r"|\d{5}-of-\d{5}$|(?<=[-_])\d{12}$|\d{4}_part_\d\d",
    re.IGNORECASE,
)
"""Finds what tells one part of a company's rows from another: a date, or a number."""

_COPY = re.compile(r" ?\(\d+\)$| - copy$", re.IGNORECASE)
_BY_NAME = "--company-from '{company}'"


class CompanyFrom:
    """A pattern finds the company in a path.

    Parameters
    ----------
    pattern : str
        A path, or the end or a folder of one, with ``{company}`` where the company stands; ``*``
        and ``?`` stand for some characters or one, and so does any other name in braces. Or a
        regular expression with one group.

    Raises
    ------
    IngestError
        It has neither.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        if not isinstance(pattern, str):
            raise IngestError(f"company_from: {pattern!r} is no pattern; give one {EXAMPLES}")
        if "{company}" in pattern:
            body = "".join(map(_regex_of, _TOKEN.split(pattern.strip("/"))))
            ends = ["/"] if pattern.endswith("/") else ["$", "/"]
            # Where wildcards leave a choice, a greedy and a lazy reading tell it.
            self._regexes = [
                [re.compile(body.replace("COMPANY", kind) + end) for kind in ("[^/]+", "[^/]+?")]
                for end in ends
            ]
            return
        try:
            regex = re.compile(pattern)
        except re.error as error:
            raise IngestError(
                f"company_from: {pattern!r} is no regular expression ({error}); write {{company}} "
                f"where the company stands, {EXAMPLES}"
            ) from None
        if regex.groups != 1:
            raise IngestError(
                f"company_from: {pattern!r} does not say where the company stands; write "
                f"{{company}} there, {EXAMPLES}"
            )
        self._regexes, self._search = [], regex

    def read(self, path: Path) -> tuple[str, str]:
        """Return the company of a path, and the path from where the pattern matches.

        Raises `IngestError` where the pattern does not match, or leaves a choice.
        """
        text = path.as_posix()
        matches = self._matches(text)
        readings = {_decoded(match, path): match for match in matches}
        if not readings:
            raise IngestError(
                f"{path}: --company-from {self.pattern!r} does not match this path; write "
                f"{{company}} where the company stands in it, {EXAMPLES}"
            )
        if len(readings) > 1:
            one, other, *_ = readings
            raise IngestError(
                f"{path}: --company-from {self.pattern!r} reads this as company {one!r} or as "
                f"{other!r}; write more of the path around {{company}}, or ? for single characters"
            )
        ((company, match),) = readings.items()
        if company in ("", _NO_PARTITION):
            raise IngestError(
                f"{path}: the path names no company ({match[0]!r}); give its rows to a company, or "
                "leave the file out"
            )
        return company, text[match.start() :]

    def _matches(self, text: str) -> list[re.Match[str]]:
        if not self._regexes:
            found = self._search.search(text)
            return [found] if found else []
        for regexes in self._regexes:
            for shown in (without_suffixes(text), text):
                starts = [0, *(i + 1 for i, char in enumerate(shown) if char == "/")]
                matches = [regex.match(shown, start) for start in starts for regex in regexes]
                if found_all := [match for match in matches if match]:
                    return found_all
        return []


def partitions_of(path: Path) -> dict[str, str]:
    """Return the ``key=value`` folders of a path."""
    pairs = [part.partition("=") for part in path.parent.parts]
    return {key: value for key, mark, value in pairs if mark and key}


def company_keys(path: Path) -> list[str]:
    """Return the keys of a path's ``key=value`` folders that are no times."""
    return [key for key in partitions_of(path) if key.lower() not in _TIMES]


def is_part_of_table(path: Path) -> bool:
    """Return whether a file's name is that of a part of a table, with no name of its own."""
    return _PART.match(without_suffixes(path.name)) is not None


def table_of(path: Path) -> Path:
    """Return the folder of which a file is a part: the one above its ``key=value`` folders."""
    table = path.parent
    while "=" in table.name:
        table = table.parent
    return table


def check_companies_are_told(labels: Mapping[str, str], others: Iterable[str] = ()) -> None:
    """Raise `IngestError` where names of companies differ only in a date, a number or a copy.

    Parameters
    ----------
    labels : mapping
        A file by the company that it is, named by its path.
    others : iterable of str
        Companies that the dataset has.
    """
    known = {**{each: f"company {each!r} of the dataset" for each in others}, **labels}
    groups = defaultdict(list)
    for company in known:
        groups[_PIECE.sub("\0", company)].append(company)
    numbered = {_numbered(company) for company in labels if not _PIECE.search(company)}
    for company, label in labels.items():
        base = _COPY.sub("", company)
        if base != company and base in known:
            raise IngestError(
                f"{label} and {known[base]} would be companies {company!r} and {base!r}; if one is "
                f"a copy, leave it out; if each is a company: {_BY_NAME}"
            )
        rest = _PIECE.sub("\0", company)
        alike = [each for each in (*groups[rest], _core(rest.replace("\0", ""))) if each != company]
        alike = [each for each in alike if each in known]
        if alike and _PIECE.search(company) and _numbered(company) not in numbered:
            remedy = _remedy_for_parts(label, company)
            if alike[0] in labels and not _PIECE.search(alike[0]):  # no pattern is about both
                remedy = f"ingest {known[alike[0]]} first, then append {label}: {remedy} --append"
            raise IngestError(
                f"{label} and {known[alike[0]]} would be companies {company!r} and {alike[0]!r}, "
                f"whose names differ only as parts do. If they are parts of one company, {remedy}; "
                f"if each is a company: {_BY_NAME}"
            )


def pattern_for_folders(one: str, other: str) -> str:
    """Return the pattern by which two paths of files called alike are two companies, or ""."""
    parts, others = Path(one).parts, Path(other).parts
    differing = [i for i in range(1, 1 + min(len(parts), len(others))) if parts[-i] != others[-i]]
    if not differing or differing[0] == 1:
        return ""
    suffix = one.removeprefix(without_suffixes(one))
    return f"{{company}}{'/*' * (differing[0] - 1)}{suffix}"


def _remedy_for_parts(label: str, company: str) -> str:
    """Return the option that takes files such as `label`, called `company`, for parts of one."""
    path = Path(label)
    suffix = label.removeprefix(without_suffixes(label))
    core = next((each for each in map(_core, _PIECE.split(company)) if each), "")
    if core:
        before, _, after = company.partition(core)
        return f"write --company-from '{_wild(before)}{{company}}{_wild(after)}{suffix}'"
    folders = [each for each in path.parent.parts if each not in ("/", ".", "..")]
    levels = ""
    while folders and not _core(_PIECE.sub("", folders[-1])):
        levels += "/*"
        folders.pop()
    pattern = f"--company-from '{{company}}{levels}/*{suffix}'"
    if folders:
        return f"and the folder {folders[-1]} is the company, write {pattern}"
    return f"put them into a folder named as the company, and write {pattern}"


def _core(text: str) -> str:
    return text.strip("-_. ")


def _wild(text: str) -> str:
    """Return a pattern for what surrounds the company in the names of its parts."""
    words = rf"{_NAMES}|((?:part|chunk|split|shard)[-_. ]?)\d+"
    text = re.sub(words, lambda match: f"{match[1] or ''}*", text, flags=re.IGNORECASE)
    return re.sub(r"\d", "?", text)


def _numbered(company: str) -> str:
    return re.sub(r"\d+", "#", company)


def _regex_of(token: str) -> str:
    if token == "{company}":
        return "(COMPANY)"
    if token == "**":
        return ".*"
    if token == "?":
        return "[^/]"
    return "[^/]*" if _TOKEN.fullmatch(token) else re.escape(token)


def _decoded(match: re.Match[str], path: Path) -> str:
    """Return the company of a match; the value of a ``key=value`` folder is percent-encoded."""
    company = match[1] or ""
    if match.string[: match.start(1)].rpartition("/")[2].endswith("="):
        try:
            return unquote_to_bytes(company).decode()
        except UnicodeDecodeError:
            raise IngestError(
                f"{path}: the name {company!r} is not UTF-8, percent-encoded; rename the folder"
            ) from None
    return company
