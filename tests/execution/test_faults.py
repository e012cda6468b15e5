"""Faults, caused: in every case what is `ok` equals an undisturbed run, bit for bit.

Three hundred small companies at two cutoffs, in batches of 25 companies, on workers that are
killed, told to end, short of memory, or cut off from their scheduler.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from dask.utils import key_split
from distributed import Client, SchedulerPlugin
from distributed.comm.core import CommClosedError

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.datasets.instants import from_microseconds
from scale_eval.datasets.synthetic.faults import corrupt
from scale_eval.evaluation.evaluate import LoadedCompany, evaluate_companies
from scale_eval.evaluation.histograms import ScoreCounts, score_table
from scale_eval.evaluation.rows import EvaluationRows
from scale_eval.evaluation.schema import KEY
from scale_eval.evaluation.windows import Window
from scale_eval.execution import ClusterLost
from scale_eval.execution.clusters.local import LOCAL_CONFIG, dask_client, local_cluster
from scale_eval.execution.coordinator import _register
from scale_eval.execution.progress import Progress
from scale_eval.models.registry import named_models
from scale_eval.planning import batches
from scale_eval.planning.plan import plan_run
from scale_eval.planning.settings import make_settings
from scale_eval.results.directory import open_run_directory
from scale_eval.results.fingerprint import UNREPEATABLE_COLUMNS
from tests.support import models as models
from tests.support.paths import PROJECT

pytestmark = pytest.mark.slow

CHOSEN = ["base_rate", "recency", "rfm_logistic"]
CUTOFFS = ("2023-07-01", "2024-01-01")
SETTINGS = {"last": 2, "observed_until": "2024-07-01"}
PACK_COMPANIES = 25
N_PACKS = 12

random.seed(time.time_ns())  # moments of blows; no result depends on them


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    place = tmp_path_factory.mktemp("many") / "dataset"
    return se.synthesize(
        place, companies=300, seed=11, median_customers=40, sigma=0.7, observed_whole=True
    )


def bound_batches(patch, n_evaluations):
    """Batches hold so many evaluations, however short the run is."""
    patch.setattr(batches, "BATCH_EVALUATIONS", n_evaluations)
    patch.setattr(batches, "FEW_BATCHES", 1)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch):
    bound_batches(monkeypatch, PACK_COMPANIES * 2 * (len(CHOSEN) + 1))


def evaluate(dataset, out, client, chosen=(), **choices):
    choices = {"granularity": "batch", "progress": False, **SETTINGS, **choices}
    return se.evaluate(dataset, [*CHOSEN, *chosen], out=out, client=client, **choices)


@contextlib.contextmanager
def cluster_of_its_own(workers=2, *, allowed_failures=1, **choices):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOCAL_CONFIG, "distributed.scheduler.allowed-failures", allowed_failures)
        with local_cluster(workers, **choices) as cluster, Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def quiet(many, client, tmp_path_factory):
    """An undisturbed run in batches, beside a model that takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        bound_batches(patch, PACK_COMPANIES * 2 * (len(CHOSEN) + 1))
        place = tmp_path_factory.mktemp("quiet") / "run"
        return evaluate(many, place, client, [models.Unhurried(seconds=0)])


@pytest.fixture(scope="module")
def harmless(many, client, tmp_path_factory):
    """An undisturbed run beside the harmless twin of models that strike."""
    place = tmp_path_factory.mktemp("harmless") / "run"
    return evaluate(many, place, client, [models.Harmless()])


@pytest.fixture(scope="module")
def twin(many, client, tmp_path_factory):
    """An undisturbed run beside one model for all companies."""
    with pytest.MonkeyPatch.context() as patch:
        bound_batches(patch, PACK_COMPANIES * 2 * (len(CHOSEN) + 1))
        place = tmp_path_factory.mktemp("twin") / "run"
        return evaluate(many, place, client, [models.OneForAll()])


@pytest.fixture
def places(many, harmless):
    """By number, as they lie on disk: "company cutoff" of what is evaluated."""
    rows = harmless.evaluations.query("model == 'at' and status == 'ok'")
    told = (rows["company_id"] + rows["cutoff"].dt.strftime(" %Y-%m-%d")).groupby(
        rows["company_id"]
    )
    held = {company_id: list(of) for company_id, of in told}
    order = many.reading_order(many.company_ids)
    every = [place for name in order for place in held.get(name, [])]
    return lambda *numbers: [every[number] for number in numbers]


def facts(run) -> pd.DataFrame:
    """The evaluations, sorted, without what cannot be the same twice."""
    table = run.directory.evaluations()
    kept = [name for name in table.column_names if not UNREPEATABLE_COLUMNS.fullmatch(name)]
    frame = table.select(kept).to_pandas()
    for name in kept:
        if name.endswith("_influence"):
            frame[name] = [None if sums is None else sums.tobytes() for sums in frame[name]]
    return frame


def assert_equal_but_for(run, undisturbed, places, status, model="at"):
    """The evaluations of a model at these "company cutoff" have this status; others are equal."""
    found, expected = facts(run), facts(undisturbed)
    pd.testing.assert_frame_equal(found[KEY], expected[KEY])
    told = found["company_id"] + found["cutoff"].dt.strftime(" %Y-%m-%d")
    lost = told.isin(places) & (found["model"] == model)
    assert Counter(found.loc[lost, "status"]) == {status: len(places)}
    pd.testing.assert_frame_equal(found[~lost], expected[~lost], check_exact=True)
    assert not set(found.loc[~lost, "status"]) & {"killed", "timeout", "error"}


class Names(SchedulerPlugin):
    """Notes, on the scheduler, the tasks that it took, and counts the workers that died."""

    name = "names"

    def start(self, scheduler):
        scheduler.names = self
        self.tasks, self.n_deaths, self.began = [], 0, time.time()

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "released" and finish == "waiting":
            self.tasks.append(key[0] if isinstance(key, tuple) else key)

    def remove_worker(self, scheduler, worker, *, stimulus_id="", **kwargs):
        if "handle-worker-cleanup" in stimulus_id or "nanny" in stimulus_id:
            self.n_deaths += 1


def on_scheduler(client):
    return client.run_on_scheduler(
        lambda dask_scheduler: (dask_scheduler.names.tasks, dask_scheduler.names.n_deaths)
    )


@contextlib.contextmanager
def blows(client, kind: signal.Signals, diary: Path, every: int, at_most: int):
    """End a worker's process by a signal whenever `every` evaluations more are in the diary."""
    over, struck = threading.Event(), []

    def strike():
        last = 0
        while not over.wait(0.01) and len(struck) < at_most:
            lines = len(diary.read_text().splitlines()) if diary.exists() else 0
            if lines - last >= every:
                last = lines
                nanny = random.choice([*client.cluster.workers.values()])
                with contextlib.suppress(Exception):  # between two lives it has no process
                    os.kill(nanny.pid, kind)
                    struck.append(nanny.pid)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield struck
    finally:
        over.set()
        thread.join()


class TestEveryWayIsTheSame:
    @pytest.mark.parametrize("granularity", ["evaluation", "company"])
    def test_evaluations_companies_and_packs_find_the_same(
        self, many, client, quiet, tmp_path, granularity
    ):
        run = evaluate(
            many, tmp_path / "run", client, [models.Unhurried(seconds=0)], granularity=granularity
        )
        assert run.fingerprint() == quiet.fingerprint()

    def test_one_worker_finds_the_same_as_two(self, many, quiet, tmp_path):
        with dask_client("local", workers=1) as single:
            run = evaluate(many, tmp_path / "run", single, [models.Unhurried(seconds=0)])
        assert run.fingerprint() == quiet.fingerprint()

    def test_models_added_later_are_the_same_as_together(self, many, client, quiet, tmp_path):
        evaluate(many, tmp_path / "run", client)
        run = evaluate(many, tmp_path / "run", client, [models.Unhurried(seconds=0)])
        facts_alike = facts(run), facts(quiet)
        pd.testing.assert_frame_equal(*facts_alike, check_exact=True)
        assert run.fingerprint() == quiet.fingerprint()

    def test_dask_finds_the_same_as_a_plain_loop_in_one_process(self, many, quiet):
        settings = make_settings(**SETTINGS)
        named = named_models([*CHOSEN, models.Unhurried(seconds=0)])
        plan = plan_run(many, list(named), settings)
        rows, counts = EvaluationRows(plan.n_planned), ScoreCounts()
        for i, company_id in enumerate(plan.company_ids):
            mine = np.flatnonzero((plan.windows.company == i) & plan.is_planned)
            windows = [
                (Window(*map(from_microseconds, span[:2])), span[2])
                for span in zip(
                    plan.windows.cutoff[mine].tolist(),
                    plan.windows.horizon_end[mine].tolist(),
                    plan.windows.overlaps[mine].tolist(),
                    strict=True,
                )
            ]
            if windows:
                asked = LoadedCompany(
                    many.read(company_id), windows, list(named.values()), int(plan.group[i])
                )
                evaluate_companies([asked], settings.rules, rows, counts)
        expected = rows.table().sort_by([(key, "ascending") for key in KEY])
        found = quiet.directory.evaluations()
        found = found.filter(found["worker"].is_valid())
        assert len(found) == len(expected)
        for name in found.column_names:
            if not UNREPEATABLE_COLUMNS.fullmatch(name):
                assert found[name].combine_chunks() == expected[name].combine_chunks(), name
        scores = quiet.directory.scores()
        assert scores.equals(
            score_table([counts.sparse()])
            .drop_columns(["answered_by"])
            .sort_by([(key, "ascending") for key in scores.column_names[:4]])
            .select(scores.column_names)
        )


class TestWorkersThatEnd:
    def test_by_kill_9_in_the_middle_of_packs_nothing_is_lost(self, many, quiet, tmp_path):
        diary = tmp_path / "diary"
        with (
            cluster_of_its_own() as client,
            blows(client, signal.SIGKILL, diary, every=60, at_most=5) as struck,
        ):
            run = evaluate(many, tmp_path / "run", client, [models.Unhurried(str(diary))])
        assert len(struck) >= 3
        assert run.fingerprint() == quiet.fingerprint()

    def test_by_sigterm_nobody_is_blamed(self, many, quiet, tmp_path):
        # One death that is held against a task would have it tried alone.
        diary = tmp_path / "diary"
        with cluster_of_its_own(allowed_failures=0) as client:
            client.register_plugin(Names())
            with blows(client, signal.SIGTERM, diary, every=60, at_most=6) as struck:
                run = evaluate(many, tmp_path / "run", client, [models.Unhurried(str(diary))])
            tasks, _ = on_scheduler(client)
        assert len(struck) >= 4
        assert not [name for name in tasks if "alone" in name]
        assert run.fingerprint() == quiet.fingerprint()

    @pytest.mark.long
    def test_a_pack_that_is_told_to_end_four_times_is_done_all_the_same(
        self, many, quiet, tmp_path
    ):
        diary = tmp_path / "diary"
        with cluster_of_its_own(1) as client:
            client.register_plugin(Names())
            # With one worker and blows this close, the batch in hand is the same.
            with blows(client, signal.SIGTERM, diary, every=15, at_most=4) as struck:
                run = evaluate(many, tmp_path / "run", client, [models.Unhurried(str(diary))])
            tasks, _ = on_scheduler(client)
        assert len(struck) == 4
        assert not [name for name in tasks if "alone" in name]
        again = Counter(diary.read_text().splitlines())
        assert max(again.values()) == 5
        assert run.fingerprint() == quiet.fingerprint()

    def test_by_their_memory_limit_one_row_is_killed(self, many, harmless, places, tmp_path):
        guilty = places(77)
        with cluster_of_its_own(memory_limit="700MB") as client:
            run = evaluate(many, tmp_path / "run", client, [models.EatsMemory(*guilty)])
        assert_equal_but_for(run, harmless, guilty, "killed")

    def test_by_a_segmentation_fault_one_row_is_killed(
        self, many, harmless, places, tmp_path, monkeypatch, capsys
    ):
        bound_batches(monkeypatch, 10**6)
        guilty = places(123)
        with cluster_of_its_own() as client:
            client.register_plugin(Names())
            began = time.monotonic()
            run = evaluate(many, tmp_path / "run", client, [models.Segfaults(*guilty)])
            took = time.monotonic() - began
            _, n_deaths = on_scheduler(client)
        with capsys.disabled():
            print(
                f"\none of {len(many.company_ids)} companies in a batch: "
                f"{n_deaths} workers died, {took:.0f} s"
            )
        assert_equal_but_for(run, harmless, guilty, "killed")
        assert n_deaths <= 10

    @pytest.mark.long
    def test_a_model_that_ends_its_own_process_politely_does_not_go_on_for_ever(
        self, many, harmless, places, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("scale_eval.execution.coordinator.ENDED_AT_MOST", 0)
        guilty = places(123)
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [models.EndsItself(*guilty)])
        assert_equal_but_for(run, harmless, guilty, "killed")

    @pytest.mark.long
    def test_by_two_segmentation_faults_in_one_pack_each_is_a_row(
        self, many, harmless, places, tmp_path
    ):
        guilty = places(6, 9)
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [models.Segfaults(*guilty)])
        assert_equal_but_for(run, harmless, guilty, "killed")


class TestModelsThatHang:
    @pytest.mark.long
    def test_several_of_one_pack_time_out_and_the_rest_is_done(
        self, many, harmless, places, tmp_path
    ):
        guilty = places(10, 13, 500)
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [models.Sleeps(*guilty)], timeout=2)
        assert_equal_but_for(run, harmless, guilty, "timeout")


class TestOneModelForAll:
    @pytest.mark.parametrize(
        ("how", "status", "reason", "timeout"),
        [
            ("raises", "error", "exception:ZeroDivisionError", 600),
            ("hangs", "timeout", "too_long", 8),
            ("segfaults", "killed", "worker_died", 600),
        ],
    )
    def test_whose_fit_fails_says_so_in_its_rows_and_touches_no_other(
        self, many, twin, tmp_path, how, status, reason, timeout
    ):
        model = models.OneForAll(how, CUTOFFS[1])
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [model], timeout=timeout)
        rows = run.evaluations.query("model == 'one_for_all' and worker.notna()")
        lost = rows[rows["cutoff"] == pd.Timestamp(CUTOFFS[1], tz="UTC")]
        assert len(lost) > 250
        assert set(lost["status"]) == {status}
        assert set(lost["reason"]) == {reason}
        assert lost["note"].str.startswith("fitting: ").all()
        places = lost["company_id"] + f" {CUTOFFS[1]}"
        if how == "raises":  # `error` rows: all others are none
            found, expected = facts(run), facts(twin)
            kept = (found["model"] != "one_for_all") | (
                found["cutoff"] < pd.Timestamp(CUTOFFS[1], tz="UTC")
            )
            pd.testing.assert_frame_equal(found[kept], expected[kept], check_exact=True)
        else:
            assert_equal_but_for(run, twin, list(places), status, "one_for_all")

    @pytest.mark.parametrize("harm", ["deleted", "damaged"])
    def test_whose_file_is_gone_or_damaged_is_fitted_again(
        self, many, client, twin, tmp_path, harm
    ):
        place = tmp_path / "run"
        shutil.copytree(twin.path, place)
        for file in sorted((place / "evaluations").glob("*.parquet"))[::2]:
            file.unlink()
        before = sorted((place / "models").iterdir())
        assert before
        for file in before:
            if harm == "deleted":
                file.unlink()
            else:
                file.write_bytes(file.read_bytes()[:-3])
        run = evaluate(many, place, client, [models.OneForAll()])
        assert sorted((place / "models").iterdir()) == before
        assert run.failures.empty
        assert run.fingerprint() == twin.fingerprint()

    def test_whose_fit_failed_is_fitted_again_only_when_asked(self, many, client, tmp_path, twin):
        failing = models.OneForAll("raises", CUTOFFS[1])
        evaluate(many, tmp_path / "run", client, [failing])
        document = json.loads((tmp_path / "run" / "run.json").read_text())
        failures = {key: of for key, of in document["fitted"].items() if not of[0]}
        assert len(failures) == 1
        again = evaluate(many, tmp_path / "run", client, [failing])
        assert again.directory.document["fitted"].items() >= failures.items()
        retried = evaluate(many, tmp_path / "run", client, [failing], retry=True)
        assert set(retried.failures["status"]) == {"error"}
        rows = retried.evaluations.query("status == 'error'")
        assert set(rows["attempts"]) == {2}


def environment(**more) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), **more}


class Outside:
    """A scheduler and two workers as processes of their own."""

    def __init__(self, place: Path, **settings: str) -> None:
        self.place, self.settings, self.processes = place, settings, []

    def __enter__(self):
        self.file = self.place / f"scheduler-{time.monotonic_ns()}.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--dashboard-address", ":0")
        self.workers = [
            self._start("worker", "--nthreads", "1", "--no-dashboard") for _ in range(2)
        ]
        return self

    def _start(self, kind, *words):
        with (self.place / f"{kind}.log").open("a") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "distributed.cli.dask_" + kind,
                    *words,
                    "--scheduler-file",
                    str(self.file),
                ],
                env=environment(**self.settings),
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def add_worker(self):
        self.workers.append(self._start("worker", "--nthreads", "1", "--no-dashboard"))

    @property
    def address(self) -> str:
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return json.loads(self.file.read_text())["address"]

    def __exit__(self, *_):
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            process.kill()
            process.wait()


SCRIPT = """
import sys
import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.planning import batches
from tests.support import models as models

batches.BATCH_EVALUATIONS, batches.FEW_BATCHES = {batch_evaluations}, 1

def evaluate(dataset, out, diary, cluster):
    return se.evaluate(
        dataset, {chosen} + [models.Unhurried(diary)], out=out, progress=False, granularity="batch",
        last=2, observed_until="2024-07-01", cluster=cluster,
        workers=2 if cluster == "local" else None,
    )

if __name__ == "__main__":
    evaluate(*sys.argv[1:])
"""


def begin(dataset, out: Path, diary: Path, cluster: str) -> subprocess.Popen:
    """An evaluation of `dataset` in a process of its own."""
    script = out.with_suffix(".py")
    script.write_text(
        SCRIPT.format(batch_evaluations=batches.BATCH_EVALUATIONS, chosen=repr(CHOSEN)),
    )
    with out.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, str(script), str(dataset.store.root), str(out), str(diary), cluster],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_for(condition, process=None, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.02)


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


def batches_written(out: Path) -> dict[str, int]:
    """Files of evaluations that workers wrote, and when."""
    return {
        file.name: file.stat().st_mtime_ns
        for file in (out / "evaluations").glob("*.parquet")
        if pq.read_table(file, columns=["worker"])["worker"].null_count == 0
    }


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


class TestTheRestIsLost:
    def test_the_scheduler_is_killed_and_another_goes_on(self, many, quiet, tmp_path, monkeypatch):
        diary = tmp_path / "diary"
        model = models.Unhurried(str(diary))
        with Outside(tmp_path) as first:
            striker = threading.Thread(
                target=lambda: (
                    wait_for(lambda: len(batches_written(tmp_path / "run")) >= 3),
                    first.scheduler.kill(),
                )
            )
            with Client(first.address) as client:
                client.wait_for_workers(2)
                striker.start()
                with pytest.raises(ClusterLost, match="run the same command again"):
                    evaluate(many, tmp_path / "run", client, [model])
            striker.join()
        before = batches_written(tmp_path / "run")
        assert 3 <= len(before) < N_PACKS
        with Outside(tmp_path) as second, Client(second.address) as client:
            run = evaluate(many, tmp_path / "run", client, [model])
        assert batches_written(tmp_path / "run").items() >= before.items()
        assert run.fingerprint() == quiet.fingerprint()

    @pytest.mark.long
    def test_the_command_line_says_what_to_do_when_the_scheduler_is_gone(self, many, tmp_path):
        with Outside(tmp_path) as outside:
            address = outside.address
            process = subprocess.Popen(
                [
                    Path(sys.executable).with_name("scale-eval"),
                    "run",
                    many.store.root,
                    "--out",
                    tmp_path / "run",
                    "--last",
                    "2",
                    "--observed-until",
                    "2024-07-01",
                    "--model",
                    "tests.support.models:Slow",
                    "--granularity",
                    "company",
                    "--cluster",
                    address,
                ],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            wait_for(lambda: batches_written(tmp_path / "run"), process)
            outside.scheduler.kill()
            told, _ = process.communicate(timeout=90)
        assert process.returncode == cli.UNFINISHED, told
        assert "Traceback" not in told
        assert "run the same command again" in " ".join(told.split())

    @pytest.mark.long
    def test_workers_of_another_machine_that_are_told_to_end_are_not_blamed(
        self, many, quiet, tmp_path
    ):
        # As a scheduler of preemptible machines does: the nanny gets the signal, and goes too.
        diary = tmp_path / "diary"
        with (
            Outside(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as outside,
            Client(outside.address) as client,
        ):
            client.register_plugin(Names())
            over = threading.Event()

            def preempt():
                for n in range(1, 4):
                    while len(lines(diary)) < 100 * n and not over.wait(0.02):
                        pass
                    outside.add_worker()
                    outside.workers[n - 1].send_signal(signal.SIGTERM)

            striker = threading.Thread(target=preempt)
            striker.start()
            run = evaluate(many, tmp_path / "run", client, [models.Unhurried(str(diary))])
            over.set()
            striker.join()
            tasks, _ = on_scheduler(client)
        assert not [name for name in tasks if "alone" in name]
        assert run.fingerprint() == quiet.fingerprint()

    def test_everything_is_killed_at_random_moments_and_loses_a_pack_a_worker(
        self, many, quiet, tmp_path
    ):
        out, diary = tmp_path / "run", tmp_path / "diary"
        n_blows = 0
        for _ in range(3):
            process = begin(many, out, diary, "local")
            done = len(lines(diary))
            wait_for(
                lambda done=done, p=process: len(lines(diary)) > done + 40 or p.poll() is not None
            )
            time.sleep(random.uniform(0, 1.5))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                n_blows += 1
            process.wait()
            before = batches_written(out)
        process = begin(many, out, diary, "local")
        assert process.wait(timeout=120) == 0, out.with_suffix(".log").read_text()
        assert n_blows == 3
        assert batches_written(out).items() >= before.items()  # what is on disk is not done again
        again = sum(Counter(lines(diary)).values()) - len(set(lines(diary)))
        assert again <= n_blows * 2 * PACK_COMPANIES * len(CUTOFFS)
        assert se.open_run(out).fingerprint() == quiet.fingerprint()

    def test_the_coordinator_alone_is_killed_and_its_workers_write_what_they_hold(
        self, many, quiet, tmp_path
    ):
        # The workers of a cluster live on, and write beside those of the resumed run.
        out, diary = tmp_path / "run", tmp_path / "diary"
        with Outside(tmp_path) as outside:
            for _ in range(2):
                process = begin(many, out, diary, outside.address)
                done = len(lines(diary))
                wait_for(lambda done=done: len(lines(diary)) > done + 60, process)
                process.kill()
                process.wait()
            process = begin(many, out, diary, outside.address)
            assert process.wait(timeout=120) == 0, out.with_suffix(".log").read_text()
        run = se.open_run(out)
        assert run.fingerprint() == quiet.fingerprint()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("free_bytes", [200_000, 900_000])
def test_a_disk_that_fills_while_workers_write_packs_names_the_place_and_is_resumed(
    many, client, quiet, small_disk, free_bytes
):
    there = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - free_bytes))
    with pytest.raises(OSError, match="No space left on device") as full:
        evaluate(many, small_disk / "run", client, [models.Unhurried(seconds=0)])
    assert str(small_disk) in str(full.value)
    ballast.unlink()
    run = evaluate(many, small_disk / "run", client, [models.Unhurried(seconds=0)])
    assert not list(small_disk.rglob("*.unfinished"))
    pd.testing.assert_frame_equal(facts(run), facts(quiet), check_exact=True)
    assert run.fingerprint() == quiet.fingerprint()


class TestData:
    def test_a_corrupt_company_in_a_file_of_its_own_is_error_rows(
        self, many, client, quiet, tmp_path
    ):
        shutil.copytree(many.store.root, tmp_path / "data")
        data = se.open_dataset(tmp_path / "data")
        rotten = data.company_ids[42]
        corrupt(data, [rotten])
        run = evaluate(data, tmp_path / "run", client, [models.Unhurried(seconds=0)])
        self.assert_unreadable(run, quiet, data, {rotten})

    def test_a_corrupt_row_group_of_many_companies_is_error_rows_of_these(self, client, tmp_path):
        made = {
            "companies": 1100,
            "seed": 3,
            "median_customers": 60,
            "sigma": 0.4,
            "observed_whole": True,
        }
        sound = se.synthesize(tmp_path / "sound", **made)
        data = se.synthesize(tmp_path / "data", **made)
        path, row_group = data.place(data.company_ids[500])
        corrupt(data, [data.company_ids[500]])
        rotten = {c for c in data.company_ids if data.place(c) == (path, row_group)}
        assert 1 < len(rotten) < 1100
        undisturbed = evaluate(sound, tmp_path / "quiet", client)
        run = evaluate(data, tmp_path / "run", client)
        self.assert_unreadable(run, undisturbed, data, rotten)

    def assert_unreadable(self, run, undisturbed, data, rotten):
        found, expected = facts(run), facts(undisturbed)
        pd.testing.assert_frame_equal(found[KEY], expected[KEY])
        lost = found["company_id"].isin(rotten) & (found["reason"] == "data_unreadable")
        assert set(found.loc[lost, "status"]) == {"error"}
        assert set(found.loc[lost, "company_id"]) == rotten
        for company_id, note in found.loc[lost, ["company_id", "note"]].drop_duplicates().values:
            assert data.place(company_id)[0] in note
        # Counts with a null among them are floats in pandas.
        pd.testing.assert_frame_equal(
            found[~lost], expected[~lost], check_exact=True, check_dtype=False
        )
        assert set(found.loc[~lost, "status"]) <= {"ok", "skipped"}


class TestRepeatedBatches:
    """A worker that was thought dead writes late what others have done meanwhile."""

    @pytest.fixture
    def place(self, quiet, tmp_path):
        shutil.copytree(quiet.path, tmp_path / "run")
        return tmp_path / "run"

    def late(self, many, place, companies, client, tmp_path):
        """A batch of some companies, as another division into batches would have made it."""
        some = open_run_directory(place)
        written = [
            file
            for file in (place / "evaluations").glob("*.parquet")
            if set(pq.read_table(file, columns=["company_id"])["company_id"].to_pylist())
            & set(companies)
        ]
        assert len(written) >= 2
        work = tmp_path / "elsewhere"
        shutil.copytree(place, work)
        for file in written:
            (work / "evaluations" / file.name).unlink()
        before = names_in(work / "evaluations")
        evaluate(many, work, client, [models.Unhurried(seconds=0)])
        made = names_in(work / "evaluations") - before
        assert made
        for name in made:
            for kind in ("evaluations", "scores"):
                if (work / kind / name).exists():
                    shutil.copy(work / kind / name, place / kind / name)
        return some, made

    def test_are_counted_once_when_the_run_is_reduced(self, many, client, quiet, place, tmp_path):
        names = many.reading_order(many.company_ids)
        with pytest.MonkeyPatch.context() as patch:
            bound_batches(patch, 17 * 8)
            directory, made = self.late(many, place, names[20:60], client, tmp_path)
        assert len(directory.evaluations()) == len(quiet.evaluations)  # at reading, too
        assert se.reduce(place).fingerprint() == quiet.fingerprint()
        assert not made & names_in(place / "evaluations")

    def test_are_counted_once_when_the_run_goes_on_and_what_goes_with_them_is_done_again(
        self, many, client, quiet, place, tmp_path
    ):
        # A batch that is larger than those that it overlaps takes their place.
        names = many.reading_order(many.company_ids)
        with pytest.MonkeyPatch.context() as patch:
            bound_batches(patch, 60 * 8)
            self.late(many, place, names[20:60], client, tmp_path)
        last = sorted((place / "evaluations").glob("*.parquet"), key=lambda f: f.stat().st_size)
        last[0].unlink()
        run = evaluate(many, place, client, [models.Unhurried(seconds=0)])
        assert run.finished
        assert run.fingerprint() == quiet.fingerprint()


def test_the_coordinators_memory_does_not_grow_with_the_evaluations(
    many, client, tmp_path, monkeypatch
):
    seen = []

    class Weighed(Progress):
        def update(self, statuses):
            super().update(statuses)
            if self.counts.total() % 1000 == 0:
                key_split.cache_clear()  # of the last 100,000 keys: bounded, but not yet
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)
                seen.append((self.counts.total(), psutil.Process().memory_info().rss))

    monkeypatch.setattr("scale_eval.execution.session.Progress", Weighed)
    se.evaluate(
        many,
        ["frequency"],
        out=tmp_path / "run",
        client=client,
        progress=False,
        every="1 month",
        last=8,
        observed_until="2024-07-01",
        granularity="evaluation",
    )
    n, memory = np.array(sorted(dict(seen).items())).T
    assert n[-1] - n[0] >= 5_000
    # Held in memory, an evaluation takes some kilobytes at every step: its task 1, its row 1, its
    # key on the scheduler 3. The process, which has seen other tests, grows by megabytes at some.
    assert np.median(np.diff(memory) / np.diff(n)) < 1_500


def test_a_worker_that_is_going_away_does_not_keep_the_others_from_what_comes_next(monkeypatch):
    asked = []

    class Leaving:
        def register_plugin(self, plugin):
            asked.append(plugin)
            if len(asked) == 1:
                raise CommClosedError("Stream is closed")

    monkeypatch.setattr("scale_eval.execution.coordinator.time.sleep", lambda seconds: None)
    _register(Leaving(), "what it takes")
    assert asked == ["what it takes"] * 2
