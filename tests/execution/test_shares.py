"""Shares of a run, each evaluated by a call of its own: together they are the plain run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.planning import batches
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.planning.share import Share
from scale_eval.planning.shares import share_of
from scale_eval.results.directory import RunDiffers, RunDirectory, open_run_directory
from scale_eval.results.share_directory import ShareDirectory, shares_at_work
from scale_eval.storage import StoreLocked, open_store
from scale_eval.storage.unfinished import unfinished_name
from tests.support import models
from tests.support.companies import companies_of_unequal_size
from tests.support.paths import PROJECT

COMMAND = Path(sys.executable).with_name("scale-eval")
CHOSEN = ["base_rate", "recency", "rfm_logistic"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return companies_of_unequal_size(tmp_path_factory.mktemp("data"))


def evaluate(dataset, out, client, chosen=(), **choices):
    choices = {"progress": False, **choices}
    return se.evaluate(dataset, [*CHOSEN, *chosen], out=out, client=client, **choices)


@pytest.fixture(scope="module")
def plain(dataset, client, tmp_path_factory):
    return evaluate(dataset, tmp_path_factory.mktemp("plain") / "run", client)


def gate_of(diary: Path) -> Path:
    return diary.with_suffix(".gate")


def begun(dataset, out: Path, share: str, diary: Path) -> subprocess.Popen:
    """A share in a process of its own, beside a model that is slow until `gate_of` is there."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "DIARY_OF_SLOW": str(diary),
        "GATE_OF_SLOW": str(gate_of(diary)),
    }
    chosen = [word for name in (*CHOSEN, "tests.support.models:Slow") for word in ("--model", name)]
    with out.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [
                COMMAND,
                "run",
                str(dataset.store.root),
                "--out",
                str(out),
                "--share",
                share,
                "--workers",
                "1",
                *chosen,
            ],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def end(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


def wait_for(condition, process=None, seconds=200):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.02)


class TestOneAfterAnother:
    @pytest.mark.parametrize(
        "n", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3, 4, 5))]
    )
    def test_shares_in_any_order_and_then_reduced_are_the_plain_run(
        self, dataset, client, plain, tmp_path, n
    ):
        out = tmp_path / "run"
        for number in random.sample(range(1, n + 1), n):
            share = evaluate(dataset, out, client, share=(number, n))
            assert share.finished
            with pytest.raises(FileNotFoundError, match="scale-eval reduce"):
                _ = share.pooled
            with pytest.raises(FileNotFoundError, match="not finished"):
                se.open_run(out).fingerprint()
        run = se.reduce(out)
        assert run.finished
        assert run.document["n_missing"] == 0
        assert run.fingerprint() == plain.fingerprint()

    def test_a_share_evaluates_its_companies_and_no_other(self, dataset, client, plain, tmp_path):
        plan = plan_run(dataset, plain.document["models"], make_settings())
        mine = share_of(plan, dataset, Share(2, 3))
        run = evaluate(dataset, tmp_path / "run", client, share="2/3")
        evaluated = set(
            open_run_directory(tmp_path / "run").evaluations()["company_id"].to_pylist()
        )
        assert evaluated == {plan.company_ids[i] for i in mine.windows.company.tolist()}
        assert run.document["n_evaluations"] == mine.n_evaluations

    @pytest.mark.slow
    def test_shares_that_have_no_company_are_finished_too(self, dataset, client, plain, tmp_path):
        for number in range(1, 16):
            assert evaluate(dataset, tmp_path / "run", client, share=(number, 15)).finished
        assert se.reduce(tmp_path / "run").fingerprint() == plain.fingerprint()

    @pytest.mark.slow
    def test_what_is_missing_is_counted_and_a_share_run_again_completes_it(
        self, dataset, client, plain, tmp_path
    ):
        out = tmp_path / "run"
        for number in (1, 3):
            evaluate(dataset, out, client, share=(number, 3))
        plan = plan_run(dataset, plain.document["models"], make_settings())
        missing = share_of(plan, dataset, Share(2, 3)).n_evaluations
        part = se.reduce(out)
        assert not part.finished
        assert part.document["n_missing"] == missing > 0
        evaluate(dataset, out, client, share=(2, 3))
        run = se.reduce(out)
        assert run.finished
        assert run.fingerprint() == plain.fingerprint()

    def test_a_share_that_is_done_does_nothing_again(self, dataset, client, tmp_path):
        def files():
            return {f: f.stat().st_mtime_ns for f in (tmp_path / "run").rglob("*.parquet")}

        evaluate(dataset, tmp_path / "run", client, share=(1, 2))
        before = files()
        evaluate(dataset, tmp_path / "run", client, share=(1, 2))
        assert files() == before

    @pytest.mark.slow
    def test_models_can_be_added_share_by_share(self, dataset, client, tmp_path):
        both = evaluate(dataset, tmp_path / "both", client, ["frequency"])
        for number in (1, 2):
            evaluate(dataset, tmp_path / "run", client, share=(number, 2))
        se.reduce(tmp_path / "run")
        for number in (2, 1):
            evaluate(dataset, tmp_path / "run", client, ["frequency"], share=(number, 2))
        assert se.reduce(tmp_path / "run").fingerprint() == both.fingerprint()

    @pytest.mark.slow
    def test_the_plain_command_finishes_what_shares_began(self, dataset, client, plain, tmp_path):
        evaluate(dataset, tmp_path / "run", client, share=(3, 4))
        run = evaluate(dataset, tmp_path / "run", client)
        assert run.fingerprint() == plain.fingerprint()

    @pytest.mark.slow
    def test_another_number_of_shares_finishes_what_one_of_them_began(
        self, dataset, client, plain, tmp_path
    ):
        evaluate(dataset, tmp_path / "run", client, share=(1, 3))
        for number in (1, 2):
            evaluate(dataset, tmp_path / "run", client, share=(number, 2))
        assert se.reduce(tmp_path / "run").fingerprint() == plain.fingerprint()

    @pytest.mark.slow
    def test_half_files_of_a_share_that_died_are_removed_when_all_is_reduced_and_not_before(
        self, dataset, client, plain, tmp_path
    ):
        out = tmp_path / "run"
        evaluate(dataset, out, client, share=(1, 2))
        half = out / "evaluations" / unfinished_name("half.parquet")
        half.write_bytes(b"PAR1")
        alone = out / "scores" / "0123456789abcdef01234567.parquet"
        alone.write_bytes(next(out.glob("scores/*.parquet")).read_bytes())
        evaluate(dataset, out, client, share=(2, 2))
        assert half.exists()
        assert alone.exists()
        assert se.reduce(out).fingerprint() == plain.fingerprint()
        assert not half.exists()
        assert not alone.exists()


class TestAtTheSameTime:
    @pytest.mark.slow
    def test_a_share_that_is_being_evaluated_is_refused_and_another_is_not(
        self, dataset, client, tmp_path
    ):
        out, diary = tmp_path / "run", tmp_path / "diary"
        process = begun(dataset, out, "1/2", diary)
        try:
            wait_for(lambda: lines(diary), process)
            process.send_signal(signal.SIGSTOP)  # so that it is there as long as it is needed
            slow = [models.Slow]
            with pytest.raises(StoreLocked, match=rf"share 1-of-2: .*pid {process.pid} on "):
                evaluate(dataset, out, client, slow, share=(1, 2))
            with pytest.raises(StoreLocked, match="shares of this run are still evaluated"):
                evaluate(dataset, out, client, slow)
            with pytest.raises(StoreLocked, match=r"still evaluated \(1-of-2\)"):
                se.reduce(out)
            with pytest.raises(RunDiffers, match="another division"):
                evaluate(dataset, out, client, slow, share=(3, 3))
            assert evaluate(dataset, out, client, slow, share=(2, 2)).finished
            gate_of(diary).touch()
            process.send_signal(signal.SIGCONT)
            assert process.wait(timeout=120) == cli.OK, out.with_suffix(".log").read_text()
        finally:
            end(process)
        assert shares_at_work(open_run_directory(out).store) == []
        run = se.reduce(out)
        assert run.finished
        assert set(run.evaluations["model"]) == {*CHOSEN, "slow"}

    def test_a_share_is_refused_while_the_whole_run_is_being_written(
        self, dataset, client, tmp_path
    ):
        store = open_store(tmp_path / "run")
        with store.lock(), pytest.raises(StoreLocked, match=f"pid {os.getpid()}"):
            evaluate(dataset, tmp_path / "run", client, share=(1, 2))


@pytest.mark.slow
def test_shares_at_the_same_time_interrupted_and_begun_again_are_the_plain_run(
    dataset, client, tmp_path
):
    out, diary, n = tmp_path / "run", tmp_path / "diary", 3
    quiet = evaluate(dataset, tmp_path / "quiet", client, [models.Slow])
    processes = {i: begun(dataset, out, f"{i}/{n}", diary) for i in range(1, n + 1)}
    try:
        wait_for(lambda: len(lines(diary)) > 6)
        processes[1].send_signal(signal.SIGTERM)  # as a batch system does
        os.killpg(processes[2].pid, signal.SIGKILL)
        assert processes[1].wait(timeout=60) == cli.UNFINISHED
        processes[2].wait(timeout=60)
        gate_of(diary).touch()
        for i in (1, 2):
            processes[i] = begun(dataset, out, f"{i}/{n}", diary)
        for process in processes.values():
            assert process.wait(timeout=120) == cli.OK, out.with_suffix(".log").read_text()
    finally:
        for process in processes.values():
            end(process)
    log = out.with_suffix(".log").read_text()
    assert "Interrupted. What is done is on disk" in log
    assert "Traceback" not in log
    run = se.reduce(out)
    assert run.finished
    assert run.fingerprint() == quiet.fingerprint()


class TestModelsOfAllCompanies:
    @pytest.mark.slow
    def test_shares_have_the_model_of_the_plain_run(self, dataset, client, tmp_path):
        whole = evaluate(dataset, tmp_path / "plain", client, ["global_rfm_logistic"])
        for number in (2, 3, 1):
            evaluate(dataset, tmp_path / "run", client, ["global_rfm_logistic"], share=(number, 3))
        run = se.reduce(tmp_path / "run")
        assert run.fingerprint() == whole.fingerprint()
        assert "ok" in set(run.evaluations.query("model == 'global_rfm_logistic'")["status"])

    def test_of_two_shares_that_fit_at_the_same_time_the_first_to_record_counts(self, tmp_path):
        store = open_store(tmp_path)
        old, first, second = (["a", "", "", "", 1.0], ["b"], ["c"])
        whole = open_store_begun(store, {"global 2020": old})
        mine, other = ShareDirectory(store, "1-of-2"), ShareDirectory(store, "2-of-2")
        for share in (mine, other):  # both find that the one there is damaged
            assert share.document["fitted"] == {"global 2020": old}
        assert other.record_fits({"global 2020": first}) == {"global 2020": first}
        assert mine.record_fits({"global 2020": second, "global 2021": second}) == {
            "global 2020": first,
            "global 2021": second,
        }
        assert whole().document["fitted"] == {"global 2020": first, "global 2021": second}


def open_store_begun(store, fitted):
    RunDirectory(store).begin({}, {}, {"fitted": fitted})
    return lambda: open_run_directory(store)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    place = tmp_path_factory.mktemp("many") / "dataset"
    return se.synthesize(
        place, companies=120, seed=5, median_customers=40, sigma=0.7, observed_whole=True
    )


@pytest.mark.slow
class TestSamples:
    SETTINGS = {"last": 1, "observed_until": "2024-07-01"}  # noqa: RUF012

    def test_shares_of_a_sample_are_the_plain_run_of_it(self, many, client, tmp_path):
        plain = evaluate(many, tmp_path / "plain", client, sample=50, **self.SETTINGS)
        for number in (2, 1):
            evaluate(many, tmp_path / "run", client, sample=50, share=(number, 2), **self.SETTINGS)
        run = se.reduce(tmp_path / "run")
        assert len(run.sampled)
        assert run.fingerprint() == plain.fingerprint()

    def test_a_sample_grows_when_no_share_of_the_smaller_is_at_work(self, many, client, tmp_path):
        plain = evaluate(many, tmp_path / "plain", client, sample=60, **self.SETTINGS)
        out = tmp_path / "run"
        evaluate(many, out, client, sample=40, share=(1, 2), **self.SETTINGS)
        for number in (1, 2):
            evaluate(many, out, client, sample=60, share=(number, 2), **self.SETTINGS)
        assert se.reduce(out).fingerprint() == plain.fingerprint()

    def test_no_share_can_say_when_a_sample_is_large_enough(self, many, client, tmp_path):
        with pytest.raises(ValueError, match="a share does not know how sure the others are"):
            evaluate(many, tmp_path / "run", client, sample=40, until_half_width=0.1, share=(1, 2))


@pytest.mark.long
def test_companies_many_to_a_file_are_shared_in_packs_of_neighbours(client, tmp_path, monkeypatch):
    packed = se.synthesize(
        tmp_path / "data",
        companies=1100,
        seed=3,
        median_customers=30,
        sigma=0.4,
        observed_whole=True,
    )
    choices = {"last": 2, "observed_until": "2024-07-01"}
    monkeypatch.setattr(batches, "BATCH_EVALUATIONS", 900)
    plain = evaluate(packed, tmp_path / "plain", client, **choices)
    for number in (3, 1, 2):
        evaluate(packed, tmp_path / "run", client, share=(number, 3), **choices)
    assert se.reduce(tmp_path / "run").fingerprint() == plain.fingerprint()
    written_by_workers = [
        f
        for f in (tmp_path / "run" / "evaluations").glob("*.parquet")
        if pq.read_table(f, columns=["worker"])["worker"].null_count == 0
    ]
    assert len(written_by_workers) > 3


class TestCommands:
    def run(self, *words, cwd):
        return subprocess.run(
            [COMMAND, *map(str, words)],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "80"},
            timeout=120,
        )

    @pytest.mark.slow
    def test_a_share_and_what_a_run_lacks_are_told_with_an_exit_code(
        self, dataset, plain, tmp_path
    ):
        words = [
            "run",
            dataset.store.root,
            "--out",
            "run",
            "--workers",
            "1",
            *(w for m in CHOSEN for w in ("--model", m)),
        ]
        first = self.run(*words, "--share", "1/2", cwd=tmp_path)
        assert first.returncode == cli.OK, first
        assert re.search(r"Share 1/2: (\d+) of \1 evaluations are done", first.stdout)
        assert f"scale-eval reduce {tmp_path / 'run'}" in first.stdout
        part = self.run("reduce", "run", cwd=tmp_path)
        assert part.returncode == cli.UNFINISHED
        assert "evaluations have not been done" in part.stdout
        assert "Shares that did not finish: 2-of-2" in part.stdout
        second = self.run(*words, "--share", "2/2", "--strict", cwd=tmp_path)
        assert second.returncode == cli.OK, second
        whole = self.run("reduce", "run", cwd=tmp_path)
        assert whole.returncode == cli.OK
        assert "have not been done" not in whole.stdout
        assert se.open_run(tmp_path / "run").fingerprint() == plain.fingerprint()
        record = json.loads((tmp_path / "run" / "shares" / "2-of-2.json").read_text())
        assert record["status"] == "finished"
        assert record["n_missing"] == 0

    @pytest.mark.slow
    def test_a_time_limit_that_an_evaluation_may_outlast_is_refused_before_it_begins(
        self, dataset, tmp_path
    ):
        words = ["run", dataset.store.root, "--out", "run", "--time-limit", "10 minutes"]
        done = self.run(*words, cwd=tmp_path)
        assert done.returncode == cli.USAGE
        assert "600 s are left here" in done.stderr
        assert "one evaluation may take 3,600 s" in " ".join(done.stderr.split())
        assert not (tmp_path / "run").exists()
        done = self.run(*words, "--timeout", "1 minute", "--workers", "1", cwd=tmp_path)
        assert done.returncode == cli.OK
