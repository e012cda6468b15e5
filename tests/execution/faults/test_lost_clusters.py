"""Schedulers, coordinators or everything at once killed, and the run that goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from distributed import Client

import scale_eval as se
from scale_eval.cli import app as cli
from scale_eval.execution import ClusterLost
from tests.support import models
from tests.support.faults import (
    BATCH_COMPANIES,
    CUTOFFS,
    N_BATCHES,
    Names,
    batches_written,
    evaluate,
    lines,
    on_scheduler,
    wait_for,
)
from tests.support.processes import Outside, begin, environment

pytestmark = pytest.mark.slow


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
        assert 3 <= len(before) < N_BATCHES
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
            output, _ = process.communicate(timeout=90)
        assert process.returncode == cli.UNFINISHED, output
        assert "Traceback" not in output
        assert "run the same command again" in " ".join(output.split())

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

    @pytest.mark.long
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
        assert again <= n_blows * 2 * BATCH_COMPANIES * len(CUTOFFS)
        assert se.open_run(out).fingerprint() == quiet.fingerprint()

    @pytest.mark.long
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
