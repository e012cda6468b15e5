"""Workers that are killed, told to end, or short of memory, and models that hang.

In every case what is `ok` equals an undisturbed run, bit for bit.
"""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

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
    @pytest.mark.long
    def test_several_of_one_pack_time_out_and_the_rest_is_done(
        self, many, harmless, places, tmp_path
    ):
        guilty = places(10, 13, 500)
        with cluster_of_its_own() as client:
            run = evaluate(many, tmp_path / "run", client, [models.Sleeps(*guilty)], timeout=2)
        assert_equal_but_for(run, harmless, guilty, "timeout")
