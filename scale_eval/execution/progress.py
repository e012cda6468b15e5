"""Show the progress of a run: its stages, the evaluations that are done, and the time left."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from types import TracebackType

from tqdm import tqdm

from scale_eval.evaluation.schema import FAILED
from scale_eval.progress_bar import Screen, Stage, seconds_left


class Progress:
    """The progress of a run says what is waited for, and counts the evaluations.

    It is in one stage at a time: it waits for something (`stage`), or it evaluates.

    Parameters
    ----------
    shown : bool
        Whether to show anything.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self.counts: Counter[str] = Counter()
        self._screen = Screen(shown=shown)
        self._stage: Stage | None = None
        self._bar: tqdm | None = None
        self._since, self._cost, self._cost_done = 0.0, 0.0, 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def stage(self, label: str) -> None:
        """Wait for something else from now on."""
        self._close()
        self._stage = self._screen.stage(label)

    def rename(self, label: str) -> None:
        """Name the stage anew, from any thread; do nothing while evaluations are counted."""
        if self._stage is not None:
            self._stage.rename(label)

    def prepare(self) -> None:
        """Wait for the workers, unless they are evaluating already."""
        if self._bar is None:
            self.stage("preparing the workers")

    def evaluate(self, total: int, *, already: int) -> None:
        """Count evaluations from now on, unless they are counted already.

        Parameters
        ----------
        total : int
            Evaluations of the run, without refused windows.
        already : int
            How many of them are done.
        """
        if self._bar is None:
            self._close()
            self._bar = self._screen.bar(
                total=total, initial=already, label="evaluating", unit="evaluations"
            )
        self._since = time.monotonic()

    def expect(self, cost: float) -> None:
        """Expect the evaluations that follow to take this many seconds, in the unit of `update`."""
        self._cost, self._cost_done, self._since = cost, 0.0, time.monotonic()

    def say(self, sentence: str) -> None:
        """Print a sentence without breaking the bar."""
        self._screen.say(sentence)

    def warn(self, sentence: str) -> None:
        """Print a sentence as `say` does; where nothing is shown, warn."""
        if self._screen.shown:
            self.say(sentence)
        else:
            warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def update(self, statuses: Counter[str], cost: float = 0.0) -> None:
        """Add evaluations that are done, counted by their status, and their estimated seconds."""
        self.counts += statuses
        self._cost_done += cost
        if self._bar is None:
            return
        failed = sum(self.counts[status] for status in FAILED)
        words = (
            f"{self.counts['ok']:,} ok, {self.counts['skipped']:,} skipped, {failed:,} failed"
            f"{self._time_left()}"
        )
        self._bar.set_postfix_str(words, refresh=False)
        self._bar.update(statuses.total())

    def _time_left(self) -> str:
        share = self._cost_done / self._cost if self._cost else 0.0
        left = seconds_left(time.monotonic() - self._since, min(share, 1.0))
        return "" if not left else f", about {duration(left)} left"

    def _close(self) -> None:
        for shown in (self._stage, self._bar):
            if shown is not None:
                shown.close()
        self._stage = self._bar = None


def duration(seconds: float) -> str:
    """Return a length of time in the unit that suits it, such as ``40 s`` or ``3 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds < 10 else f"{round(seconds, -1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
