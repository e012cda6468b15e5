"""Runs as processes of their own: killed and continued, or begun by a script without a guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import scale_eval as se
from tests.support.paths import PROJECT

SCRIPT = """
import sys, scale_eval as se
from tests.support.models import Slow
if __name__ == "__main__":
    se.evaluate(sys.argv[1], ["base_rate", "recency", "bgnbd", Slow], out=sys.argv[2], workers=2,
                every="1 month", progress=False)
"""


def start(dataset, out, diary) -> subprocess.Popen:
    script = Path(out).with_suffix(".py")
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "DIARY_OF_SLOW": str(diary),
        "PYTHONPATH": str(PROJECT),
    }
    with told(out).open("w") as file:
        return subprocess.Popen(
            [sys.executable, str(script), str(dataset.store.root), str(out)],
            env=environment,
            start_new_session=True,
            stdout=file,
            stderr=file,
        )


def told(out) -> Path:
    return Path(out).with_suffix(".log")


def evaluations_on_disk(out: Path) -> set:
    files = sorted((out / "evaluations").glob("*.parquet"))
    rows = [pd.read_parquet(f, columns=["company_id", "cutoff", "model", "worker"]) for f in files]
    if not rows:
        return set()
    done = pd.concat(rows).query("worker.notna()")
    return set(done[["company_id", "cutoff", "model"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def undisturbed(shops, tmp_path_factory):
    """A run in a process of its own that nothing happened to."""
    place = tmp_path_factory.mktemp("undisturbed")
    whole = start(shops, place / "whole", place / "whole.txt")
    assert whole.wait(timeout=300) == 0, told(place / "whole").read_text()
    return place / "whole"


@pytest.mark.slow
@pytest.mark.parametrize(
    "blow", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_run_that_was_killed_goes_on_without_doing_anything_twice(
    shops, undisturbed, tmp_path, blow
):
    victim = start(shops, tmp_path / "cut", tmp_path / "cut.txt")
    deadline = time.monotonic() + 120
    while len(evaluations_on_disk(tmp_path / "cut")) < 15:
        assert time.monotonic() < deadline
        assert victim.poll() is None, told(tmp_path / "cut").read_text()
        time.sleep(0.05)
    os.killpg(victim.pid, blow)  # the whole session, as a terminal's Ctrl-C does
    victim.wait(timeout=60)
    on_disk = evaluations_on_disk(tmp_path / "cut")
    total = evaluations_on_disk(undisturbed)
    assert 15 <= len(on_disk) < len(total)
    slow_before = (tmp_path / "cut.txt").read_text().splitlines()

    resumed = start(shops, tmp_path / "cut", tmp_path / "cut.txt")
    assert resumed.wait(timeout=300) == 0, told(tmp_path / "cut").read_text()
    assert evaluations_on_disk(tmp_path / "cut") == total
    cut, uncut = se.open_run(tmp_path / "cut"), se.open_run(undisturbed)
    assert cut.fingerprint() == uncut.fingerprint()

    slow_after = (tmp_path / "cut.txt").read_text().splitlines()[len(slow_before) :]
    done_before = {f"{c} {t:%Y-%m-%d}" for c, t, m in on_disk if m == "slow"}
    assert not done_before & set(slow_after)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "lines"),
    [("", 12), pytest.param("if sys.argv:\n    ", 40, marks=pytest.mark.long)],
    ids=["surely", "perhaps"],
)
def test_a_script_without_the_main_guard_ends_in_one_sentence_that_says_so(
    shops, tmp_path, before, lines
):
    script = tmp_path / "plain.py"
    call = f"se.evaluate({str(shops.store.root)!r}, ['recency'], out={str(tmp_path / 'run')!r})"
    script.write_text(f"import sys, scale_eval as se\n{before}{call}\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    told = done.stderr.splitlines()
    assert told[-1].endswith('put the call under if __name__ == "__main__":')
    assert f"{script}, line {2 + before.count(chr(10))}, starts worker processes" in told[-1]
    assert len(told) <= lines
    assert told.count("Traceback (most recent call last):") == 1
