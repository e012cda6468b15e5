"""How far a run is: a bar in a terminal or a notebook, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType

from scale_eval.evaluation.schema import FAILED
from scale_eval.progress_bar import bar, in_notebook


class Progress:
    """Counts evaluations as they are done, skipped and failed, with the time left.

    Parameters
    ----------
    total : int
        Evaluations of the run, refused windows left out.
    already : int
        Of these, done in an earlier session.
    shown : bool
        Whether to show a bar at all.
    """

    def __init__(self, total: int, *, already: int = 0, shown: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        self._bar = bar(
            total=total, initial=already, shown=shown, doing="evaluating", unit="evaluations"
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
        """Some more evaluations are done: how many came to which status."""
        self.counts += statuses
        failed = sum(self.counts[status] for status in FAILED)
        self._bar.set_postfix_str(
            f"{self.counts['ok']:,} ok, {self.counts['skipped']:,} skipped, {failed:,} failed",
            refresh=False,
        )
        self._bar.update(statuses.total())
