"""Find the metrics of the user that gave no number, and say why, in how many evaluations."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from scale_eval.results.directory import RunDirectory

BROKEN = {"not_a_number": "it returned NaN", "infinite": "it returned an infinity"}
"""Reasons that a metric did not state itself, beside exceptions. One that has no value for some
data says so by `Undefined`."""


class BrokenMetric(NamedTuple):
    """A metric of the user that gave no number in some evaluations, for one reason.

    Attributes
    ----------
    metric : str
    why : str
        What it raised or returned.
    n : int
        The number of evaluations.
    n_scored : int
        The number of evaluations in which it was to be computed.
    """

    metric: str
    why: str
    n: int
    n_scored: int

    def __str__(self) -> str:
        of = "all" if self.n == self.n_scored else f"{self.n:,} of"
        return (
            f"The metric {self.metric} has no value in {of} {self.n_scored:,} evaluations: "
            f"{self.why}."
        )


def broken_metrics(directory: RunDirectory) -> list[BrokenMetric]:
    """Return the user's metrics that raised an exception or returned no finite number.

    The most frequent come first; each metric stands once for each kind of reason.
    """
    own = directory.user_metrics
    if not own:
        return []
    rows = directory.evaluations(["status", "undefined"]).to_pandas()
    rows = rows[rows["status"] == "ok"]
    counts: dict[tuple[str, str], Counter[str]] = {}
    for undefined, n in rows["undefined"].dropna().value_counts().items():
        for each in str(undefined).split(";"):
            metric, _, reason = each.partition(":")
            kind, _, message = reason.partition(" ")
            if metric in own and (reason in BROKEN or kind.startswith("exception:")):
                counts.setdefault((metric, kind), Counter())[message] += int(n)
    broken = [
        BrokenMetric(metric, _why(kind, messages), messages.total(), len(rows))
        for (metric, kind), messages in counts.items()
    ]
    return sorted(broken, key=lambda each: (-each.n, each))


def _why(kind: str, messages: Counter[str]) -> str:
    """Say what happened, with the most frequent message of an exception."""
    if kind in BROKEN:
        return BROKEN[kind]
    message = min(messages, key=lambda text: (-messages[text], text)).rstrip(".")
    others = f" (its most frequent of {len(messages):,} messages)" if len(messages) > 1 else ""
    return f"{kind.removeprefix('exception:')}: {message}".rstrip(": ") + others
