"""Workers that are killed, told to end, or short of memory, and models that hang.

In every case what is `ok` equals an undisturbed run, bit for bit.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter

import psutil
import pytest

import scale_eval as se
from tests.support import models
from tests.support.faults import (
    Names,
    assert_equal_but_for,
    blows,
    bound_batches,
    cluster_of_its_own,
    evaluate,
    on_scheduler,
)
from tests.support.processes import Outside

pytestmark = pytest.mark.slow


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
        times = Counter(diary.read_text().splitlines())
        assert max(times.values()) == 5
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
        monkeypatch.setattr("scale_eval.execution.fault_attribution.MAX_ENDINGS", 0)
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
    @pytest.mark.parametrize(
        "granularity",
        [
            *(pytest.param(each, marks=pytest.mark.long) for each in ("evaluation", "company")),
            "batch",
        ],
    )
    def test_in_c_code_that_holds_the_interpreters_lock_one_row_is_a_timeout(
        self, shops, client, tmp_path, granularity
    ):
        chosen = {"timeout": 2, "last": 1, "granularity": granularity, "progress": False}
        models_ = ["recency", models.HoldsTheLock("middle")]
        run = se.evaluate(shops, models_, out=tmp_path / "run", client=client, **chosen)
        assert run.finished
        lost = run.failures
        assert lost[["company_id", "model", "status"]].values.tolist() == [
            ["middle", "holds_the_lock", "timeout"]
        ]
        assert lost["note"].tolist() == ["longer than 2 s"]

    def test_on_a_cluster_that_was_joined_its_worker_is_replaced(self, shops, tmp_path):
        with Outside(tmp_path) as outside:
            run = se.evaluate(
                shops,
                ["recency", models.HoldsTheLock("middle")],
                out=tmp_path / "run",
                cluster=outside.address,
                timeout=2,
                last=1,
                progress=False,
            )
            assert run.evaluations["status"].value_counts()["timeout"] == 1
            assert run.finished
            again = se.evaluate(
                shops, out=tmp_path / "more", cluster=outside.address, last=1, progress=False
            )
            assert again.finished

    def test_a_process_that_the_model_started_ends_with_the_worker(self, shops, client, tmp_path):
        began = tmp_path / "began"
        se.evaluate(
            shops,
            ["recency", models.StartsAProcess("middle", began)],
            out=tmp_path / "run",
            client=client,
            timeout=2,
            last=1,
            progress=False,
        )
        with contextlib.suppress(psutil.NoSuchProcess):
            status = psutil.Process(int(began.read_text())).status()
            assert status == psutil.STATUS_ZOMBIE  # nobody has asked for its exit code

    @pytest.mark.long
    def test_several_of_one_pack_time_out_and_the_rest_is_done(
        self, many, harmless, places, tmp_path
    ):
        guilty = places(10, 13, 500)
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [models.Sleeps(*guilty)], timeout=2)
        assert_equal_but_for(run, harmless, guilty, "timeout")
