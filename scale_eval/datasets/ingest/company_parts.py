"""Find companies that look like parts of one, whatever their names say: by their rows.

`company_from` knows how dates and numbers are written in the names of parts, and asks before
anything is read. Here the rows decide: companies called alike, each of which has its own time, and
which share customers, are rather the quarters or pages of one export.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from scale_eval.datasets.dataset import Dataset
from scale_eval.datasets.ingest.company_from import CompanyFrom
from scale_eval.datasets.ingest.formats import without_suffixes
from scale_eval.datasets.ingest.parse import ParsedInput
from scale_eval.datasets.ingest.records import IngestError, option
from scale_eval.datasets.instants import DAY

_SHOWN = 3
_READ = 100
"""So many groups of companies are read at most, to see whether they share customers."""
_MARKS = "-_. "
"""What divides the words of a name."""
_MOST_WORDS = 8  # of a name; longer names are not compared word by word


def part_remarks(
    manifest: Mapping[str, Mapping[str, Any]],
    changed: Iterable[str],
    parsed: Sequence[ParsedInput],
    dataset: Dataset,
) -> list[str]:
    """Return a sentence for companies that look like parts of one, if a file is one of them.

    Parameters
    ----------
    manifest : mapping
        The dataset's rows of the manifest, by company.
    changed : iterable of str
        The companies that an ingest has written.
    parsed : sequence of ParsedInput
        Its files. Those that the caller named otherwise than by their stems do not count.
    dataset : Dataset
        A few companies of each group are read, until more groups than can be shown are found.
    """
    among = set(changed)
    labels = {
        each.company_id: each.input.label
        for each in parsed
        if each.company_id in among and not (each.input.is_part or each.input.in_python)
    }
    if not labels:
        return []
    groups: dict[tuple[str, ...], None] = {}
    for names in _called_alike(manifest):
        in_time = sorted(names, key=lambda name: manifest[name]["first_timestamp"])
        if any(name in labels for name in names) and _have_own_times(in_time, manifest):
            groups[tuple(in_time)] = None
    sharing = (names for names in islice(groups, _READ) if _share_customers(names, dataset))
    sentences = [_sentence(names, labels) for names in islice(sharing, _SHOWN)]
    if next(sharing, None) is not None:
        sentences.append("More companies look like parts of one in the same way.")
    return sentences


def _called_alike(names: Iterable[str]) -> list[list[str]]:
    """Return groups of names that differ in their digits only, or in one word."""
    groups = defaultdict(list)
    for name in names:
        if re.search(r"\d", name):
            groups[re.sub(r"\d+", "#", name)].append(name)
        words = _words(name)
        if 1 < len(words) < 2 * _MOST_WORDS:
            for i in range(0, len(words), 2):
                groups["\0".join([*words[:i], "", *words[i + 1 :]])].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _words(name: str) -> list[str]:
    """Divide a name into words and, between them, what divides them."""
    return re.split(rf"([{_MARKS}]+)", name)


def _have_own_times(names: Sequence[str], manifest: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether none has rows in the time of another; their first and last day may be one."""
    return all(
        manifest[later]["first_timestamp"] > manifest[earlier]["last_timestamp"] - DAY
        and manifest[later]["last_timestamp"] > manifest[earlier]["last_timestamp"]
        for earlier, later in pairwise(names)
    )


def _share_customers(names: Sequence[str], dataset: Dataset) -> bool:
    """Return whether a company and the next share a customer; not where one is damaged."""
    try:
        customers = [dataset.read(name).customers for name in names[: _SHOWN + 1]]
    except (OSError, ValueError):
        return False
    return any(pc.any(pc.is_in(one, value_set=other)).as_py() for one, other in pairwise(customers))


def _sentence(names: Sequence[str], labels: Mapping[str, str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    pattern = _pattern([labels[name] for name in names if name in labels], names)
    how = (
        f"with {option('company_from', pattern)}"
        if pattern
        else "and say where the company stands in their paths (--company-from)"
    )
    return (
        f"{shown}{more} look like parts of one company: their names differ in one place, each has "
        f"a time of its own, and they share customers. If they are, ingest their files together "
        f"into a new dataset, {how}."
    )


def _pattern(paths: Sequence[str], names: Sequence[str]) -> str:
    """Return the pattern by which these files are one company; empty if none is found."""
    words = [_words(name) for name in names]
    differing = [i for i, each in enumerate(zip(*words, strict=True)) if len(set(each)) > 1]
    before = "".join(words[0][: differing[0]])
    after = "".join(words[0][differing[-1] + 1 :])
    lengths = {len(name) - len(before) - len(after) for name in names}
    wild = "?" * lengths.pop() if len(lengths) == 1 else "*"
    suffix = paths[0].removeprefix(without_suffixes(paths[0]))
    core = before.rstrip(_MARKS)
    if core:
        pattern = f"{{company}}{before[len(core) :]}{wild}{after}{suffix}"
    else:
        core = after.lstrip(_MARKS)
        pattern = f"{before}{wild}{after[: len(after) - len(core)]}{{company}}{suffix}"
    try:
        companies = {CompanyFrom(pattern).read(Path(path))[0] for path in paths}
    except IngestError:
        return ""
    return pattern if companies == {core} else ""
