"""Models of all companies whose fit fails, hangs or kills, or whose file is lost."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from tests.support import models
from tests.support.faults import CUTOFFS, assert_equal_but_for, cluster_of_its_own, evaluate, facts

pytestmark = pytest.mark.slow


class TestOneModelForAll:
    @pytest.mark.parametrize(
        ("how", "status", "reason", "timeout"),
        [
            ("raises", "error", "exception:ZeroDivisionError", 600),
            ("hangs", "timeout", "too_long", 8),
            pytest.param("segfaults", "killed", "worker_died", 600, marks=pytest.mark.long),
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
