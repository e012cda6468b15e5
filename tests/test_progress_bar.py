"""What is shown while a run goes on: stages, counts, and a time left that can be true."""

from __future__ import annotations

import io
import re
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_eval.execution.progress import Progress, duration
from scale_eval.progress_bar import FIRST_SECONDS, FIRST_SHARE, Screen, seconds_left


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(params=["terminal", "log"])
def begin(request, monkeypatch):
    """Begins to catch what the standard error gets, a terminal or a file."""

    def begin() -> io.StringIO:
        file = Terminal() if request.param == "terminal" else io.StringIO()
        monkeypatch.setattr("sys.stderr", file)
        return file

    return begin


def test_a_stage_names_what_is_waited_for_and_for_how_long(begin):
    shown = begin()
    with Screen().stage("starting workers") as stage:
        time.sleep(0.7 if shown.isatty() else 0.01)
        stage.rename("compiling")
    text = shown.getvalue()
    assert text.index("starting workers") < text.index("compiling")
    if shown.isatty():
        assert re.search(r"starting workers \[00:0\d\]", text)
        assert not text.split("\r")[-1].strip()  # the line goes with the stage
    else:
        assert text == "starting workers\ncompiling\n"
    stage.rename("too late")
    assert "too late" not in shown.getvalue()


def test_nothing_is_shown_where_nothing_is_wanted(begin):
    shown = begin()
    with Progress(shown=False) as progress:
        progress.stage("starting workers")
        progress.say("one")
        progress.evaluate(3, already=0)
        progress.update(Counter(ok=3), 1.0)
    assert shown.getvalue() == ""


def test_a_run_in_a_log_file_is_a_line_a_stage(begin):
    shown = begin()
    with Progress() as progress:
        progress.stage("starting workers")
        progress.prepare()
        progress.evaluate(4, already=1)
        progress.update(Counter(ok=2, error=1), 1.0)
        progress.rename("compiling")  # a worker that joins late compiles: evaluating goes on
        progress.prepare()
        progress.stage("making the tables")
    text = shown.getvalue()
    places = [text.index(name) for name in ("starting", "preparing", "evaluating", "tables")]
    assert places == sorted(places)
    assert "compiling" not in text
    assert "2 ok, 0 skipped, 1 failed" in text
    assert "left" not in text
    if not shown.isatty():
        assert "\r" not in text
        first, *_, last = text.splitlines()
        assert (first, last) == ("starting workers", "making the tables")
        assert "evaluating: 100 % (4/4)" in text


@pytest.mark.slow
@given(
    costs=st.lists(st.floats(0.01, 100), min_size=4, max_size=60),
    error=st.floats(0.5, 2.0),
    workers=st.integers(1, 4),
)
def test_a_time_left_that_is_told_is_about_that_of_the_rest(costs, error, workers):
    """Tasks in the order of their cost, the longest first, as a run does them.

    Every task takes `error` times what was estimated, and workers are always busy.
    """
    costs = np.sort(costs)[::-1]
    done = np.cumsum(costs)
    elapsed = done * error / workers
    for at, cost in zip(elapsed, done, strict=True):
        left = seconds_left(at, cost / done[-1])
        if at < FIRST_SECONDS or cost / done[-1] < FIRST_SHARE:
            assert left is None
        else:
            assert left == pytest.approx(elapsed[-1] - at, abs=1e-6 * elapsed[-1])


def test_the_first_of_many_evaluations_tells_no_time_left():
    """The demo once said "39:45 left" at 1 of 72, after it had compiled for half a minute."""
    assert seconds_left(34.0, 1 / 72) is None
    assert seconds_left(0.5, 0.9) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3.4, "3 s"),
        (44, "40 s"),
        (99, "100 s"),
        (130, "2 min"),
        (5_399, "90 min"),
        (9_000, "2.5 h"),
    ],
)
def test_a_length_of_time_is_in_the_unit_that_suits_it(seconds, words):
    assert duration(seconds) == words
