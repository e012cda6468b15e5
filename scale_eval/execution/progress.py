"""Show the progress of a run: a bar in a terminal or a notebook, lines in a log file."""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType

from scale_eval.evaluation.schema import FAILED
from scale_eval.progress_bar import bar, in_notebook


class Progress:
    """The progress bar counts evaluations that are done, skipped and failed, and the time left.

    Parameters
    ----------
    total : int
        Evaluations of the run, without refused windows.
    already : int
        How many of them an earlier session did.
    shown : bool
        Whether to show a bar at all.
    """

    def __init__(self, total: int, *, already: int = 0, shown: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        self._bar = bar(
            total=total, initial=already, shown=shown, label="evaluating", unit="evaluations"
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def say(self, sentence: str) -> None:
        """Print a sentence without breaking the bar."""
        if not self._bar.disable:
            self._bar.write(sentence, file=sys.stdout if in_notebook() else sys.stderr)

    def update(self, statuses: Counter[str]) -> None:
        """Add evaluations that are done, counted by their status."""
        self.counts += statuses
        failed = sum(self.counts[status] for status in FAILED)
        self._bar.set_postfix_str(
            f"{self.counts['ok']:,} ok, {self.counts['skipped']:,} skipped, {failed:,} failed",
            refresh=False,
        )
        self._bar.update(statuses.total())
